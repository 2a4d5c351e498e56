// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {IInbox} from "./interfaces/IInbox.sol";
import {IValidatorSet, QuorumSet, Signature} from "./interfaces/IValidatorSet.sol";
import {Quorum} from "./libraries/Quorum.sol";
import {SignedData} from "./libraries/SignedData.sol";
import {GatewayStorage} from "./GatewayStorage.sol";

/// @dev How the validators of an origin chain come and go.
abstract contract ValidatorSet is IValidatorSet, GatewayStorage, AccessManagedUpgradeable {
    /// @dev A set that was succeeded must not count for ever.
    uint64 private constant LONGEST_OVERLAP = 30 days;

    /// @dev How long checkpoints of a set that handed over itself still count: long enough for what is in flight.
    uint64 private constant ROTATION_OVERLAP = 1 days;

    /// @inheritdoc IValidatorSet
    function setValidators(
        uint256 originChainId,
        uint64 expectedEpoch,
        QuorumSet calldata set,
        uint64 overlap
    ) external restricted {
        require(overlap <= LONGEST_OVERLAP, OverlapTooLong(overlap, LONGEST_OVERLAP));
        _succeed(originChainId, expectedEpoch, set, overlap);
    }

    /// @inheritdoc IValidatorSet
    function rotateValidators(
        uint256 originChainId,
        uint64 epoch,
        QuorumSet calldata current,
        Signature[] calldata signatures,
        QuorumSet calldata next
    ) external {
        _requireActive(originChainId);
        bytes32 digest = rotationDigest(originChainId, epoch, setHashOf(originChainId, epoch + 1, next));
        _requireQuorum(originChainId, epoch, current, signatures, digest);
        _succeed(originChainId, epoch, next, ROTATION_OVERLAP);
    }

    /// @inheritdoc IValidatorSet
    function revokeEpoch(uint256 originChainId, uint64 epoch) external restricted {
        Epoch storage stored = _validatorStorage().epochs[originChainId][epoch];
        require(stored.validUntil != 0, EpochNotValid(originChainId, epoch));
        stored.validUntil = 0;
        emit EpochRevoked(originChainId, epoch);
    }

    /// @inheritdoc IValidatorSet
    function newestEpoch(uint256 originChainId) external view returns (uint64) {
        return _validatorStorage().newest[originChainId];
    }

    /// @inheritdoc IValidatorSet
    function epochInfo(
        uint256 originChainId,
        uint64 epoch
    ) external view returns (bytes26 setHash, uint64 validUntil, uint256 excluded) {
        ValidatorStorage storage $ = _validatorStorage();
        Epoch storage stored = $.epochs[originChainId][epoch];
        return (stored.setHash, stored.validUntil, $.excluded[originChainId][epoch]);
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
    function checkpointDigest(IInbox.Checkpoint calldata checkpoint) external view returns (bytes32) {
        return SignedData.checkpoint(checkpoint);
    }

    /// @inheritdoc IValidatorSet
    function setHashOf(uint256 originChainId, uint64 epoch, QuorumSet calldata set) public pure returns (bytes32) {
        return Quorum.setHash(originChainId, epoch, set);
    }

    /// @inheritdoc IValidatorSet
    function rotationDigest(uint256 originChainId, uint64 oldEpoch, bytes32 newSetHash) public view returns (bytes32) {
        return SignedData.rotation(originChainId, oldEpoch, newSetHash);
    }

    /**
     * @dev Takes the weight of a validator that signed two histories. At most a third of an epoch's weight goes this
     * way; `tolerable` is false when it would be more, and then nothing is changed.
     */
    function _exclude(
        uint256 originChainId,
        uint64 epoch,
        QuorumSet calldata set,
        address validator
    ) internal returns (bool tolerable) {
        uint256 excluded = _requireValid(originChainId, epoch, set);
        uint256 bit;
        (bit, tolerable) = Quorum.exclusionOf(set, validator, excluded);
        if (!tolerable) {
            emit ExclusionLimitReached(originChainId, epoch, validator);
            return false;
        }
        ValidatorStorage storage $ = _validatorStorage();
        $.excluded[originChainId][epoch] = excluded | bit;
        $.epochs[originChainId][epoch].hasExcluded = true;
        emit ValidatorExcluded(originChainId, epoch, validator);
    }

    function _succeed(uint256 originChainId, uint64 expectedEpoch, QuorumSet calldata set, uint64 overlap) private {
        ValidatorStorage storage $ = _validatorStorage();
        uint64 newest = $.newest[originChainId];
        require(newest == expectedEpoch, UnexpectedEpoch(originChainId, expectedEpoch, newest));
        Quorum.validate(set);

        mapping(uint64 => Epoch) storage epochs = $.epochs[originChainId];
        uint40 previousValidUntil = 0;
        // An epoch that was revoked, or that never was, gets no overlap.
        if (epochs[newest].validUntil != 0) {
            previousValidUntil = uint40(block.timestamp + overlap);
            epochs[newest].validUntil = previousValidUntil;
        }
        uint64 epoch = newest + 1;
        bytes32 setHash = setHashOf(originChainId, epoch, set);
        epochs[epoch] = Epoch({setHash: bytes26(setHash), validUntil: type(uint40).max, hasExcluded: false});
        $.newest[originChainId] = epoch;
        emit ValidatorsSet(originChainId, epoch, setHash, set, previousValidUntil);
    }
}
