// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITimelock, LockId} from "./ITimelock.sol";

/// @title Locks of ERC-721 and ERC-1155 tokens
interface IItemLocks is ITimelock {
    /**
     * @param sender who locks, and who gets a refund
     * @param recipient who gets a claim
     * @param token an ERC-721 or ERC-1155 contract
     * @param tokenId which of its tokens
     * @param amount how many of an ERC-1155, or zero for an ERC-721
     * @param hashlock SHA-256 of the 32-byte secret
     * @param timelock Unix seconds; a claim needs `block.timestamp < timelock`, a refund `block.timestamp >= timelock`
     * @param tip native coin for whoever sends the claim or the refund
     */
    struct ItemTerms {
        address sender;
        address recipient;
        address token;
        uint256 tokenId;
        uint256 amount;
        bytes32 hashlock;
        uint64 timelock;
        uint96 tip;
    }

    event ItemLocked(
        LockId indexed id,
        address indexed sender,
        address indexed recipient,
        address token,
        uint256 tokenId,
        uint256 amount,
        bytes32 hashlock,
        uint64 timelock,
        uint96 tip
    );

    /// @dev The contract takes tokens only where it pulls them for a lock.
    error UnsolicitedToken(address token, address operator);

    /**
     * @notice Locks the token of the terms; `msg.sender` must be their sender and have approved this contract. The
     * value must be the tip.
     * @dev An ERC-721 goes out by `transferFrom`, which asks nothing of its receiver. An ERC-1155 always asks a
     * receiver that is a contract: one that refuses can neither be paid nor be refunded. A token whose items move along
     * with fungible units (ERC-404) must not be locked: payments of such units take away items that are locked here.
     */
    function lockItem(ItemTerms calldata terms) external payable returns (LockId id);

    /// @notice {lockItem} for a sender who signed {itemLockDigest}, by anyone. Who calls brings the tip.
    function lockItemSigned(
        ItemTerms calldata terms,
        Authorization calldata authorization
    ) external payable returns (LockId id);

    /// @notice Hands over to the recipient. Anyone may call, with the secret, while `block.timestamp < timelock`.
    function claimItem(ItemTerms calldata terms, bytes32 secret) external;

    /// @notice Gives back to the sender. Anyone may call from `block.timestamp >= timelock` on.
    function refundItem(ItemTerms calldata terms) external;

    /// @notice Gives back to the sender at any time. Anyone may call with the recipient's signature of
    /// {earlyRefundDigest} for the lock that is open now.
    function refundItemEarly(ItemTerms calldata terms, Authorization calldata authorization) external;

    function itemLockId(ItemTerms calldata terms) external view returns (LockId);

    /// @notice What a sender signs for {lockItemSigned}: the EIP-712 digest of
    /// `SignedItemLock(ItemTerms terms,uint256 nonce,uint256 deadline)ItemTerms(…)`.
    function itemLockDigest(
        ItemTerms calldata terms,
        uint256 nonce,
        uint256 deadline
    ) external view returns (bytes32);
}
