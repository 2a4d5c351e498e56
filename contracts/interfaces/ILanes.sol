// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageId} from "./MessageId.sol";

/**
 * @title What a gateway knows of other chains, and how it is stopped
 * @notice Governance connects chains and limits lanes; a guardian pauses at once, governance resumes.
 */
interface ILanes {
    /**
     * @notice What this gateway knows of another chain. The caps hold for messages to it and for messages from it.
     * @param gateway the gateway's address over there
     * @param maxGasLimit highest gas limit of a message
     * @param maxPayload longest payload in bytes
     * @param defaultGasLimit the gas limit of a message that names none
     */
    struct LaneConfig {
        address gateway;
        uint32 maxGasLimit;
        uint32 maxPayload;
        uint32 defaultGasLimit;
    }

    /**
     * @notice A token bucket over messages: bursts of up to `capacity`, refilled within `window`.
     * @param capacity messages; zero for no limit
     * @param window seconds in which an empty bucket is full again; zero only without a limit
     */
    struct Limit {
        uint32 capacity;
        uint24 window;
    }

    /// @notice The newest message of a lane that was appended (origin) or processed (destination).
    struct Head {
        bytes32 accumulator;
        uint64 nonce;
        uint32 generation;
    }

    event LaneConfigured(uint256 indexed chainId, LaneConfig config);
    event LaneLimited(uint256 indexed chainId, Limit outbound, Limit inbound);
    event LanePaused(uint256 indexed chainId);
    event LaneUnpaused(uint256 indexed chainId);
    event StateOracleSet(address oracle);

    error InvalidLane(uint256 chainId, LaneConfig config);
    /// @dev The ids of a lane are bound to the gateway it began with.
    error LaneInUse(uint256 chainId, address gateway);
    error UnknownLane(uint256 chainId);
    error InvalidLimit(Limit limit);
    /// @dev Nothing is sent to, delivered from or retried from a chain while its lanes are paused.
    error LaneIsPaused(uint256 chainId);
    /// @dev The bucket of the lane to or from this chain is empty.
    error LimitReached(uint256 chainId);
    error GasLimitOutOfRange(uint256 gasLimit, uint256 highest);
    error PayloadTooLong(uint256 length, uint256 longest);

    /// @notice Governance connects another chain or changes what is known of it.
    function setLane(uint256 chainId, LaneConfig calldata config) external;

    /**
     * @notice Governance limits how many messages go to and come from a chain. Over the limit the origin refuses and
     * the destination delivers what the bucket lets through. The inbound limit must not be slower than the outbound
     * limit at the origin, or the lane falls behind for ever. Buckets start full.
     */
    function setLimits(uint256 chainId, Limit calldata outbound, Limit calldata inbound) external;

    /**
     * @notice A guardian stops both lanes between this chain and another: sending, delivery, retry and rotation. Only a
     * delivery in which a message brings this about runs to its end.
     */
    function pause(uint256 chainId) external;

    /// @notice A guardian stops every lane.
    function pauseAll() external;

    /// @notice Governance lets the lanes between this chain and another go on.
    function unpause(uint256 chainId) external;

    /// @notice Governance names the state oracle of this chain; zero for none.
    function setStateOracle(address oracle) external;

    /// @notice The chains that were ever connected, in the order in which they were.
    function chainIds() external view returns (uint256[] memory);

    /// @notice What is known of another chain; all zero for an unknown one.
    function laneConfig(uint256 chainId) external view returns (LaneConfig memory);

    /// @notice How a chain is limited at present, and how many messages the buckets let through now.
    function limitsOf(
        uint256 chainId
    )
        external
        view
        returns (Limit memory outbound, Limit memory inbound, uint256 outboundAvailable, uint256 inboundAvailable);

    function isPaused(uint256 chainId) external view returns (bool);

    function stateOracle() external view returns (address);

    /// @notice The newest message of the lane to another chain; its generation is always zero.
    function outboundHead(uint256 destination) external view returns (Head memory);

    /// @notice The newest message of the lane from another chain that was delivered or skipped by a realignment.
    function inboundHead(uint256 origin) external view returns (Head memory);

    /**
     * @notice True from the failure of a message of this origin until a retry succeeds or the lane is realigned without
     * it. The id of a message of another origin means nothing here.
     */
    function isRetryable(uint256 originChainId, MessageId id) external view returns (bool);
}
