// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IGateway, MessageId} from "./interfaces/IGateway.sol";
import {QuorumSet, Signature} from "./interfaces/IValidatorSet.sol";
import {Attributes} from "./libraries/Attributes.sol";
import {CheckpointHash} from "./libraries/CheckpointHash.sol";
import {Execution} from "./libraries/Execution.sol";
import {LaneMessage} from "./libraries/LaneMessage.sol";
import {ValidatorSet} from "./ValidatorSet.sol";

/// @dev What it does and promises is said in {IGateway}. One per chain, behind an ERC-1967 proxy.
contract Gateway is IGateway, IERC5267, ValidatorSet, UUPSUpgradeable, ReentrancyGuardTransient {
    using Attributes for bytes[];
    using InteroperableAddress for bytes;
    using LaneMessage for *;

    /// @custom:storage-location erc7201:lockstep.storage.Gateway
    struct GatewayStorage {
        mapping(uint256 destination => Head) outbound;
        mapping(uint256 origin => Head) inbound;
        mapping(uint256 chainId => LaneConfig) lanes;
        mapping(MessageId id => uint256) retryable;
    }

    // keccak256(abi.encode(uint256(keccak256("lockstep.storage.Gateway")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant GATEWAY_STORAGE = 0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900;

    /// @dev Caps of the caps: a transaction cannot exceed 2^24 gas (EIP-7825) nor, in most pools, 128 KiB.
    uint256 private constant HIGHEST_GAS_LIMIT = 14_000_000;
    uint256 private constant LONGEST_PAYLOAD = 65_536;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IGateway
    function initialize(address authority) external initializer {
        __AccessManaged_init(authority);
    }

    /// @inheritdoc IGateway
    function setLane(uint256 chainId, LaneConfig calldata config) external restricted {
        require(
            chainId != 0 &&
                chainId != block.chainid &&
                config.gateway != address(0) &&
                config.defaultGasLimit > 0 &&
                config.defaultGasLimit <= config.maxGasLimit &&
                config.maxGasLimit <= HIGHEST_GAS_LIMIT &&
                config.maxPayload <= LONGEST_PAYLOAD,
            InvalidLane(chainId, config)
        );
        GatewayStorage storage $ = _gatewayStorage();
        address current = $.lanes[chainId].gateway;
        bool used = $.outbound[chainId].nonce > 0 || $.inbound[chainId].nonce > 0;
        require(!used || current == config.gateway, LaneInUse(chainId, current));
        $.lanes[chainId] = config;
        emit LaneConfigured(chainId, config);
    }

    /// @inheritdoc IERC7786GatewaySource
    function sendMessage(
        bytes calldata recipient,
        bytes calldata payload,
        bytes[] calldata attributes
    ) external payable returns (bytes32) {
        require(msg.value == 0, UnexpectedValue(msg.value));
        (uint256 destination, address target) = recipient.parseEvmV1Calldata();
        // Parsing ignores trailing bytes; refusing them leaves every recipient one meaning for whoever reads the event.
        require(target != address(0) && recipient.length == 26 + uint8(recipient[4]), InvalidRecipient(recipient));
        LaneConfig memory config = _gatewayStorage().lanes[destination];
        require(config.gateway != address(0), UnknownDestination(destination));
        require(payload.length <= config.maxPayload, PayloadTooLong(payload.length, config.maxPayload));
        LaneMessage.Content memory content = LaneMessage.Content(
            msg.sender,
            target,
            attributes.gasLimit(config.defaultGasLimit, config.maxGasLimit),
            attributes.hash(),
            keccak256(payload)
        );
        emit MessageSent(
            0,
            InteroperableAddress.formatEvmV1(block.chainid, msg.sender),
            recipient,
            payload,
            0,
            attributes
        );
        _append(destination, config.gateway, content);
        return 0;
    }

    /// @inheritdoc IGateway
    function deliver(
        Checkpoint calldata checkpoint,
        QuorumSet calldata set,
        Signature[] calldata signatures,
        uint64 firstNonce,
        Message[] calldata messages,
        MessageId[] calldata laterIds
    ) external nonReentrant {
        Head memory head = _gatewayStorage().inbound[checkpoint.originChainId];
        uint256 end = uint256(firstNonce) + messages.length;
        if (checkpoint.nonce <= head.nonce || end <= uint256(head.nonce) + 1) return;

        require(firstNonce <= head.nonce + 1, NonceGap(head.nonce + 1, firstNonce));
        end += laterIds.length;
        require(end == uint256(checkpoint.nonce) + 1, WrongLength(end - 1, checkpoint.nonce));
        uint256 skipped = head.nonce + 1 - firstNonce;
        _verify(checkpoint, head.generation, set, signatures);
        MessageId[] memory ids = _walk(checkpoint, head, messages, skipped, laterIds);
        _gatewayStorage().inbound[checkpoint.originChainId] = head;
        _executeAll(checkpoint.originChainId, firstNonce, messages, skipped, ids);
    }

    /// @inheritdoc IGateway
    function retry(
        uint256 originChainId,
        address originGateway,
        uint64 nonce,
        Message calldata message
    ) external nonReentrant {
        MessageId id = _idOf(
            LaneMessage.Route(originChainId, originGateway, block.chainid, address(this)),
            nonce,
            message
        );
        GatewayStorage storage $ = _gatewayStorage();
        require($.retryable[id] != 0, NotRetryable(id));
        delete $.retryable[id];
        (bool success, bytes memory reason) = Execution.run(
            id,
            Execution.senderPrefix(originChainId),
            message,
            gasleft()
        );
        require(success, RetryFailed(id, reason));
        emit MessageExecuted(id, originChainId, nonce);
    }

    /// @inheritdoc IERC7786GatewaySource
    function supportsAttribute(bytes4 selector) external pure returns (bool) {
        return selector == Attributes.GAS_LIMIT;
    }

    /// @inheritdoc IGateway
    function outboundHead(uint256 destination) external view returns (Head memory) {
        return _gatewayStorage().outbound[destination];
    }

    /// @inheritdoc IGateway
    function inboundHead(uint256 origin) external view returns (Head memory) {
        return _gatewayStorage().inbound[origin];
    }

    /// @inheritdoc IGateway
    function laneConfig(uint256 chainId) external view returns (LaneConfig memory) {
        return _gatewayStorage().lanes[chainId];
    }

    /// @inheritdoc IGateway
    function isRetryable(MessageId id) external view returns (bool) {
        return _gatewayStorage().retryable[id] != 0;
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (0x0f, CheckpointHash.NAME, CheckpointHash.VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    /// @inheritdoc IGateway
    function checkpointDigest(Checkpoint calldata checkpoint) public view returns (bytes32) {
        return CheckpointHash.digest(checkpoint);
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _append(uint256 destination, address gateway, LaneMessage.Content memory content) private {
        Head memory head = _gatewayStorage().outbound[destination];
        MessageId id = LaneMessage.Route(block.chainid, address(this), destination, gateway).id(++head.nonce, content);
        head.accumulator = head.accumulator.extend(id);
        _gatewayStorage().outbound[destination] = head;
        emit LaneAppended(destination, head.nonce, id, head.accumulator, content.gasLimit);
    }

    /// @dev Reverts unless validators of this very lane signed the checkpoint.
    function _verify(
        Checkpoint calldata checkpoint,
        uint32 generation,
        QuorumSet calldata set,
        Signature[] calldata signatures
    ) private view {
        (uint256 originChainId, address gateway) = (checkpoint.originChainId, checkpoint.originGateway);
        require(generation == checkpoint.generation, WrongGeneration(generation, checkpoint.generation));
        require(
            gateway != address(0) && gateway == _gatewayStorage().lanes[originChainId].gateway,
            UnknownOrigin(originChainId, gateway)
        );
        _requireQuorum(originChainId, checkpoint.epoch, set, signatures, checkpointDigest(checkpoint));
    }

    /// @dev Moves `head` over the messages that are not skipped and returns their ids; reverts unless all ids lead to the signed accumulator.
    function _walk(
        Checkpoint calldata checkpoint,
        Head memory head,
        Message[] calldata messages,
        uint256 skipped,
        MessageId[] calldata laterIds
    ) private view returns (MessageId[] memory ids) {
        LaneMessage.Route memory route = LaneMessage.Route(
            checkpoint.originChainId,
            checkpoint.originGateway,
            block.chainid,
            address(this)
        );
        ids = new MessageId[](messages.length);
        for (uint256 i = skipped; i < messages.length; ++i) {
            ids[i] = _idOf(route, ++head.nonce, messages[i]);
            head.accumulator = head.accumulator.extend(ids[i]);
        }
        bytes32 computed = head.accumulator;
        for (uint256 i = 0; i < laterIds.length; ++i) computed = computed.extend(laterIds[i]);
        require(computed == checkpoint.accumulator, WrongAccumulator(checkpoint.accumulator, computed));
    }

    function _idOf(
        LaneMessage.Route memory route,
        uint64 nonce,
        Message calldata message
    ) private pure returns (MessageId) {
        LaneMessage.Content memory content = LaneMessage.Content(
            message.sender,
            message.recipient,
            message.gasLimit,
            message.attributesHash,
            keccak256(message.payload)
        );
        return route.id(nonce, content);
    }

    /// @dev First attempts. The head is stored before, so nothing that happens here can run a message twice.
    function _executeAll(
        uint256 originChainId,
        uint64 firstNonce,
        Message[] calldata messages,
        uint256 skipped,
        MessageId[] memory ids
    ) private {
        LaneConfig memory config = _gatewayStorage().lanes[originChainId];
        bytes memory prefix = Execution.senderPrefix(originChainId);
        for (uint256 i = skipped; i < messages.length; ++i) {
            uint64 nonce = uint64(firstNonce + i);
            (bool success, bytes memory reason) = _attempt(ids[i], prefix, messages[i], config);
            if (success) {
                emit MessageExecuted(ids[i], originChainId, nonce);
            } else {
                _gatewayStorage().retryable[ids[i]] = 1;
                emit MessageFailed(ids[i], originChainId, nonce, reason);
            }
        }
    }

    function _attempt(
        MessageId id,
        bytes memory prefix,
        Message calldata message,
        LaneConfig memory config
    ) private returns (bool success, bytes memory reason) {
        if (message.gasLimit > config.maxGasLimit) {
            return (
                false,
                abi.encodeWithSelector(GasLimitOutOfRange.selector, message.gasLimit, config.maxGasLimit)
            );
        }
        if (message.payload.length > config.maxPayload) {
            return (
                false,
                abi.encodeWithSelector(PayloadTooLong.selector, message.payload.length, config.maxPayload)
            );
        }
        return Execution.run(id, prefix, message, message.gasLimit);
    }

    function _gatewayStorage() private pure returns (GatewayStorage storage $) {
        assembly {
            $.slot := GATEWAY_STORAGE
        }
    }
}
