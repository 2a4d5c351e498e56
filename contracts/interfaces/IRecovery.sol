// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInbox} from "./IInbox.sol";
import {QuorumSet, Signature} from "./IValidatorSet.sol";
import {MessageId} from "./MessageId.sol";

/// @title When something went wrong: messages to hold back, validators that lied, an origin on another branch
interface IRecovery {
    event DeferralSet(MessageId indexed id, uint256 indexed origin, bool deferred);
    event LaneRealigned(
        uint256 indexed origin,
        uint32 generation,
        uint64 nonce,
        bytes32 accumulator,
        MessageId[] retryableIds
    );

    /// @dev The message is deferred already, on this lane or another one, or not deferred on the one that is named.
    error DeferralUnchanged(MessageId id);
    /// @dev Two checkpoints prove nothing unless they differ in the accumulator alone (and in the epoch, perhaps).
    error NoConflict();
    error DifferentSigners(address first, address second);

    /**
     * @notice An operator has messages that were not delivered yet recorded as failed instead of executed, whoever
     * delivers them. Anyone may retry them afterwards.
     */
    function defer(uint256 originChainId, MessageId[] calldata ids) external;

    /// @notice An operator takes back deferrals of messages that were not delivered meanwhile.
    function undefer(uint256 originChainId, MessageId[] calldata ids) external;

    /**
     * @notice Governance puts a lane whose origin was reorganised deeper than finality onto the origin's new branch.
     * Nothing at or below the new head runs any more but `retryableIds`, by {retry}; checkpoints and proofs of the
     * generation before count for nothing. Refused while messages run: those that follow would run on the old branch.
     * @param expectedGeneration the generation as governance knows it
     * @param nonce the new head, not before the present one: executed messages leave no trace but the head. One that
     * the origin never reaches stops the lane for good
     * @param retryableIds only messages that did not run yet: for the same reason the gateway cannot tell
     */
    function realign(
        uint256 originChainId,
        uint32 expectedGeneration,
        uint64 nonce,
        bytes32 accumulator,
        MessageId[] calldata retryableIds
    ) external;

    /**
     * @notice Proves that a validator signed two accumulators for one nonce of one lane and generation: it loses its
     * weight in the epoch that is named, which must be valid (a report for every valid epoch is a call each). Reports
     * take at most a third of an epoch's weight; one more pauses the lane instead, and the same report pauses it again
     * until the epoch is over. Anyone may call.
     */
    function reportEquivocation(
        IInbox.Checkpoint calldata first,
        Signature calldata firstSignature,
        IInbox.Checkpoint calldata second,
        Signature calldata secondSignature,
        uint64 epoch,
        QuorumSet calldata set
    ) external;

    /// @notice The origin for whose lane the message is deferred; zero for none.
    function deferredAt(MessageId id) external view returns (uint256 originChainId);
}
