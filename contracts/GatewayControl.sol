// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IInbox} from "./interfaces/IInbox.sol";
import {IRecovery} from "./interfaces/IRecovery.sol";
import {QuorumSet, Signature} from "./interfaces/IValidatorSet.sol";
import {MessageId} from "./interfaces/MessageId.sol";
import {LaneState} from "./libraries/LaneState.sol";
import {SignedData} from "./libraries/SignedData.sol";
import {TypedData} from "./libraries/TypedData.sol";
import {FeeControl} from "./FeeControl.sol";
import {LaneControl} from "./LaneControl.sol";
import {ValidatorSet} from "./ValidatorSet.sol";

/**
 * @dev The part of a gateway that messages do not pass through. It runs in the proxy's storage by a delegate call of
 * {Gateway}, which therefore has few functions to tell apart and room for code that is optimised for speed. Called
 * directly it does nothing to anyone: it has no authority, and so nobody may call what is restricted.
 */
contract GatewayControl is IERC5267, IRecovery, LaneControl, FeeControl, ValidatorSet, ReentrancyGuardTransient {
    using SafeCast for uint256;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IRecovery
    function defer(uint256 originChainId, MessageId[] calldata ids) external restricted {
        _setDeferred(originChainId, ids, true);
    }

    /// @inheritdoc IRecovery
    function undefer(uint256 originChainId, MessageId[] calldata ids) external restricted {
        _setDeferred(originChainId, ids, false);
    }

    /// @inheritdoc IRecovery
    function realign(
        uint256 originChainId,
        uint32 expectedGeneration,
        uint64 nonce,
        bytes32 accumulator,
        MessageId[] calldata retryableIds
    ) external restricted nonReentrant {
        _requireKnown(originChainId);
        Lane storage lane = _laneStorage().inbound[originChainId];
        LaneState state = lane.state;
        require(
            state.generation() == expectedGeneration,
            IInbox.WrongGeneration(state.generation(), expectedGeneration)
        );
        // Going back would let messages run again that ran already: executed ones leave no trace but the head.
        require(nonce >= state.nonce(), IInbox.NonceGap(state.nonce(), nonce));
        uint32 generation = expectedGeneration + 1;
        lane.accumulator = accumulator;
        lane.state = state.withNonce(nonce).withGeneration(generation);
        for (uint256 i = 0; i < retryableIds.length; ++i) {
            _laneStorage().retryable[retryableIds[i]] = uint256(generation) + 1;
        }
        emit LaneRealigned(originChainId, generation, nonce, accumulator, retryableIds);
    }

    /// @inheritdoc IRecovery
    function reportEquivocation(
        IInbox.Checkpoint calldata first,
        Signature calldata firstSignature,
        IInbox.Checkpoint calldata second,
        Signature calldata secondSignature,
        uint64 epoch,
        QuorumSet calldata set
    ) external {
        address signer = SignedData.equivocator(first, firstSignature, second, secondSignature);
        if (!_exclude(first.originChainId, epoch, set, signer)) _setPaused(first.originChainId, true);
    }

    /// @inheritdoc IRecovery
    function deferredAt(MessageId id) external view returns (uint256) {
        return _laneStorage().deferred[id];
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (0x0f, SignedData.NAME, TypedData.VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    function _setDeferred(uint256 originChainId, MessageId[] calldata ids, bool value) private {
        _requireKnown(originChainId);
        LaneStorage storage $ = _laneStorage();
        for (uint256 i = 0; i < ids.length; ++i) {
            // On one lane at a time, or the count of the lane before would never fall again.
            require($.deferred[ids[i]] == (value ? 0 : originChainId), DeferralUnchanged(ids[i]));
            $.deferred[ids[i]] = value ? originChainId : 0;
            emit DeferralSet(ids[i], originChainId, value);
        }
        LaneState state = $.inbound[originChainId].state;
        uint256 count = value ? state.deferrals() + ids.length : state.deferrals() - ids.length;
        $.inbound[originChainId].state = state.withDeferrals(count.toUint16());
    }
}
