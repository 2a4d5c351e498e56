// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInbox} from "./IInbox.sol";

/// @dev How much weight makes a quorum.
enum Rule {
    /// At least `value`.
    AbsoluteWeight,
    /// More than half of the set's weight.
    SimpleMajority,
    /// Strictly more than `value / outOf` of the set's weight.
    SuperMajority
}

/// @dev A rule and its numbers in one word: rule << 240 | value << 120 | outOf (120 bits each).
type Threshold is uint256;

/// @dev A validator in one word, because a set is brought along in every delivery: account << 96 | weight (96 bits).
type Validator is uint256;

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
 * bring the set along. A set is succeeded by one that governance gives or that a quorum of its own signs; it then
 * stays valid until an expiry that is fixed in that moment, unless a guardian revokes it.
 */
interface IValidatorSet {
    /// @param previousValidUntil Unix seconds at which the epoch before stops counting; zero if none did before
    event ValidatorsSet(
        uint256 indexed originChainId,
        uint64 indexed epoch,
        bytes32 setHash,
        QuorumSet set,
        uint256 previousValidUntil
    );
    event EpochRevoked(uint256 indexed originChainId, uint64 indexed epoch);
    /// @dev The validator signed two histories; its weight counts for nothing in this epoch any more.
    event ValidatorExcluded(uint256 indexed originChainId, uint64 indexed epoch, address indexed validator);
    /// @dev Without this validator too little weight would be left to trust the epoch: the lane is paused instead.
    event ExclusionLimitReached(uint256 indexed originChainId, uint64 indexed epoch, address indexed validator);

    error UnexpectedEpoch(uint256 originChainId, uint64 expected, uint64 newest);
    error OverlapTooLong(uint64 overlap, uint64 longest);
    error EmptySet();
    error TooManyValidators(uint256 count, uint256 most);
    error ValidatorsNotSorted(address previous, address account);
    error ZeroWeight(address account);
    error InvalidThreshold(Threshold threshold, uint256 totalWeight);

    error EpochNotValid(uint256 originChainId, uint64 epoch);
    error WrongSet(uint256 originChainId, uint64 epoch, bytes32 given);
    error SignersNotSorted(address previous, address signer);
    error UnknownSigner(address signer);
    error NoQuorum(uint256 weight, uint256 totalWeight);
    error AlreadyExcluded(address validator);

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

    /**
     * @notice A quorum of the newest epoch hands over to the next one, which starts at once; the old one stays valid
     * for a day. Anyone may submit.
     * @dev Signed is EIP-712 data in the domain of the gateway, see {rotationDigest}. Refused while the lane is paused.
     */
    function rotateValidators(
        uint256 originChainId,
        uint64 epoch,
        QuorumSet calldata current,
        Signature[] calldata signatures,
        QuorumSet calldata next
    ) external;

    /// @notice A guardian ends an epoch at once, the newest one included; what it signed counts for nothing any more.
    function revokeEpoch(uint256 originChainId, uint64 epoch) external;

    /// @notice The newest epoch of an origin chain; zero where there is none yet.
    function newestEpoch(uint256 originChainId) external view returns (uint64);

    /**
     * @notice An epoch of an origin chain.
     * @return setHash the first 26 bytes of {setHashOf}
     * @return validUntil Unix seconds at which the epoch stops counting: 2^40 - 1 for the newest one, zero for one that
     * was revoked or never was
     * @return excluded bit i is set when validator i of the set lost its weight by an equivocation
     */
    function epochInfo(
        uint256 originChainId,
        uint64 epoch
    ) external view returns (bytes26 setHash, uint64 validUntil, uint256 excluded);

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

    /**
     * @notice The digest of EIP-712 data `Rotation(uint256 originChainId,uint64 oldEpoch,uint64 newEpoch,bytes32
     * newSetHash)` with newEpoch = oldEpoch + 1 and newSetHash = {setHashOf} of the set under the new epoch.
     */
    function rotationDigest(uint256 originChainId, uint64 oldEpoch, bytes32 newSetHash) external view returns (bytes32);

    /// @notice The EIP-712 digest that validators sign for this gateway as destination.
    function checkpointDigest(IInbox.Checkpoint calldata checkpoint) external view returns (bytes32);
}
