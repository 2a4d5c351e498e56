// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {StorageSlot} from "@openzeppelin/contracts/utils/StorageSlot.sol";
import {IPaymentLocks} from "../interfaces/IPaymentLocks.sol";
import {IPermit2} from "../interfaces/IPermit2.sol";
import {LockId} from "../interfaces/ITimelock.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {LockHash} from "../libraries/LockHash.sol";
import {LockSignatures} from "../libraries/LockSignatures.sol";
import {LockStore} from "./LockStore.sol";

/// @dev Locks of native coin and ERC-20 tokens, one by one or closed in batches.
abstract contract PaymentLocks is IPaymentLocks, LockStore {
    using SafeERC20 for IERC20;
    using LockHash for Terms;
    using LockHash for LockHash.Words;
    using LockSignatures for Terms;
    using BoundedCall for address;

    IPermit2 private constant PERMIT2 = IPermit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);

    /// @dev What a payout of tokens within a batch may spend, and what must be left for it to get that much.
    uint256 private constant TOKEN_GAS = 260_000;
    uint256 private constant TOKEN_RESERVE = 266_000;

    /// @dev What a batch owes: native coin to the receiver of the last entries, and the tips to the caller.
    struct Due {
        address receiver;
        uint256 amount;
        uint256 tips;
    }

    /// @inheritdoc IPaymentLocks
    function createLock(Terms calldata terms) external payable returns (LockId id) {
        id = terms.id();
        _requireSender(terms.words().sender);
        _lock(id, terms, false);
    }

    /// @inheritdoc IPaymentLocks
    function lockWithPermit(
        Terms calldata terms,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external payable returns (LockId id) {
        id = terms.id();
        _requireSender(terms.words().sender);
        _requireToken(terms.token);
        try IERC20Permit(terms.token).permit(terms.sender, address(this), terms.amount, deadline, v, r, s) {} catch {}
        _lock(id, terms, false);
    }

    /// @inheritdoc IPaymentLocks
    function lockSigned(
        Terms calldata terms,
        Authorization calldata authorization
    ) external payable returns (LockId id) {
        id = terms.id();
        _requireToken(terms.token);
        _authorize(terms.sender, terms.lockDigest(authorization.nonce, authorization.deadline), authorization);
        _lock(id, terms, false);
    }

    /// @inheritdoc IPaymentLocks
    function lockWithPermit2(
        Terms calldata terms,
        Authorization calldata authorization
    ) external payable returns (LockId id) {
        _requireToken(terms.token);
        _pullByPermit2(terms, authorization);
        id = terms.id();
        _lock(id, terms, true);
    }

    /// @inheritdoc IPaymentLocks
    function claim(Terms calldata terms, bytes32 secret) external {
        LockId id = terms.id();
        _close(id);
        LockHash.Words calldata raw = terms.words();
        _requireClaimable(raw.hashlock, raw.timelock, secret);
        emit Claimed(id, secret);
        _payOut(raw, raw.recipient);
    }

    /// @inheritdoc IPaymentLocks
    function refund(Terms calldata terms) external {
        LockId id = terms.id();
        _close(id);
        LockHash.Words calldata raw = terms.words();
        _requireExpired(raw.timelock);
        emit Refunded(id);
        _payOut(raw, raw.sender);
    }

    /// @inheritdoc IPaymentLocks
    function refundEarly(Terms calldata terms, Authorization calldata authorization) external {
        LockId id = terms.id();
        _authorizeRefund(id, _close(id), terms.recipient, authorization);
        LockHash.Words calldata raw = terms.words();
        _payOut(raw, raw.sender);
    }

    /// @inheritdoc IPaymentLocks
    function claimBatch(Claim[] calldata claims) external nonReentrant {
        Due memory due;
        for (uint256 i = 0; i < claims.length; ++i) {
            Claim calldata entry = claims[i];
            LockId id = entry.terms.id();
            LockHash.Words calldata raw = entry.terms.words();
            bytes32 secret = entry.secret;
            uint256 time = _slot(id).value;
            bytes4 problem = 0;
            if (time == 0) problem = LockNotOpen.selector;
            else if (block.timestamp >= raw.timelock) problem = ClaimWindowClosed.selector;
            else if (LockHash.ofSecret(secret) != raw.hashlock) problem = WrongSecret.selector;
            else if (!_closeInBatch(_slot(id), time, raw, raw.recipient, due)) problem = TokenPayoutFailed.selector;
            if (problem == 0) emit Claimed(id, secret);
            else emit Skipped(id, problem);
        }
        _payDue(due);
    }

    /// @inheritdoc IPaymentLocks
    function refundBatch(Terms[] calldata terms) external nonReentrant {
        Due memory due;
        for (uint256 i = 0; i < terms.length; ++i) {
            Terms calldata entry = terms[i];
            LockId id = entry.id();
            LockHash.Words calldata raw = entry.words();
            uint256 time = _slot(id).value;
            bytes4 problem = 0;
            if (time == 0) problem = LockNotOpen.selector;
            else if (block.timestamp < raw.timelock) problem = RefundWindowNotOpen.selector;
            else if (!_closeInBatch(_slot(id), time, raw, raw.sender, due)) problem = TokenPayoutFailed.selector;
            if (problem == 0) emit Refunded(id);
            else emit Skipped(id, problem);
        }
        _payDue(due);
    }

    /// @inheritdoc IPaymentLocks
    function transferInBatch(address token, address to, uint256 amount) external {
        _requireSender(uint160(address(this)));
        IERC20(token).safeTransfer(to, amount);
    }

    /// @inheritdoc IPaymentLocks
    function lockId(Terms calldata terms) external view returns (LockId) {
        return terms.id();
    }

    /// @inheritdoc IPaymentLocks
    function termsHash(Terms calldata terms) external pure returns (bytes32) {
        return LockSignatures.termsHash(terms);
    }

    /// @inheritdoc IPaymentLocks
    function lockDigest(Terms calldata terms, uint256 nonce, uint256 deadline) external view returns (bytes32) {
        return LockSignatures.lockDigest(terms, nonce, deadline);
    }

    /**
     * @dev Only what has arrived is open: a token that calls back while it is pulled finds nothing to claim, and since
     * pulling is guarded, it cannot lock the same terms either. What is open is clean: whoever closes a lock with a
     * dirty word finds that there is no such lock.
     */
    function _lock(LockId id, Terms calldata terms, bool pulled) private {
        LockHash.Words calldata raw = terms.words();
        if (!raw.isClean()) revert DirtyTerms();
        _requirePayable(raw.recipient, raw.timelock);
        if (raw.amount == 0) revert ZeroAmount();
        bool native = raw.token == 0;
        StorageSlot.Uint256Slot storage slot = _newSlot(id, native ? raw.amount + raw.tip : raw.tip);
        if (!native && !pulled) _pull(terms.token, terms.sender, raw.amount);
        slot.value = block.timestamp;
        terms.emitLocked(id);
    }

    /// @dev Also before a permit is tried, because Solidity's `try` does not catch a call to nothing.
    function _requireToken(address token) private view {
        if (token == address(0)) revert NativeNeedsSender();
        if (token.code.length == 0) revert TokenWithoutCode(token);
    }

    function _pullByPermit2(
        Terms calldata terms,
        Authorization calldata authorization
    ) private nonReentrant exactReceipt(terms.token, terms.amount) {
        PERMIT2.permitWitnessTransferFrom(
            IPermit2.PermitTransferFrom(
                IPermit2.TokenPermissions(terms.token, terms.amount),
                authorization.nonce,
                authorization.deadline
            ),
            IPermit2.SignatureTransferDetails(address(this), terms.amount),
            terms.sender,
            terms.termsHash(),
            LockSignatures.PERMIT2_WITNESS,
            authorization.signature
        );
    }

    /**
     * @dev Closes an open lock and pays it, or leaves it open and answers false. While its token is called the lock is
     * closed, and the batch's guard keeps the same terms from being locked before it is put back.
     */
    function _closeInBatch(
        StorageSlot.Uint256Slot storage slot,
        uint256 time,
        LockHash.Words calldata raw,
        uint256 to,
        Due memory due
    ) private returns (bool) {
        slot.value = 0;
        address receiver = address(uint160(to));
        if (raw.token == 0) {
            if (receiver != due.receiver) {
                _payCoin(due);
                (due.receiver, due.amount) = (receiver, 0);
            }
            due.amount += raw.amount;
        } else if (!_tryTransfer(address(uint160(raw.token)), receiver, raw.amount)) {
            slot.value = time;
            return false;
        }
        due.tips += raw.tip;
        return true;
    }

    function _payDue(Due memory due) private {
        if (due.receiver == msg.sender) (due.amount, due.tips) = (due.amount + due.tips, 0);
        _payCoin(due);
        _payTip(due.tips);
    }

    function _payCoin(Due memory due) private {
        if (due.amount > 0) _payNative(due.receiver, due.amount);
    }

    /// @dev By a call to itself, so that a token that moves funds and then answers false has moved nothing.
    function _tryTransfer(address token, address to, uint256 amount) private returns (bool success) {
        uint256 available = gasleft();
        bytes memory call = abi.encodeCall(this.transferInBatch, (token, to, amount));
        success = address(this).callWith(TOKEN_GAS, call);
        require(success || available >= TOKEN_RESERVE, PayoutStarved(available, TOKEN_RESERVE));
    }
}
