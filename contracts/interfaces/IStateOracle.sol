// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGateway} from "./IGateway.sol";
import {QuorumSet, Signature} from "./IValidatorSet.sol";

/**
 * @title The state of other chains, proven
 * @notice Validators of an origin chain attest headers of its blocks, with the quorum that the gateway of this chain
 * knows for the origin. Against the state root of an attested header anyone proves an account or a storage slot by a
 * Merkle-Patricia proof, as the method `eth_getProof` answers it.
 *
 * Proofs show what is in a trie, not what is missing from it: an account that does not exist and a slot that holds zero
 * cannot be proven. What is proven is the state right after the block; that the block is final, the validators vouch for.
 *
 * A header counts while the generation of the gateway's lane from the origin is the one it was attested for, and the
 * epoch of its validators is not revoked. That an epoch expires takes nothing from what it attested before.
 */
interface IStateOracle {
    /**
     * @notice What validators sign, as EIP-712 data of the same name under the domain of the oracle.
     * @param generation that of the gateway's lane from the origin; it rises when governance realigns the lane after a
     * deep reorganisation, and headers of the branch that died count for nothing
     * @param blockHash keccak256 of the block's RLP-encoded header
     * @param epoch the validators' epoch for the origin chain at the gateway
     */
    struct Header {
        uint256 originChainId;
        uint32 generation;
        uint64 number;
        bytes32 blockHash;
        uint64 epoch;
    }

    /// @notice What is kept of a header.
    struct AttestedHeader {
        bytes32 blockHash;
        bytes32 stateRoot;
        uint64 epoch;
        uint32 generation;
    }

    /// @notice An account as the state trie holds it. `codeHash` is the hash of nothing for an account without code.
    struct Account {
        uint64 nonce;
        uint256 balance;
        bytes32 storageRoot;
        bytes32 codeHash;
    }

    event HeaderAttested(
        uint256 indexed originChainId,
        uint64 indexed number,
        bytes32 blockHash,
        bytes32 stateRoot,
        uint32 generation,
        uint64 epoch
    );

    /// @dev There is no contract at the address.
    error InvalidGateway(address gateway);
    error WrongGeneration(uint32 expected, uint32 given);
    /// @dev Another block of the same number was attested before, and that attestation still counts.
    error HeaderConflict(uint256 originChainId, uint64 number, bytes32 attested, bytes32 given);
    /// @dev The encoded header is not the one with the attested hash.
    error WrongBlockHash(bytes32 attested, bytes32 computed);
    error WrongBlockNumber(uint64 attested, uint256 found);
    /// @dev The header has no state root of 32 bytes.
    error MalformedHeader(bytes32 blockHash);

    /// @dev No header of this number was attested.
    error UnknownHeader(uint256 originChainId, uint64 number);
    /// @dev The epoch whose validators attested the header was revoked.
    error EpochRevoked(uint256 originChainId, uint64 epoch);
    /// @dev What the proof leads to is no account: not the four fields in the one encoding they have.
    error MalformedAccount(bytes found);
    /// @dev What the proof leads to is no slot: not a number above zero in the one encoding it has.
    error MalformedSlot(bytes found);

    /**
     * @notice Once per proxy.
     * @param authority who decides about upgrades (an OpenZeppelin AccessManager)
     * @param gateway the gateway of this chain, whose validators are believed
     */
    function initialize(address authority, IGateway gateway) external;

    /**
     * @notice Stores the state root of a block that a quorum attests. Anyone may call.
     * @dev A header that is stored already and counts is not checked again, so that callers that overlap do not fail.
     * Another one of the same number is refused until the first one counts no longer. Signatures that make no quorum
     * are refused with the gateway's errors ({IValidatorSet}).
     * @param rlpHeader the block's header, RLP-encoded
     * @param set the validators of the header's epoch
     * @param signatures over the header's digest, sorted by signer
     */
    function attestHeader(
        Header calldata header,
        bytes calldata rlpHeader,
        QuorumSet calldata set,
        Signature[] calldata signatures
    ) external;

    /// @notice The gateway whose validators are believed.
    function gateway() external view returns (IGateway);

    /// @notice What is stored for a block number, whether it counts or not; all zero for nothing.
    function headerOf(uint256 originChainId, uint64 number) external view returns (AttestedHeader memory);

    /// @notice The state root after an attested block; reverts unless its header counts.
    function stateRootAt(uint256 originChainId, uint64 number) external view returns (bytes32);

    /**
     * @notice An account of the origin after an attested block. Reverts for an account that does not exist, and for
     * any other proof that does not lead to it (with an error above, OpenZeppelin's `TrieProofTraversalError`, or
     * `RLPInvalidEncoding`, which is also what the proof of an absence ends in).
     * @param accountProof the nodes of the state trie from its root to the account, RLP-encoded
     */
    function accountAt(
        uint256 originChainId,
        uint64 number,
        address account,
        bytes[] calldata accountProof
    ) external view returns (Account memory);

    /**
     * @notice A storage slot of the origin after an attested block; never zero. Reverts as {accountAt} does.
     * @param accountProof the nodes of the state trie from its root to the account, RLP-encoded
     * @param storageProof the nodes of the account's storage trie from its root to the slot, RLP-encoded
     */
    function storageAt(
        uint256 originChainId,
        uint64 number,
        address account,
        bytes32 slot,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof
    ) external view returns (bytes32 value);

    /// @notice The EIP-712 digest that validators sign for this oracle.
    function headerDigest(Header calldata header) external view returns (bytes32);
}
