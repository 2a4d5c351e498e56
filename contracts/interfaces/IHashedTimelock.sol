// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The id of a lock: the hash of its terms under a type hash, bound to one chain and one contract.
type LockId is bytes32;

/**
 * @title Hash-time-locked payments
 * @notice A sender locks native coin or an ERC-20 for a recipient. Until the timelock anyone who knows the secret can
 * claim for the recipient; from the timelock on anyone can refund to the sender. Funds go only to the addresses in
 * the terms, whoever sends the transaction. There is no owner, no proxy and no pause.
 * @dev A lock stores one word, keyed by the hash of its terms; callers bring the terms along, and the `Locked` event
 * keeps them for everybody else.
 */
interface IHashedTimelock {
    /**
     * @param sender who locks, and who gets a refund
     * @param recipient who gets a claim
     * @param token an ERC-20, or zero for the native coin
     * @param amount in the token's smallest unit
     * @param hashlock SHA-256 of the 32-byte secret
     * @param timelock Unix seconds; a claim needs `block.timestamp < timelock`, a refund `block.timestamp >= timelock`
     * @param tip native coin on top of the amount, for whoever sends the claim or the refund
     */
    struct Terms {
        address sender;
        address recipient;
        address token;
        uint256 amount;
        bytes32 hashlock;
        uint64 timelock;
        uint96 tip;
    }

    event Locked(
        LockId indexed id,
        address indexed sender,
        address indexed recipient,
        address token,
        uint256 amount,
        bytes32 hashlock,
        uint64 timelock,
        uint96 tip
    );
    event Claimed(LockId indexed id, bytes32 secret);
    event Refunded(LockId indexed id);
    /// @dev A native payout was rejected by its receiver and waits for {withdraw}.
    event Credited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    error NotSender(address sender, address caller);
    error InvalidRecipient(address recipient);
    error ZeroAmount();
    error TimelockNotInFuture(uint64 timelock, uint256 timestamp);
    error WrongValue(uint256 expected, uint256 received);
    error TokenWithoutCode(address token);
    /// @dev The token moved something else than the amount, e.g. because it takes a fee.
    error WrongReceipt(address token, uint256 expected, uint256 received);
    error LockExists(LockId id);
    error LockNotOpen(LockId id);
    error ClaimWindowClosed(uint64 timelock, uint256 timestamp);
    error RefundWindowNotOpen(uint64 timelock, uint256 timestamp);
    error WrongSecret(bytes32 hashlock, bytes32 hashOfSecret);
    /// @dev A native payout failed while so little gas was left that the caller, not the receiver, may be the reason.
    error PayoutStarved(uint256 available, uint256 required);
    error NothingToWithdraw(address account);
    error WithdrawalRejected(address to, uint256 amount);

    /**
     * @notice Locks the funds of the terms; `msg.sender` must be their sender. Native coin: the value must be
     * amount + tip. ERC-20: the value must be the tip, and the contract needs an allowance of the amount.
     * @dev Terms that are open cannot be locked again. Once claimed or refunded the same terms may be locked anew, and
     * since the secret may be public by then, whoever locks must use a hashlock that was never used before.
     */
    function lock(Terms calldata terms) external payable returns (LockId id);

    /// @notice Pays the recipient. Anyone may call, with the secret, while `block.timestamp < timelock`.
    function claim(Terms calldata terms, bytes32 secret) external;

    /// @notice Pays the sender back. Anyone may call from `block.timestamp >= timelock` on.
    function refund(Terms calldata terms) external;

    /// @notice Pays out what was credited to the caller because a native payout to it was rejected.
    function withdraw(address to) external;

    function lockId(Terms calldata terms) external view returns (LockId);

    /// @notice True from the lock to the claim or refund, whatever the time.
    function isOpen(LockId id) external view returns (bool);

    /// @notice Native coin that {withdraw} would pay out to the account.
    function creditOf(address account) external view returns (uint256);
}
