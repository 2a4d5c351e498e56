// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IRecovery} from "../interfaces/IRecovery.sol";
import {IInbox} from "../interfaces/IInbox.sol";
import {Signature} from "../interfaces/IValidatorSet.sol";
import {TypedData} from "./TypedData.sol";

/// @dev What validators sign for the calling gateway as destination, as EIP-712 data.
library SignedData {
    string internal constant NAME = "Lockstep Gateway";

    bytes32 private constant NAME_HASH = keccak256("Lockstep Gateway");
    bytes32 private constant CHECKPOINT_TYPEHASH =
        keccak256(
            "Checkpoint(uint256 originChainId,address originGateway,uint32 generation,uint64 nonce,bytes32 accumulator,uint64 epoch)"
        );
    uint256 private constant CHECKPOINT_SIZE = 6 * 32;
    bytes32 private constant ROTATION_TYPEHASH =
        keccak256("Rotation(uint256 originChainId,uint64 oldEpoch,uint64 newEpoch,bytes32 newSetHash)");

    /**
     * @dev The digest of a checkpoint. Its words are taken as they are: one with bits set beyond its type makes a
     * digest that nobody signed.
     */
    function checkpoint(IInbox.Checkpoint calldata data) internal view returns (bytes32) {
        bytes32 typehash = CHECKPOINT_TYPEHASH;
        bytes32 structHash;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typehash)
            calldatacopy(add(free, 0x20), data, CHECKPOINT_SIZE)
            structHash := keccak256(free, add(CHECKPOINT_SIZE, 0x20))
        }
        return TypedData.digest(NAME_HASH, structHash);
    }

    /// @dev The digest of a hand-over to the next epoch.
    function rotation(uint256 originChainId, uint64 oldEpoch, bytes32 newSetHash) internal view returns (bytes32) {
        return TypedData.digest(NAME_HASH, keccak256(abi.encode(ROTATION_TYPEHASH, originChainId, oldEpoch, oldEpoch + 1, newSetHash)));
    }

    /// @dev Who signed both checkpoints. Reverts unless they are about one place in one lane and contradict each other.
    function equivocator(
        IInbox.Checkpoint calldata first,
        Signature calldata firstSignature,
        IInbox.Checkpoint calldata second,
        Signature calldata secondSignature
    ) internal view returns (address signer) {
        require(
            first.originChainId == second.originChainId &&
                first.originGateway == second.originGateway &&
                first.generation == second.generation &&
                first.nonce == second.nonce &&
                first.accumulator != second.accumulator,
            IRecovery.NoConflict()
        );
        signer = ECDSA.recover(checkpoint(first), firstSignature.r, firstSignature.vs);
        address other = ECDSA.recover(checkpoint(second), secondSignature.r, secondSignature.vs);
        require(signer == other, IRecovery.DifferentSigners(signer, other));
    }
}
