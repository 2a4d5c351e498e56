// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IInbox} from "./interfaces/IInbox.sol";
import {ILanes} from "./interfaces/ILanes.sol";
import {IStateOracle} from "./interfaces/IStateOracle.sol";
import {QuorumSet, Signature} from "./interfaces/IValidatorSet.sol";
import {MessageId} from "./interfaces/MessageId.sol";
import {Execution} from "./libraries/Execution.sol";
import {LaneMessage} from "./libraries/LaneMessage.sol";
import {LaneState} from "./libraries/LaneState.sol";
import {PackedMessages} from "./libraries/PackedMessages.sol";
import {SignedData} from "./libraries/SignedData.sol";
import {Walk} from "./libraries/Walk.sol";
import {GatewayStorage} from "./GatewayStorage.sol";

/// @dev The destination half of a gateway.
abstract contract Inbox is IInbox, GatewayStorage, ReentrancyGuardTransient {
    using Execution for bytes;
    using PackedMessages for bytes;

    /// @inheritdoc IInbox
    function deliver(
        Checkpoint calldata checkpoint,
        QuorumSet calldata set,
        Signature[] calldata signatures,
        uint64 firstNonce,
        bytes calldata messages,
        MessageId[] calldata laterIds
    ) external nonReentrant {
        uint256 originChainId = checkpoint.originChainId;
        uint64 last = checkpoint.nonce;
        LaneState state = _laneStorage().inbound[originChainId].state;
        uint64 head = state.nonce();
        if (last <= head || last - head <= laterIds.length) return;

        require(firstNonce > 0 && firstNonce + laterIds.length <= last, WrongLength(firstNonce, laterIds.length, last));
        require(
            state.generation() == checkpoint.generation,
            WrongGeneration(state.generation(), checkpoint.generation)
        );
        ILanes.LaneConfig memory config = _laneStorage().lanes[originChainId];
        address gateway = checkpoint.originGateway;
        require(gateway != address(0) && gateway == config.gateway, UnknownOrigin(originChainId, gateway));
        _requireQuorum(originChainId, checkpoint.epoch, set, signatures, SignedData.checkpoint(checkpoint));
        uint256 count = last + 1 - firstNonce - laterIds.length;
        _process(originChainId, config, state, checkpoint.accumulator, firstNonce, count, messages, laterIds);
    }

    /// @inheritdoc IInbox
    function deliverProven(
        uint256 originChainId,
        uint64 blockNumber,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof,
        uint64 firstNonce,
        uint64 count,
        bytes calldata messages,
        MessageId[] calldata laterIds
    ) external nonReentrant {
        LaneState state = _laneStorage().inbound[originChainId].state;
        require(firstNonce > 0, NonceGap(1, 0));
        if (uint256(firstNonce) + count <= uint256(state.nonce()) + 1) return;

        ILanes.LaneConfig memory config = _laneStorage().lanes[originChainId];
        require(config.gateway != address(0), UnknownOrigin(originChainId, address(0)));
        address oracle = _laneStorage().stateOracle;
        require(oracle != address(0), NoStateOracle());
        // Ids hash their nonces, so the accumulator alone says how far the list goes.
        bytes32 accumulator = IStateOracle(oracle).storageAt(
            originChainId,
            blockNumber,
            config.gateway,
            _outboundSlot(block.chainid),
            accountProof,
            storageProof
        );
        _process(originChainId, config, state, accumulator, firstNonce, count, messages, laterIds);
    }

    /// @inheritdoc IInbox
    function retry(
        uint256 originChainId,
        address originGateway,
        uint64 nonce,
        bytes calldata message
    ) external nonReentrant {
        require(nonce > 0, NonceGap(1, 0));
        _requireActive(originChainId);
        (MessageId id, uint256 length, uint256 end) = Walk.nextId(
            LaneMessage.route(originChainId, originGateway, block.chainid, address(this), nonce - 1),
            message,
            0
        );
        require(end == message.length, TrailingBytes(end, message.length));
        LaneStorage storage $ = _laneStorage();
        require($.retryable[id] == uint256($.inbound[originChainId].state.generation()) + 1, NotRetryable(id));
        delete $.retryable[id];
        (address sender, address recipient, uint256 gasLimit, , bytes calldata payload, ) = message.read(0);
        bytes memory prepared = Execution.prepare(originChainId, length);
        (bool success, bytes memory reason) = prepared.run(id, sender, recipient, payload, gasLimit, gasleft());
        require(success, RetryFailed(id, reason));
        emit MessageExecuted(id, originChainId, nonce);
    }

    /// @inheritdoc IInbox
    function attempt(address recipient, uint256 gasForwarded, bytes calldata call) external {
        require(msg.sender == address(this), OnlySelf(msg.sender));
        Execution.attempt(recipient, gasForwarded, call);
    }

    /// @dev What both ways of delivery have in common; `accumulator` is the origin's, after the last of the ids.
    function _process(
        uint256 originChainId,
        ILanes.LaneConfig memory config,
        LaneState state,
        bytes32 accumulator,
        uint64 firstNonce,
        uint256 count,
        bytes calldata messages,
        MessageId[] calldata laterIds
    ) private {
        require(!state.isPaused(), ILanes.LaneIsPaused(originChainId));
        uint64 next = state.nonce() + 1;
        require(firstNonce <= next, NonceGap(next, firstNonce));
        uint256 fresh = count - (next - firstNonce);
        uint256 position = Walk.skip(messages, count - fresh);
        uint256 available = state.available();
        count = fresh < available ? fresh : available;
        require(count > 0, ILanes.LimitReached(originChainId));

        Lane storage lane = _laneStorage().inbound[originChainId];
        (MessageId[] memory ids, bytes32 newHead, uint256 longest) = Walk.run(
            LaneMessage.route(originChainId, config.gateway, block.chainid, address(this), next - 1),
            lane.accumulator,
            messages,
            position,
            fresh,
            count,
            laterIds,
            accumulator
        );
        // Before anything runs, so that nothing that happens then can run a message twice.
        lane.accumulator = newHead;
        lane.state = state.advance(count);
        bytes memory prepared = Execution.prepare(originChainId, longest);
        for (uint256 i = 0; i < count; ++i) {
            MessageId id = ids[i];
            bool deferred = state.deferrals() > 0 && _takeDeferred(originChainId, id);
            (bool success, bytes memory reason, uint256 end) = _deliverOne(
                id,
                prepared,
                messages,
                position,
                config,
                deferred
            );
            position = end;
            if (success) {
                emit MessageExecuted(id, originChainId, next);
            } else {
                _laneStorage().retryable[id] = uint256(state.generation()) + 1;
                emit MessageFailed(id, originChainId, next, reason);
            }
            ++next;
        }
    }

    /// @dev The first attempt of the message at `position`; also the position after it.
    function _deliverOne(
        MessageId id,
        bytes memory prepared,
        bytes calldata messages,
        uint256 position,
        ILanes.LaneConfig memory config,
        bool deferred
    ) private returns (bool success, bytes memory reason, uint256 end) {
        address sender;
        address recipient;
        uint256 gasLimit;
        bytes calldata payload;
        (sender, recipient, gasLimit, , payload, end) = messages.read(position);
        if (deferred) {
            reason = abi.encodeWithSelector(Deferred.selector, id);
        } else if (gasLimit > config.maxGasLimit) {
            reason = abi.encodeWithSelector(ILanes.GasLimitOutOfRange.selector, gasLimit, config.maxGasLimit);
        } else if (payload.length > config.maxPayload) {
            reason = abi.encodeWithSelector(ILanes.PayloadTooLong.selector, payload.length, config.maxPayload);
        } else {
            (success, reason) = prepared.run(id, sender, recipient, payload, gasLimit, gasLimit);
        }
    }

    /// @dev Whether the message was deferred; it is not any more.
    function _takeDeferred(uint256 originChainId, MessageId id) private returns (bool) {
        LaneStorage storage $ = _laneStorage();
        if ($.deferred[id] != originChainId) return false;
        delete $.deferred[id];
        LaneState state = $.inbound[originChainId].state;
        $.inbound[originChainId].state = state.withDeferrals(state.deferrals() - 1);
        return true;
    }
}
