// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPaymentLocks} from "./IPaymentLocks.sol";
import {ITimelock, LockId} from "./ITimelock.sol";

/**
 * @title Many payments of one sender locked together
 * @notice The entries of a batch share sender, token and tip, and one word of storage. Each is a leaf of a Merkle tree
 * and is claimed and refunded alone, with the terms of a lock, its index in the batch, and a proof.
 * @dev The tree is that of OpenZeppelin's `MerkleProof`: pairs are sorted before they are hashed. A leaf is the id of
 * its lock, which hashes the index along with the terms. Zero leaves fill the tree up to a power of two.
 * An id does not hash the other leaves: a sender who locks the same entry at the same index in two batches makes two
 * payments with one id, and their events differ only by their transactions.
 */
interface IBatchLocks is ITimelock {
    /// @dev What differs between the entries of a batch; the meaning is that of the terms of a lock.
    struct Entry {
        address recipient;
        uint256 amount;
        bytes32 hashlock;
        uint64 timelock;
    }

    /// @dev The index of an entry is its place in the list. The id of the batch hashes the root of the tree.
    event BatchLocked(
        LockId indexed id,
        address indexed sender,
        address indexed token,
        uint96 tip,
        bytes32 root,
        Entry[] entries
    );

    error WrongBatchSize(uint256 entries, uint256 most);

    /**
     * @notice Locks 1 to 128 payments of the caller in the same token (zero for native coin), each with the same tip.
     * The value must be the tips, and with native coin the amounts as well.
     */
    function lockBatch(
        address token,
        uint96 tip,
        Entry[] calldata entries
    ) external payable returns (LockId id);

    /// @notice Pays the recipient of one leaf. Anyone may call, with the secret, while `block.timestamp < timelock`.
    function claimLeaf(
        IPaymentLocks.Terms calldata terms,
        uint256 index,
        bytes32[] calldata proof,
        bytes32 secret
    ) external;

    /// @notice Pays the sender of one leaf back. Anyone may call from `block.timestamp >= timelock` on.
    function refundLeaf(IPaymentLocks.Terms calldata terms, uint256 index, bytes32[] calldata proof) external;

    /// @notice Pays the sender of one leaf back at any time. Anyone may call with the recipient's signature of
    /// {earlyRefundDigest}, which takes the leaf's id and the time of the batch's lock.
    function refundLeafEarly(
        IPaymentLocks.Terms calldata terms,
        uint256 index,
        bytes32[] calldata proof,
        Authorization calldata authorization
    ) external;

    /// @notice The id of a leaf, under which its claim or refund is reported.
    function leafId(IPaymentLocks.Terms calldata terms, uint256 index) external view returns (LockId);

    /// @notice The id of the batch with this root.
    function batchId(bytes32 root) external view returns (LockId);

    /// @notice One bit for every leaf of the batch that is open, the lowest for index zero.
    function openLeaves(LockId batch) external view returns (uint256 bitmap);
}
