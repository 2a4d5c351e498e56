// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {ILanes} from "./interfaces/ILanes.sol";
import {MessageId} from "./interfaces/MessageId.sol";
import {LaneState} from "./libraries/LaneState.sol";
import {GatewayStorage} from "./GatewayStorage.sol";

/// @dev What governance and guardians do with lanes, and what anyone can read of them.
abstract contract LaneControl is ILanes, GatewayStorage, AccessManagedUpgradeable {
    /// @dev Caps of the caps: a transaction cannot exceed 2^24 gas (EIP-7825) nor, in most pools, 128 KiB.
    uint256 private constant HIGHEST_GAS_LIMIT = 13_000_000;
    uint256 private constant LONGEST_PAYLOAD = 65_536;

    /// @inheritdoc ILanes
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
        LaneStorage storage $ = _laneStorage();
        address current = $.lanes[chainId].gateway;
        bool used = $.outbound[chainId].state.nonce() > 0 || $.inbound[chainId].state.nonce() > 0;
        require(!used || current == config.gateway, LaneInUse(chainId, current));
        if (current == address(0)) $.chainIds.push(chainId);
        $.lanes[chainId] = config;
        emit LaneConfigured(chainId, config);
    }

    /// @inheritdoc ILanes
    function setLimits(uint256 chainId, Limit calldata outbound, Limit calldata inbound) external restricted {
        _requireKnown(chainId);
        LaneStorage storage $ = _laneStorage();
        $.outbound[chainId].state = _limited($.outbound[chainId].state, outbound);
        $.inbound[chainId].state = _limited($.inbound[chainId].state, inbound);
        emit LaneLimited(chainId, outbound, inbound);
    }

    /// @inheritdoc ILanes
    function pause(uint256 chainId) external restricted {
        _requireKnown(chainId);
        _setPaused(chainId, true);
    }

    /// @inheritdoc ILanes
    function pauseAll() external restricted {
        // One flag a lane instead of one for all: a message reads its lane's anyway.
        uint256[] storage all = _laneStorage().chainIds;
        for (uint256 i = 0; i < all.length; ++i) _setPaused(all[i], true);
    }

    /// @inheritdoc ILanes
    function unpause(uint256 chainId) external restricted {
        _requireKnown(chainId);
        _setPaused(chainId, false);
    }

    /// @inheritdoc ILanes
    function setStateOracle(address oracle) external restricted {
        _laneStorage().stateOracle = oracle;
        emit StateOracleSet(oracle);
    }

    /// @inheritdoc ILanes
    function chainIds() external view returns (uint256[] memory) {
        return _laneStorage().chainIds;
    }

    /// @inheritdoc ILanes
    function laneConfig(uint256 chainId) external view returns (LaneConfig memory) {
        return _laneStorage().lanes[chainId];
    }

    /// @inheritdoc ILanes
    function limitsOf(
        uint256 chainId
    )
        external
        view
        returns (Limit memory outbound, Limit memory inbound, uint256 outboundAvailable, uint256 inboundAvailable)
    {
        LaneState out = _laneStorage().outbound[chainId].state;
        LaneState incoming = _laneStorage().inbound[chainId].state;
        outbound = Limit(out.capacity(), out.window());
        inbound = Limit(incoming.capacity(), incoming.window());
        return (outbound, inbound, out.available(), incoming.available());
    }

    /// @inheritdoc ILanes
    function isPaused(uint256 chainId) external view returns (bool) {
        return _laneStorage().inbound[chainId].state.isPaused();
    }

    /// @inheritdoc ILanes
    function stateOracle() external view returns (address) {
        return _laneStorage().stateOracle;
    }

    /// @inheritdoc ILanes
    function outboundHead(uint256 destination) external view returns (Head memory) {
        return _headOf(_laneStorage().outbound[destination]);
    }

    /// @inheritdoc ILanes
    function inboundHead(uint256 origin) external view returns (Head memory) {
        return _headOf(_laneStorage().inbound[origin]);
    }

    /// @inheritdoc ILanes
    function isRetryable(uint256 originChainId, MessageId id) external view returns (bool) {
        uint256 generation = _laneStorage().inbound[originChainId].state.generation();
        return _laneStorage().retryable[id] == generation + 1;
    }

    /// @dev Both ends of a chain's lanes are always paused together.
    function _setPaused(uint256 chainId, bool paused) internal {
        LaneStorage storage $ = _laneStorage();
        if ($.inbound[chainId].state.isPaused() == paused) return;
        $.outbound[chainId].state = $.outbound[chainId].state.withPaused(paused);
        $.inbound[chainId].state = $.inbound[chainId].state.withPaused(paused);
        if (paused) emit LanePaused(chainId);
        else emit LaneUnpaused(chainId);
    }

    function _requireKnown(uint256 chainId) internal view {
        require(_laneStorage().lanes[chainId].gateway != address(0), UnknownLane(chainId));
    }

    function _headOf(Lane storage lane) private view returns (Head memory) {
        return Head(lane.accumulator, lane.state.nonce(), lane.state.generation());
    }

    function _limited(LaneState state, Limit calldata limit) private pure returns (LaneState) {
        require((limit.capacity == 0) == (limit.window == 0), InvalidLimit(limit));
        return state.withLimit(limit.capacity, limit.window);
    }
}
