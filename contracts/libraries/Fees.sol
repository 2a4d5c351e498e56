// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IFees} from "../interfaces/IFees.sol";
import {GatewayStorage} from "../GatewayStorage.sol";

/// @dev What messages cost and who has paid how much in advance.
library Fees {
    /// @dev The highest price of a byte of calldata: the floor of EIP-7623, 10 gas a token, 4 tokens a non-zero byte.
    uint256 private constant GAS_PER_BYTE = 40;

    uint256 private constant EXCHANGE_RATE_UNIT = 1e18;

    /// @dev The fee of a message in wei, rounded up. No product can overflow: 96 + 96 bits times a gas amount.
    function fee(
        IFees.Price memory price,
        uint256 destination,
        uint256 gasLimit,
        uint256 payloadLength
    ) internal view returns (uint256) {
        if (price.gasPrice == 0) return 0;
        require(block.timestamp < price.validUntil, IFees.StalePrice(destination, price.validUntil));
        uint256 gasAmount = price.overhead + gasLimit + GAS_PER_BYTE * payloadLength;
        return Math.ceilDiv(gasAmount * price.gasPrice * price.exchangeRate, EXCHANGE_RATE_UNIT);
    }

    /// @dev Takes a fee from the value that came along, then from the caller's credit; what is left over is credited.
    function charge(GatewayStorage.FeeStorage storage book, uint256 amount) internal {
        if (msg.value < amount) {
            uint256 missing = amount - msg.value;
            uint256 credit = book.credit[msg.sender];
            require(credit >= missing, IFees.InsufficientPayment(amount, msg.value + credit));
            book.credit[msg.sender] = credit - missing;
            book.totalCredit -= missing;
        } else if (msg.value > amount) {
            deposit(book, msg.sender, msg.value - amount);
        }
        emit IFees.FeePaid(msg.sender, amount);
    }

    function deposit(GatewayStorage.FeeStorage storage book, address account, uint256 amount) internal {
        book.credit[account] += amount;
        book.totalCredit += amount;
        emit IFees.Deposited(account, msg.sender, amount);
    }

    function withdraw(GatewayStorage.FeeStorage storage book, address account, uint256 amount) internal {
        uint256 credit = book.credit[account];
        require(credit >= amount, IFees.InsufficientCredit(account, credit, amount));
        book.credit[account] = credit - amount;
        book.totalCredit -= amount;
    }
}
