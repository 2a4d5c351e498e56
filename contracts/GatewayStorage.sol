// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFees} from "./interfaces/IFees.sol";
import {ILanes} from "./interfaces/ILanes.sol";
import {IValidatorSet, QuorumSet, Signature} from "./interfaces/IValidatorSet.sol";
import {MessageId} from "./interfaces/MessageId.sol";
import {LaneState} from "./libraries/LaneState.sol";
import {Quorum} from "./libraries/Quorum.sol";

/// @dev What the two contracts of a gateway share: the proxy's storage, and the checks on it that both make.
abstract contract GatewayStorage {
    /// @dev One end of a lane. The order is part of the interface: storage proofs rely on it.
    struct Lane {
        bytes32 accumulator;
        LaneState state;
    }

    /// @custom:storage-location erc7201:lockstep.storage.Gateway
    struct LaneStorage {
        mapping(uint256 destination => Lane) outbound;
        mapping(uint256 origin => Lane) inbound;
        mapping(uint256 chainId => ILanes.LaneConfig) lanes;
        /// One more than the generation of the lane in which the message may be retried.
        mapping(MessageId id => uint256) retryable;
        mapping(MessageId id => uint256 origin) deferred;
        uint256[] chainIds;
        address stateOracle;
    }

    /// @custom:storage-location erc7201:lockstep.storage.ValidatorSet
    struct ValidatorStorage {
        mapping(uint256 originChainId => uint64 epoch) newest;
        mapping(uint256 originChainId => mapping(uint64 epoch => Epoch)) epochs;
        mapping(uint256 originChainId => mapping(uint64 epoch => uint256 bits)) excluded;
    }

    /// @dev One word. 26 bytes of the hash leave a collision at 2^104 steps, far more than for addresses.
    struct Epoch {
        bytes26 setHash;
        uint40 validUntil;
        bool hasExcluded;
    }

    /// @custom:storage-location erc7201:lockstep.storage.Fees
    struct FeeStorage {
        mapping(uint256 destination => IFees.Price) prices;
        mapping(address account => uint256) credit;
        /// The sum of all credit. The rest of the gateway's balance was paid for messages.
        uint256 totalCredit;
    }

    // keccak256(abi.encode(uint256(keccak256("lockstep.storage.Gateway")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant LANE_STORAGE = 0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900;
    // keccak256(abi.encode(uint256(keccak256("lockstep.storage.ValidatorSet")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant VALIDATOR_STORAGE = 0x97fcde372e44eac7af1e59245609c407c79d0964fc5fd465ec61ad7b58c55a00;
    // keccak256(abi.encode(uint256(keccak256("lockstep.storage.Fees")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant FEE_STORAGE = 0x66aee492bbe43bebd66cd07e4516b73b3fe3b13597b4dcb4cb82c628a4dce300;

    /// @dev Reverts while the lanes between this chain and the other are paused.
    function _requireActive(uint256 chainId) internal view {
        require(!_laneStorage().inbound[chainId].state.isPaused(), ILanes.LaneIsPaused(chainId));
    }

    /// @dev Reverts unless a quorum of a valid epoch of the origin chain signed the digest.
    function _requireQuorum(
        uint256 originChainId,
        uint64 epoch,
        QuorumSet calldata set,
        Signature[] calldata signatures,
        bytes32 digest
    ) internal view {
        Quorum.check(set, signatures, digest, _requireValid(originChainId, epoch, set));
    }

    /// @dev Reverts unless the epoch is valid and has this set; answers who of it is excluded.
    function _requireValid(
        uint256 originChainId,
        uint64 epoch,
        QuorumSet calldata set
    ) internal view returns (uint256 excluded) {
        ValidatorStorage storage $ = _validatorStorage();
        Epoch storage stored = $.epochs[originChainId][epoch];
        require(block.timestamp < stored.validUntil, IValidatorSet.EpochNotValid(originChainId, epoch));
        bytes32 given = Quorum.setHash(originChainId, epoch, set);
        require(bytes26(given) == stored.setHash, IValidatorSet.WrongSet(originChainId, epoch, given));
        return stored.hasExcluded ? $.excluded[originChainId][epoch] : 0;
    }

    /// @dev Where a gateway keeps the accumulator of its lane to `destination`: the first member of the first mapping.
    function _outboundSlot(uint256 destination) internal pure returns (bytes32) {
        return keccak256(abi.encode(destination, LANE_STORAGE));
    }

    function _laneStorage() internal pure returns (LaneStorage storage $) {
        assembly {
            $.slot := LANE_STORAGE
        }
    }

    function _validatorStorage() internal pure returns (ValidatorStorage storage $) {
        assembly {
            $.slot := VALIDATOR_STORAGE
        }
    }

    function _feeStorage() internal pure returns (FeeStorage storage $) {
        assembly {
            $.slot := FEE_STORAGE
        }
    }
}
