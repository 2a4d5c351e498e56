// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {IValidatorSet, QuorumSet, Signature} from "./interfaces/IValidatorSet.sol";
import {Quorum} from "./libraries/Quorum.sol";

/// @dev The quorum part of a gateway. A base contract, because a second proxy in the path of a delivery costs gas.
abstract contract ValidatorSet is IValidatorSet, AccessManagedUpgradeable {
    /// @custom:storage-location erc7201:lockstep.storage.ValidatorSet
    struct ValidatorSetStorage {
        mapping(uint256 originChainId => uint64 epoch) newest;
        mapping(uint256 originChainId => mapping(uint64 epoch => Epoch)) epochs;
    }

    struct Epoch {
        bytes32 setHash;
        uint64 validUntil;
    }

    // keccak256(abi.encode(uint256(keccak256("lockstep.storage.ValidatorSet")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant VALIDATOR_SET_STORAGE =
        0x97fcde372e44eac7af1e59245609c407c79d0964fc5fd465ec61ad7b58c55a00;

    /// @dev A set that was replaced must not count for ever.
    uint64 private constant LONGEST_OVERLAP = 30 days;

    /// @inheritdoc IValidatorSet
    function setValidators(
        uint256 originChainId,
        uint64 expectedEpoch,
        QuorumSet calldata set,
        uint64 overlap
    ) external restricted {
        ValidatorSetStorage storage $ = _validatorSetStorage();
        uint64 newest = $.newest[originChainId];
        require(newest == expectedEpoch, UnexpectedEpoch(originChainId, expectedEpoch, newest));
        require(overlap <= LONGEST_OVERLAP, OverlapTooLong(overlap, LONGEST_OVERLAP));
        Quorum.validate(set);

        mapping(uint64 => Epoch) storage epochs = $.epochs[originChainId];
        uint64 previousValidUntil = 0;
        if (newest > 0) {
            previousValidUntil = uint64(block.timestamp) + overlap;
            epochs[newest].validUntil = previousValidUntil;
        }
        uint64 epoch = newest + 1;
        bytes32 setHash = setHashOf(originChainId, epoch, set);
        epochs[epoch] = Epoch({setHash: setHash, validUntil: type(uint64).max});
        $.newest[originChainId] = epoch;
        emit ValidatorsSet(originChainId, epoch, setHash, set, previousValidUntil);
    }

    /// @inheritdoc IValidatorSet
    function newestEpoch(uint256 originChainId) external view returns (uint64) {
        return _validatorSetStorage().newest[originChainId];
    }

    /// @inheritdoc IValidatorSet
    function epochInfo(uint256 originChainId, uint64 epoch) external view returns (bytes32 setHash, uint64 validUntil) {
        Epoch storage stored = _validatorSetStorage().epochs[originChainId][epoch];
        return (stored.setHash, stored.validUntil);
    }

    /// @inheritdoc IValidatorSet
    function requireQuorum(
        uint256 originChainId,
        uint64 epoch,
        QuorumSet calldata set,
        Signature[] calldata signatures,
        bytes32 digest
    ) external view {
        _requireQuorum(originChainId, epoch, set, signatures, digest);
    }

    /// @inheritdoc IValidatorSet
    function setHashOf(uint256 originChainId, uint64 epoch, QuorumSet calldata set) public pure returns (bytes32) {
        return keccak256(abi.encode(originChainId, epoch, set));
    }

    /// @dev Reverts unless a quorum of a valid epoch of the origin chain signed the digest.
    function _requireQuorum(
        uint256 originChainId,
        uint64 epoch,
        QuorumSet calldata set,
        Signature[] calldata signatures,
        bytes32 digest
    ) internal view {
        Epoch storage stored = _validatorSetStorage().epochs[originChainId][epoch];
        require(block.timestamp < stored.validUntil, EpochNotValid(originChainId, epoch));
        bytes32 expected = stored.setHash;
        bytes32 given = setHashOf(originChainId, epoch, set);
        require(given == expected, WrongSet(originChainId, epoch, expected, given));
        Quorum.check(set, signatures, digest);
    }

    function _validatorSetStorage() private pure returns (ValidatorSetStorage storage $) {
        assembly {
            $.slot := VALIDATOR_SET_STORAGE
        }
    }
}
