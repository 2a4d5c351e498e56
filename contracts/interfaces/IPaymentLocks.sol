// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITimelock, LockId} from "./ITimelock.sol";

/// @title Locks of native coin and of ERC-20 tokens
interface IPaymentLocks is ITimelock {
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

    /// @dev One entry of {claimBatch}.
    struct Claim {
        Terms terms;
        bytes32 secret;
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
    /// @dev An entry of a batch that could not be closed. `reason` is the selector of the error that says why.
    event Skipped(LockId indexed id, bytes4 reason);

    /// @dev A signature or a permit moves tokens; nothing but its owner's own transaction moves native coin.
    error NativeNeedsSender();
    /// @dev Only as the reason of a skipped entry: the token failed, or wanted more gas than a batch gives it.
    error TokenPayoutFailed(address token);

    /**
     * @notice Locks the funds of the terms; `msg.sender` must be their sender. Native coin: the value must be
     * amount + tip. ERC-20: the value must be the tip, and the contract needs an allowance of the amount.
     * @dev Terms that are open cannot be locked again. Once claimed or refunded the same terms may be locked anew, and
     * since the secret may be public by then, whoever locks must use a hashlock that was never used before.
     * A token must take exactly the amount from this contract when it is paid out, and change no balance by itself: one
     * that takes a fee on top or rebases leaves too little for the other locks of that same token. Only what comes in
     * is measured.
     * The name gives this function the lowest selector, which saves the most frequent call 600 gas in the dispatcher.
     */
    function createLock(Terms calldata terms) external payable returns (LockId id);

    /**
     * @notice {createLock} of an ERC-20 with the sender's ERC-2612 permit of exactly the amount. `msg.sender` must be
     * the sender, since a permit binds neither recipient nor hashlock.
     * @dev A permit that fails, for instance because somebody used it already, does no harm: the allowance decides.
     */
    function lockWithPermit(
        Terms calldata terms,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external payable returns (LockId id);

    /**
     * @notice {createLock} of an ERC-20 for a sender who signed {lockDigest}, by anyone. Who calls brings the tip; the
     * amount comes from the sender's allowance.
     */
    function lockSigned(
        Terms calldata terms,
        Authorization calldata authorization
    ) external payable returns (LockId id);

    /**
     * @notice {createLock} of an ERC-20 for a sender who signed a Permit2 transfer of exactly the amount to this
     * contract with the terms as its witness, by anyone. Who calls brings the tip.
     * @dev The witness is {termsHash}, and the end of the type `PermitWitnessTransferFrom` that Permit2 is given is
     * "Terms witness)Terms(…)TokenPermissions(address token,uint256 amount)". Permit2 uses up the nonce.
     */
    function lockWithPermit2(
        Terms calldata terms,
        Authorization calldata authorization
    ) external payable returns (LockId id);

    /// @notice Pays the recipient. Anyone may call, with the secret, while `block.timestamp < timelock`.
    function claim(Terms calldata terms, bytes32 secret) external;

    /// @notice Pays the sender back. Anyone may call from `block.timestamp >= timelock` on.
    function refund(Terms calldata terms) external;

    /// @notice Pays the sender back at any time. Anyone may call with the recipient's signature of
    /// {earlyRefundDigest} for the lock that is open now.
    function refundEarly(Terms calldata terms, Authorization calldata authorization) external;

    /**
     * @notice Claims many locks, and pays all their tips at once at the end. An entry that cannot be claimed is
     * reported by {Skipped} and keeps nothing from the others; its secret is public all the same.
     * @dev Consecutive native payouts to one recipient are one transfer: sort by recipient. A token gets at least
     * 250,000 gas; one that wants more can be claimed alone.
     */
    function claimBatch(Claim[] calldata claims) external;

    /// @notice Refunds many locks as {claimBatch} claims them.
    function refundBatch(Terms[] calldata terms) external;

    /// @notice Only for the contract itself, which pays the tokens of a batch by it: what a token did before it failed
    /// is undone.
    function transferInBatch(
        address token,
        address to,
        uint256 amount
    ) external;

    function lockId(Terms calldata terms) external view returns (LockId);

    /// @notice The EIP-712 hash of the terms as a struct of their own.
    function termsHash(Terms calldata terms) external pure returns (bytes32);

    /// @notice What a sender signs for {lockSigned}: the EIP-712 digest of
    /// `SignedLock(Terms terms,uint256 nonce,uint256 deadline)Terms(…)`.
    function lockDigest(Terms calldata terms, uint256 nonce, uint256 deadline) external view returns (bytes32);
}
