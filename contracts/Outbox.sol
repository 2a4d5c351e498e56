// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {IFees} from "./interfaces/IFees.sol";
import {ILanes} from "./interfaces/ILanes.sol";
import {IOutbox} from "./interfaces/IOutbox.sol";
import {MessageId} from "./interfaces/MessageId.sol";
import {Attributes} from "./libraries/Attributes.sol";
import {Fees} from "./libraries/Fees.sol";
import {Interoperable} from "./libraries/Interoperable.sol";
import {LaneMessage} from "./libraries/LaneMessage.sol";
import {LaneState} from "./libraries/LaneState.sol";
import {GatewayStorage} from "./GatewayStorage.sol";

/// @dev The origin half of a gateway.
abstract contract Outbox is IOutbox, GatewayStorage {
    using Attributes for bytes[];
    using Fees for IFees.Price;
    using Fees for FeeStorage;
    using InteroperableAddress for bytes;
    using LaneMessage for LaneMessage.Preimage;
    using LaneMessage for bytes32;

    /// @inheritdoc IERC7786GatewaySource
    function sendMessage(
        bytes calldata recipient,
        bytes calldata payload,
        bytes[] calldata attributes
    ) external payable returns (bytes32) {
        (uint256 destination, address target, ILanes.LaneConfig memory config) = _route(recipient, payload);
        uint256 gasLimit = attributes.gasLimit(config.defaultGasLimit, config.maxGasLimit);
        Lane storage lane = _laneStorage().outbound[destination];
        LaneState state = lane.state;
        require(!state.isPaused(), ILanes.LaneIsPaused(destination));
        require(state.available() > 0, ILanes.LimitReached(destination));
        if (state.isPriced()) {
            _feeStorage().charge(_feeStorage().prices[destination].fee(destination, gasLimit, payload.length));
        } else if (msg.value > 0) {
            _feeStorage().deposit(msg.sender, msg.value);
        }
        emit MessageSent(
            0,
            Interoperable.formatEvm(block.chainid, msg.sender),
            recipient,
            payload,
            0,
            attributes
        );
        state = state.advance(1);
        LaneMessage.Preimage memory preimage = LaneMessage.route(
            block.chainid,
            address(this),
            destination,
            config.gateway,
            state.nonce()
        );
        preimage.sender = msg.sender;
        preimage.recipient = target;
        preimage.gasLimit = gasLimit;
        preimage.attributesHash = attributes.hash();
        preimage.payloadHash = LaneMessage.payloadHash(payload);
        MessageId id = preimage.id();
        bytes32 accumulator = lane.accumulator.extend(id);
        lane.accumulator = accumulator;
        lane.state = state;
        emit LaneAppended(destination, state.nonce(), id, accumulator, gasLimit);
        return 0;
    }

    /// @inheritdoc IERC7786GatewaySource
    function supportsAttribute(bytes4 selector) external pure returns (bool) {
        return selector == Attributes.GAS_LIMIT;
    }

    /// @inheritdoc IOutbox
    function quote(
        bytes calldata recipient,
        bytes calldata payload,
        bytes[] calldata attributes
    ) external view returns (uint256) {
        (uint256 destination, , ILanes.LaneConfig memory config) = _route(recipient, payload);
        uint256 gasLimit = attributes.gasLimit(config.defaultGasLimit, config.maxGasLimit);
        return _feeStorage().prices[destination].fee(destination, gasLimit, payload.length);
    }

    /// @dev Where a message goes, and what holds for its lane.
    function _route(
        bytes calldata recipient,
        bytes calldata payload
    ) private view returns (uint256 destination, address target, ILanes.LaneConfig memory config) {
        (destination, target) = recipient.parseEvmV1Calldata();
        // Parsing ignores trailing bytes and zeros before the chain id; refusing them leaves every recipient one spelling.
        require(
            target != address(0) && recipient.length == 26 + uint8(recipient[4]) && recipient[5] != 0,
            InvalidRecipient(recipient)
        );
        config = _laneStorage().lanes[destination];
        require(config.gateway != address(0), UnknownDestination(destination));
        require(payload.length <= config.maxPayload, ILanes.PayloadTooLong(payload.length, config.maxPayload));
    }
}
