// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {StorageSlot} from "@openzeppelin/contracts/utils/StorageSlot.sol";
import {IBatchLocks} from "../interfaces/IBatchLocks.sol";
import {IPaymentLocks} from "../interfaces/IPaymentLocks.sol";
import {LockId} from "../interfaces/ITimelock.sol";
import {LockHash} from "../libraries/LockHash.sol";
import {MerkleRoot} from "../libraries/MerkleRoot.sol";
import {LockStore} from "./LockStore.sol";

/// @dev Batches of payments. The word of a batch is the time of its lock and, from bit 64 on, a bit for each open leaf.
abstract contract BatchLocks is IBatchLocks, LockStore {
    using LockHash for IPaymentLocks.Terms;
    using LockHash for LockHash.Leaf;

    uint256 private constant MAX_ENTRIES = 128;
    uint256 private constant BITMAP_SHIFT = 64;

    /// @inheritdoc IBatchLocks
    function lockBatch(address token, uint96 tip, Entry[] calldata entries) external payable returns (LockId id) {
        uint256 count = entries.length;
        require(count > 0 && count <= MAX_ENTRIES, WrongBatchSize(count, MAX_ENTRIES));
        (bytes32 root, uint256 total) = _rootAndTotal(token, tip, entries);
        id = LockHash.batchId(root);
        uint256 tips = tip * count;
        StorageSlot.Uint256Slot storage slot = _newSlot(id, token == address(0) ? total + tips : tips);
        if (token != address(0)) _pull(token, msg.sender, total);
        slot.value = (((1 << count) - 1) << BITMAP_SHIFT) | block.timestamp;
        emit BatchLocked(id, msg.sender, token, tip, root, entries);
    }

    /// @inheritdoc IBatchLocks
    function claimLeaf(
        IPaymentLocks.Terms calldata terms,
        uint256 index,
        bytes32[] calldata proof,
        bytes32 secret
    ) external {
        LockId id = terms.leafId(index);
        LockHash.Words calldata raw = terms.words();
        _closeLeaf(id, index, proof);
        _requireClaimable(raw.hashlock, raw.timelock, secret);
        emit Claimed(id, secret);
        _payOut(raw, raw.recipient);
    }

    /// @inheritdoc IBatchLocks
    function refundLeaf(IPaymentLocks.Terms calldata terms, uint256 index, bytes32[] calldata proof) external {
        LockId id = terms.leafId(index);
        LockHash.Words calldata raw = terms.words();
        _closeLeaf(id, index, proof);
        _requireExpired(raw.timelock);
        emit Refunded(id);
        _payOut(raw, raw.sender);
    }

    /// @inheritdoc IBatchLocks
    function refundLeafEarly(
        IPaymentLocks.Terms calldata terms,
        uint256 index,
        bytes32[] calldata proof,
        Authorization calldata authorization
    ) external {
        LockId id = terms.leafId(index);
        LockHash.Words calldata raw = terms.words();
        _authorizeRefund(id, _closeLeaf(id, index, proof), terms.recipient, authorization);
        _payOut(raw, raw.sender);
    }

    /// @inheritdoc IBatchLocks
    function leafId(IPaymentLocks.Terms calldata terms, uint256 index) external view returns (LockId) {
        return terms.leafId(index);
    }

    /// @inheritdoc IBatchLocks
    function batchId(bytes32 root) external view returns (LockId) {
        return LockHash.batchId(root);
    }

    /// @inheritdoc IBatchLocks
    function openLeaves(LockId batch) external view returns (uint256 bitmap) {
        return _slot(batch).value >> BITMAP_SHIFT;
    }

    function _rootAndTotal(
        address token,
        uint96 tip,
        Entry[] calldata entries
    ) private view returns (bytes32, uint256 total) {
        bytes32[] memory leaves = new bytes32[](entries.length);
        LockHash.Leaf memory leaf = LockHash.newLeaf(msg.sender, token, tip);
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry calldata entry = entries[i];
            (leaf.recipient, leaf.amount, leaf.hashlock) = (entry.recipient, entry.amount, entry.hashlock);
            (leaf.timelock, leaf.index) = (entry.timelock, i);
            _requirePayable(uint160(leaf.recipient), leaf.timelock);
            require(leaf.amount > 0, ZeroAmount());
            total += leaf.amount;
            leaves[i] = leaf.hash();
        }
        return (MerkleRoot.consume(leaves), total);
    }

    /// @dev Clears the leaf's bit, and the whole word with the last one. Answers when the batch was locked.
    function _closeLeaf(LockId id, uint256 index, bytes32[] calldata proof) private returns (uint64 time) {
        LockId batch = LockHash.batchId(MerkleProof.processProofCalldata(proof, LockId.unwrap(id)));
        StorageSlot.Uint256Slot storage slot = _slot(batch);
        uint256 state = slot.value;
        require((state >> BITMAP_SHIFT >> index) & 1 == 1, LockNotOpen(id));
        state ^= 1 << (BITMAP_SHIFT + index);
        slot.value = state >> BITMAP_SHIFT == 0 ? 0 : state;
        return uint64(state);
    }
}
