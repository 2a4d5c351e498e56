// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev How much weight makes a quorum.
enum Rule {
    /// At least `value`.
    AbsoluteWeight,
    /// More than half of the set's weight.
    SimpleMajority,
    /// Strictly more than `value / outOf` of the set's weight.
    SuperMajority
}

struct Threshold {
    Rule rule;
    uint128 value;
    uint128 outOf;
}

struct Validator {
    address account;
    uint96 weight;
}

/// @dev Validators sorted by account, ascending, without duplicates.
struct QuorumSet {
    Validator[] validators;
    Threshold threshold;
}

/// @dev An ECDSA signature in its compact form (ERC-2098).
struct Signature {
    bytes32 r;
    bytes32 vs;
}

/**
 * @title Validators of origin chains
 * @notice Per origin chain an epoch-numbered set of validators with a threshold rule. Only its hash is stored; callers
 * bring the set along.
 */
interface IValidatorSet {
    /**
     * @param previousValidUntil Unix seconds at which the epoch before stops counting; zero for the first epoch
     */
    event ValidatorsSet(
        uint256 indexed originChainId,
        uint64 indexed epoch,
        bytes32 setHash,
        QuorumSet set,
        uint256 previousValidUntil
    );

    error UnexpectedEpoch(uint256 originChainId, uint64 expected, uint64 newest);
    error OverlapTooLong(uint64 overlap, uint64 longest);
    error EmptySet();
    error ValidatorsNotSorted(address previous, address account);
    error ZeroWeight(address account);
    error InvalidThreshold(Threshold threshold, uint256 totalWeight);

    error EpochNotValid(uint256 originChainId, uint64 epoch);
    error WrongSet(uint256 originChainId, uint64 epoch, bytes32 expected, bytes32 given);
    error SignersNotSorted(address previous, address signer);
    error UnknownSigner(address signer);
    error NoQuorum(uint256 weight, uint256 totalWeight);

    /**
     * @notice Governance starts epoch `expectedEpoch + 1` of an origin chain.
     * @param expectedEpoch the newest epoch as governance knows it; zero where there is none yet
     * @param overlap seconds for which the epoch before stays valid
     */
    function setValidators(
        uint256 originChainId,
        uint64 expectedEpoch,
        QuorumSet calldata set,
        uint64 overlap
    ) external;

    /// @notice The newest epoch of an origin chain; zero where there is none yet.
    function newestEpoch(uint256 originChainId) external view returns (uint64);

    /// @notice The hash of an epoch's set and the second at which it stops counting (2^64 - 1 for the newest one).
    function epochInfo(uint256 originChainId, uint64 epoch) external view returns (bytes32 setHash, uint64 validUntil);

    /**
     * @notice Reverts unless a quorum of a valid epoch of the origin chain signed the digest. For contracts that believe
     * the same validators.
     * @dev What the digest means is for the caller to know: it has to be EIP-712 data of a type of the caller's own, under
     * a domain with the caller's address.
     * @param signatures over the digest, sorted by signer
     */
    function requireQuorum(
        uint256 originChainId,
        uint64 epoch,
        QuorumSet calldata set,
        Signature[] calldata signatures,
        bytes32 digest
    ) external view;

    /// @notice keccak256(abi.encode(originChainId, epoch, set)).
    function setHashOf(uint256 originChainId, uint64 epoch, QuorumSet calldata set) external pure returns (bytes32);
}
