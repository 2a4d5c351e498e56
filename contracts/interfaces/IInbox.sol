// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {QuorumSet, Signature} from "./IValidatorSet.sol";
import {MessageId} from "./MessageId.sol";

/// @title The destination half of a gateway: lists of messages, walked from the head to what validators signed
interface IInbox {
    /**
     * @notice What validators sign, as EIP-712 data of the same name under the domain of the destination gateway.
     * @param generation rises when governance realigns a lane whose origin was reorganised
     * @param epoch the validators' epoch for the origin chain at the destination
     */
    struct Checkpoint {
        uint256 originChainId;
        address originGateway;
        uint32 generation;
        uint64 nonce;
        bytes32 accumulator;
        uint64 epoch;
    }

    event MessageExecuted(MessageId indexed id, uint256 indexed origin, uint64 nonce);
    /// @dev `reason` is an error: the recipient's own, cut off after 256 bytes, or one of this interface.
    event MessageFailed(MessageId indexed id, uint256 indexed origin, uint64 nonce, bytes reason);

    error UnknownOrigin(uint256 chainId, address gateway);
    error NoStateOracle();
    error WrongGeneration(uint32 expected, uint32 given);
    /// @dev A list must begin right after the head at the latest; a realigned head must not be before the old one.
    error NonceGap(uint64 expected, uint64 given);
    /// @dev The first nonce leaves no place for so many ids before the checkpoint's nonce.
    error WrongLength(uint64 firstNonce, uint256 ids, uint64 checkpointNonce);
    error TruncatedMessage(uint256 position);
    error TrailingBytes(uint256 end, uint256 length);
    error WrongAccumulator(bytes32 signed, bytes32 computed);
    error InsufficientGas(uint256 available, uint256 required);
    error OnlySelf(address caller);
    error NotRetryable(MessageId id);
    error RetryFailed(MessageId id, bytes reason);
    /// @dev A reason in `MessageFailed`: nothing is deployed at the recipient.
    error RecipientWithoutCode(address recipient);
    /// @dev A reason in `MessageFailed`: the recipient did not answer as ERC-7786 asks.
    error WrongAnswer(bytes returned);
    /// @dev A reason in `MessageFailed`: an operator deferred the message.
    error Deferred(MessageId id);

    /**
     * @notice Delivers messages of one origin. Anyone may call.
     * @dev The list is positional: `messages` have the nonces from `firstNonce`, `laterIds` are the ids of those that
     * follow, up to exactly the checkpoint's nonce; they stay undelivered and only link to the signed accumulator.
     * A message is packed: sender (20 bytes), recipient (20), gas limit (4), length of the payload (3), one byte that
     * is 1 when a hash of attributes follows and 0 otherwise, that hash (32: the keccak256 over the attributes'
     * keccak256 hashes) or nothing, and the payload. Messages follow each other without anything in between.
     * Entries at or below the head are skipped. When nothing is new the call returns without checking anything, so
     * that relayers that overlap do not fail. A message that fails is kept for {retry} and stops nothing.
     * The gas of the transaction must cover all gas limits; a first attempt runs with exactly its own.
     */
    function deliver(
        Checkpoint calldata checkpoint,
        QuorumSet calldata set,
        Signature[] calldata signatures,
        uint64 firstNonce,
        bytes calldata messages,
        MessageId[] calldata laterIds
    ) external;

    /**
     * @notice As {deliver}, with a proof of the origin's storage in the place of signatures over a checkpoint: the
     * list of `count` messages and the ids must lead to the accumulator that the origin's gateway had in a block whose
     * header the state oracle knows.
     */
    function deliverProven(
        uint256 originChainId,
        uint64 blockNumber,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof,
        uint64 firstNonce,
        uint64 count,
        bytes calldata messages,
        MessageId[] calldata laterIds
    ) external;

    /// @notice Executes a failed message again, with at least its gas limit. Anyone may call; reverts if it fails.
    function retry(uint256 originChainId, address originGateway, uint64 nonce, bytes calldata message) external;

    /// @dev Only for the gateway itself, as the frame in which a recipient runs and which its failure undoes.
    function attempt(address recipient, uint256 gasForwarded, bytes calldata call) external;
}
