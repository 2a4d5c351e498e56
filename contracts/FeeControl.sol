// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {IFees} from "./interfaces/IFees.sol";
import {ILanes} from "./interfaces/ILanes.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {Fees} from "./libraries/Fees.sol";
import {GatewayStorage} from "./GatewayStorage.sol";

/// @dev Prices, credit and what becomes of the fees.
abstract contract FeeControl is IFees, GatewayStorage, AccessManagedUpgradeable {
    using BoundedCall for address;
    using Fees for FeeStorage;

    /// @inheritdoc IFees
    function setPrice(uint256 destination, Price calldata price) external restricted {
        require(_laneStorage().lanes[destination].gateway != address(0), ILanes.UnknownLane(destination));
        require(price.gasPrice == 0 || price.exchangeRate > 0, InvalidPrice(price));
        _feeStorage().prices[destination] = price;
        Lane storage lane = _laneStorage().outbound[destination];
        lane.state = lane.state.withPriced(price.gasPrice > 0);
        emit PriceSet(destination, price);
    }

    /// @inheritdoc IFees
    function depositFor(address account) external payable {
        _feeStorage().deposit(account, msg.value);
    }

    /// @inheritdoc IFees
    function withdrawCredit(address to, uint256 amount) external {
        _feeStorage().withdraw(msg.sender, amount);
        emit CreditWithdrawn(msg.sender, to, amount);
        require(to != address(0) && to.sendValue(amount, gasleft()), PaymentRejected(to, amount));
    }

    /// @inheritdoc IFees
    function collectFees(address to) external restricted {
        uint256 amount = address(this).balance - _feeStorage().totalCredit;
        emit FeesCollected(to, amount);
        require(to != address(0) && to.sendValue(amount, gasleft()), PaymentRejected(to, amount));
    }

    /// @inheritdoc IFees
    function creditOf(address account) external view returns (uint256) {
        return _feeStorage().credit[account];
    }

    /// @inheritdoc IFees
    function priceOf(uint256 destination) external view returns (Price memory) {
        return _feeStorage().prices[destination];
    }
}
