// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The id of a lock: the hash of its terms under a type hash, bound to one chain and one contract.
type LockId is bytes32;

/**
 * @title What all locks share
 * @notice One word for every open lock, signatures that are good once, and coin that a receiver rejected.
 */
interface ITimelock {
    /**
     * @dev A signature and what keeps it from being used twice. Where it is Permit2's, nonce and deadline are Permit2's
     * too; everywhere else the nonce is one of the signer's in this contract.
     * @param nonce any number that the signer has not used or cancelled; order does not matter
     * @param deadline Unix seconds; the last second at which the signature is good
     * @param signature ECDSA of 65 bytes, or whatever the signer's ERC-1271 contract takes
     */
    struct Authorization {
        uint256 nonce;
        uint256 deadline;
        bytes signature;
    }

    event Claimed(LockId indexed id, bytes32 secret);
    event Refunded(LockId indexed id);
    /// @dev A native payout was rejected by its receiver and waits for {withdraw} or {withdrawFor}.
    event Credited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    event NoncesCancelled(address indexed account, uint256 indexed word, uint256 mask);

    error NotSender(address sender, address caller);
    error InvalidRecipient(address recipient);
    /// @dev An address, timelock or tip has bits beyond its type.
    error DirtyTerms();
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
    /// @dev A payout failed while so little gas was left that the caller, not the receiver, may be the reason.
    error PayoutStarved(uint256 available, uint256 required);
    error NothingToWithdraw(address account);
    error WithdrawalRejected(address to, uint256 amount);
    error SignatureExpired(uint256 deadline, uint256 timestamp);
    error NonceUsed(address account, uint256 nonce);
    error InvalidSignature(address signer);

    /// @notice Pays out what was credited to the caller because a native payout to it was rejected.
    function withdraw(address to) external;

    /**
     * @notice Pays out the credit of an account to that account. Anyone may call.
     * @dev Whoever claims chooses the moment, and with it whether a contract with a guard of its own rejects. One that
     * cannot call {withdraw} would otherwise never get what it was credited.
     */
    function withdrawFor(address account) external;

    /**
     * @notice Makes signatures of the caller worthless: the nonces `256 * word + bit` for every bit that is set in
     * `mask`. Signatures of locks and of refunds share the nonces.
     */
    function cancelNonces(uint256 word, uint256 mask) external;

    /// @notice True once a signature with this nonce was used, or the nonce was cancelled.
    function isNonceUsed(address account, uint256 nonce) external view returns (bool);

    /// @notice True from the lock to the claim or refund, whatever the time. For a batch: while any leaf is open.
    function isOpen(LockId id) external view returns (bool);

    /// @notice Unix seconds of the lock that is open under this id, or zero. The same terms may be locked again later,
    /// and this tells which of those locks is meant.
    function lockedAt(LockId id) external view returns (uint64);

    /// @notice Native coin that {withdraw} would pay out to the account.
    function creditOf(address account) external view returns (uint256);

    /**
     * @notice What a recipient signs to let a lock be refunded before its timelock: the EIP-712 digest of
     * `EarlyRefund(bytes32 id,uint256 lockedAt,uint256 nonce,uint256 deadline)`.
     */
    function earlyRefundDigest(
        LockId id,
        uint256 lockedAt,
        uint256 nonce,
        uint256 deadline
    ) external view returns (bytes32);
}
