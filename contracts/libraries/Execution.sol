// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {IGateway, MessageId} from "../interfaces/IGateway.sol";
import {BoundedCall} from "./BoundedCall.sol";

/// @dev Handing a message to its recipient, whatever that does.
library Execution {
    using BoundedCall for address;

    uint256 private constant MAX_REASON = 256;

    /// @dev What a call costs before EIP-150 takes 1/64 of the rest: access to an account and to its delegate.
    uint256 private constant CALL_RESERVE = 6_000;

    /**
     * @dev Calls the recipient with `gasForwarded` (or 63/64 of what is left, if that is less, but never less than the
     * message's gas limit). Everything but the magic answer of ERC-7786 is a failure; then `returned` is its reason.
     */
    function run(
        MessageId id,
        bytes memory prefix,
        IGateway.Message calldata message,
        uint256 gasForwarded
    ) internal returns (bool success, bytes memory returned) {
        address recipient = message.recipient;
        if (recipient.code.length == 0) {
            return (false, abi.encodeWithSelector(IGateway.RecipientWithoutCode.selector, recipient));
        }
        bytes memory data = abi.encodeCall(
            IERC7786Recipient.receiveMessage,
            (MessageId.unwrap(id), abi.encodePacked(prefix, message.sender), message.payload)
        );
        // Otherwise the caller could choose how much less than its gas limit the message gets, and so make it fail.
        uint256 required = message.gasLimit + message.gasLimit / 63 + CALL_RESERVE;
        uint256 available = gasleft();
        require(available >= required, IGateway.InsufficientGas(available, required));
        (success, returned) = recipient.callWith(gasForwarded, data, MAX_REASON);
        if (success && (returned.length < 32 || bytes32(returned) != IERC7786Recipient.receiveMessage.selector)) {
            return (false, abi.encodeWithSelector(IGateway.WrongAnswer.selector, returned));
        }
    }

    /// @dev An interoperable address on the origin chain but for its last 20 bytes, made once for a whole delivery.
    function senderPrefix(uint256 originChainId) internal pure returns (bytes memory) {
        bytes memory some = InteroperableAddress.formatEvmV1(originChainId, address(0));
        return Bytes.splice(some, 0, some.length - 20);
    }
}
