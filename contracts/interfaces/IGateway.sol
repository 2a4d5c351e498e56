// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {IValidatorSet, QuorumSet, Signature} from "./IValidatorSet.sol";

/// @dev The id of a message: a hash of everything that must not change on its way.
type MessageId is bytes32;

/**
 * @title A gateway for messages between chains
 * @notice ERC-7786, source and destination. Messages from one chain to another form a lane with consecutive nonces
 * from 1 and a hash chain over their ids, `accumulator(n) = keccak256(accumulator(n-1) ‖ id(n))`, starting at zero.
 * Validators sign (nonce, accumulator) of the origin; whoever brings their signatures and the messages delivers them.
 *
 * Slots that storage proofs may rely on, with `base` the ERC-7201 slot of `lockstep.storage.Gateway`
 * (0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900): the outbound head to chain `d` is at
 * `keccak256(abi.encode(d, base))`, the inbound head from chain `o` at `keccak256(abi.encode(o, base + 1))`. The
 * accumulator is the first slot; the second has the nonce in its low 64 bits and the generation in the next 32.
 */
interface IGateway is IERC7786GatewaySource, IValidatorSet {
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

    /// @notice The newest message of a lane that was appended (origin) or processed (destination).
    struct Head {
        bytes32 accumulator;
        uint64 nonce;
        uint32 generation;
    }

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

    /**
     * @notice What a delivery brings of a message; the nonce is its position.
     * @param attributesHash zero without attributes, otherwise the keccak256 over the attributes' keccak256 hashes
     */
    struct Message {
        address sender;
        address recipient;
        uint256 gasLimit;
        bytes32 attributesHash;
        bytes payload;
    }

    event LaneConfigured(uint256 indexed chainId, LaneConfig config);
    /// @dev Follows the `MessageSent` of the same message as the very next log.
    event LaneAppended(
        uint256 indexed destination,
        uint64 indexed nonce,
        MessageId indexed id,
        bytes32 accumulator,
        uint256 gasLimit
    );
    event MessageExecuted(MessageId indexed id, uint256 indexed origin, uint64 indexed nonce);
    /// @dev `reason` is an error: the recipient's own, cut off after 256 bytes, or one of this interface.
    event MessageFailed(MessageId indexed id, uint256 indexed origin, uint64 indexed nonce, bytes reason);

    error InvalidLane(uint256 chainId, LaneConfig config);
    /// @dev The ids of a lane are bound to the gateway it began with.
    error LaneInUse(uint256 chainId, address gateway);
    error UnknownDestination(uint256 chainId);
    error InvalidRecipient(bytes recipient);
    error UnexpectedValue(uint256 value);
    error InvalidAttribute(bytes attribute);
    error DuplicateAttribute(bytes4 selector);
    error GasLimitOutOfRange(uint256 gasLimit, uint256 highest);
    error PayloadTooLong(uint256 length, uint256 longest);

    error UnknownOrigin(uint256 chainId, address gateway);
    error WrongGeneration(uint32 expected, uint32 given);
    error NonceGap(uint64 expected, uint64 given);
    error WrongLength(uint256 lastNonce, uint64 checkpointNonce);
    error WrongAccumulator(bytes32 signed, bytes32 computed);
    error InsufficientGas(uint256 available, uint256 required);
    error NotRetryable(MessageId id);
    error RetryFailed(MessageId id, bytes reason);
    /// @dev A reason in `MessageFailed`: nothing is deployed at the recipient.
    error RecipientWithoutCode(address recipient);
    /// @dev A reason in `MessageFailed`: the recipient did not answer as ERC-7786 asks.
    error WrongAnswer(bytes returned);

    /// @notice Once per proxy: who decides about access (an OpenZeppelin AccessManager).
    function initialize(address authority) external;

    /// @notice Governance connects another chain or changes what is known of it.
    function setLane(uint256 chainId, LaneConfig calldata config) external;

    /**
     * @notice Delivers messages of one origin. Anyone may call.
     * @dev The list is positional: `messages` have the nonces from `firstNonce`, `laterIds` are the ids of those that
     * follow, up to exactly the checkpoint's nonce; they stay undelivered and only link to the signed accumulator.
     * Entries at or below the head are skipped. When nothing is new the call returns without checking anything, so
     * that relayers that overlap do not fail. A message that fails is kept for {retry} and stops nothing.
     * The gas of the transaction must cover all gas limits; a first attempt runs with exactly its own.
     */
    function deliver(
        Checkpoint calldata checkpoint,
        QuorumSet calldata set,
        Signature[] calldata signatures,
        uint64 firstNonce,
        Message[] calldata messages,
        MessageId[] calldata laterIds
    ) external;

    /// @notice Executes a failed message again, with at least its gas limit. Anyone may call; reverts if it fails.
    function retry(uint256 originChainId, address originGateway, uint64 nonce, Message calldata message) external;

    function outboundHead(uint256 destination) external view returns (Head memory);

    function inboundHead(uint256 origin) external view returns (Head memory);

    /// @notice What is known of another chain; all zero for an unknown one.
    function laneConfig(uint256 chainId) external view returns (LaneConfig memory);

    /// @notice True from a message's failure until a retry succeeds. (Executed messages leave no trace but the head.)
    function isRetryable(MessageId id) external view returns (bool);

    /// @notice The EIP-712 digest that validators sign for this gateway as destination.
    function checkpointDigest(Checkpoint calldata checkpoint) external view returns (bytes32);
}
