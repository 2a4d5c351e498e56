// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {IInbox} from "../interfaces/IInbox.sol";
import {MessageId} from "../interfaces/MessageId.sol";
import {BoundedCall} from "./BoundedCall.sol";
import {Interoperable} from "./Interoperable.sol";

/**
 * @dev Handing a message to its recipient, whatever that does. The gateway calls its own `attempt`, which calls the
 * recipient: so everything that a recipient did is undone when it does not answer as ERC-7786 asks.
 */
library Execution {
    using BoundedCall for address;

    /// @dev How much is kept of what a recipient returns or reverts with; and of what `attempt` then reverts with.
    uint256 private constant MAX_REASON = 256;
    uint256 private constant MAX_ERROR = 4 + 64 + MAX_REASON;

    /// @dev What the frames between the gateway and a recipient use themselves, accesses to cold accounts included.
    uint256 private constant CALL_RESERVE = 12_000;

    /**
     * @dev Places in a prepared call, counted from where its memory begins: its length; the selector of `attempt`,
     * recipient, gas, offset and length of the inner call; the inner call's selector, id, offsets of sender and
     * payload; the sender's length and bytes. The payload follows.
     */
    uint256 private constant SELECTOR = 0x20;
    uint256 private constant RECIPIENT = 0x24;
    uint256 private constant GAS = 0x44;
    uint256 private constant CALL_OFFSET = 0x64;
    uint256 private constant CALL_LENGTH = 0x84;
    uint256 private constant CALL = 0xa4;
    uint256 private constant ID = 0xa8;
    uint256 private constant SENDER_OFFSET = 0xc8;
    uint256 private constant PAYLOAD_OFFSET = 0xe8;
    uint256 private constant SENDER_LENGTH = 0x108;
    uint256 private constant SENDER = 0x128;

    /**
     * @dev The call of `attempt` with the call of `receiveMessage` in it, for messages of one origin: everything that
     * they have in common is encoded once, with room for a payload of `longest` bytes, and {run} fills in the rest.
     */
    function prepare(uint256 originChainId, uint256 longest) internal pure returns (bytes memory prepared) {
        bytes memory sender = Interoperable.formatEvm(originChainId, address(0));
        bytes4 outer = IInbox.attempt.selector;
        bytes4 inner = IERC7786Recipient.receiveMessage.selector;
        assembly ("memory-safe") {
            prepared := mload(0x40)
            let padded := and(add(mload(sender), 0x1f), not(0x1f))
            mstore(add(prepared, SELECTOR), outer)
            mstore(add(prepared, CALL_OFFSET), 0x60)
            mstore(add(prepared, CALL), inner)
            mstore(add(prepared, SENDER_OFFSET), 0x60)
            mstore(add(prepared, PAYLOAD_OFFSET), add(0x80, padded))
            mcopy(add(prepared, SENDER_LENGTH), sender, add(padded, 0x20))
            // Room for the payload's length and bytes, and for the word that filling in clears behind them.
            mstore(0x40, add(add(add(prepared, SENDER), padded), and(add(longest, 0x7f), not(0x1f))))
        }
    }

    /**
     * @dev Runs a message. `gasForwarded` is what the recipient gets, or 63/64 of what there is, if that is less; but
     * never less than `gasLimit`. The reason of a failure is an error: the recipient's own, or one of {IInbox}.
     */
    function run(
        bytes memory prepared,
        MessageId id,
        address sender,
        address recipient,
        bytes calldata payload,
        uint256 gasLimit,
        uint256 gasForwarded
    ) internal returns (bool success, bytes memory reason) {
        _fill(prepared, id, sender, recipient, payload, gasForwarded);
        // Otherwise the caller could choose how much less than its gas limit the message gets, and so make it fail.
        // Three frames keep 1/64 each (EIP-150), together less than a twentieth. Two of them copy the payload, which
        // takes less than a unit of gas a byte, memory included, for any payload that a transaction has room for.
        uint256 required = gasLimit + gasLimit / 20 + payload.length + CALL_RESERVE;
        uint256 available = gasleft();
        require(available >= required, IInbox.InsufficientGas(available, required));
        success = address(this).callWith(gasleft(), prepared);
        if (!success) reason = BoundedCall.returned(MAX_ERROR);
    }

    /// @dev The frame that is undone: calls the recipient and reverts unless it answers as ERC-7786 asks.
    function attempt(address recipient, uint256 gasForwarded, bytes calldata call) internal {
        require(recipient.code.length > 0, IInbox.RecipientWithoutCode(recipient));
        (bool success, bytes32 answer) = recipient.forward(gasForwarded, call);
        if (success && answer == IERC7786Recipient.receiveMessage.selector) return;
        bytes memory returned = BoundedCall.returned(MAX_REASON);
        require(!success, IInbox.WrongAnswer(returned));
        BoundedCall.revertWith(returned);
    }

    /// @dev Writes what is a message's own into a prepared call.
    function _fill(
        bytes memory prepared,
        MessageId id,
        address sender,
        address recipient,
        bytes calldata payload,
        uint256 gasForwarded
    ) private pure {
        assembly ("memory-safe") {
            mstore(add(prepared, RECIPIENT), recipient)
            mstore(add(prepared, GAS), gasForwarded)
            mstore(add(prepared, ID), id)
            // The address is the end of the sender's bytes; the word that ends with it keeps what is before.
            let senderLength := mload(add(prepared, SENDER_LENGTH))
            let last := add(add(prepared, SENDER), sub(senderLength, 0x20))
            mstore(last, or(shl(160, shr(160, mload(last))), sender))
            let place := add(add(prepared, SENDER), and(add(senderLength, 0x1f), not(0x1f)))
            mstore(place, payload.length)
            place := add(place, 0x20)
            calldatacopy(place, payload.offset, payload.length)
            mstore(add(place, payload.length), 0)
            let end := add(place, and(add(payload.length, 0x1f), not(0x1f)))
            mstore(add(prepared, CALL_LENGTH), sub(end, add(prepared, CALL)))
            mstore(prepared, sub(end, add(prepared, 0x20)))
        }
    }
}
