// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {StorageSlot} from "@openzeppelin/contracts/utils/StorageSlot.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {ITimelock, LockId} from "../interfaces/ITimelock.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {LockHash} from "../libraries/LockHash.sol";
import {LockSignatures} from "../libraries/LockSignatures.sol";

/// @dev What is stored, and what every kind of lock does alike: windows, secrets, signatures, receipts and payouts.
abstract contract LockStore is ITimelock, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using BoundedCall for address;
    using BitMaps for BitMaps.BitMap;

    /// @dev What a receiver of native coin may spend; one that needs more is credited instead.
    uint256 private constant PAYOUT_GAS = 100_000;

    /// @dev With this much left before a payout, the receiver got all of `PAYOUT_GAS` (EIP-150 keeps back 1/64).
    uint256 private constant PAYOUT_RESERVE = 120_000;

    mapping(address account => uint256) private _credit;
    mapping(address account => BitMaps.BitMap) private _usedNonces;

    /// @dev Guarded, so that a token that calls back cannot nest two measurements and have one receipt count twice.
    modifier exactReceipt(address token, uint256 amount) {
        require(token.code.length > 0, TokenWithoutCode(token));
        uint256 before = IERC20(token).balanceOf(address(this));
        _;
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        require(received == amount, WrongReceipt(token, amount, received));
    }

    /// @inheritdoc ITimelock
    function withdraw(address to) external {
        _withdraw(msg.sender, to);
    }

    /// @inheritdoc ITimelock
    function withdrawFor(address account) external {
        _withdraw(account, account);
    }

    /// @inheritdoc ITimelock
    function cancelNonces(uint256 word, uint256 mask) external {
        _usedNonces[msg.sender]._data[word] |= mask;
        emit NoncesCancelled(msg.sender, word, mask);
    }

    /// @inheritdoc ITimelock
    function isNonceUsed(address account, uint256 nonce) external view returns (bool) {
        return _usedNonces[account].get(nonce);
    }

    /// @inheritdoc ITimelock
    function isOpen(LockId id) external view returns (bool) {
        return _slot(id).value != 0;
    }

    /// @inheritdoc ITimelock
    function lockedAt(LockId id) external view returns (uint64) {
        return uint64(_slot(id).value);
    }

    /// @inheritdoc ITimelock
    function creditOf(address account) external view returns (uint256) {
        return _credit[account];
    }

    /// @inheritdoc ITimelock
    function earlyRefundDigest(
        LockId id,
        uint256 time,
        uint256 nonce,
        uint256 deadline
    ) external view returns (bytes32) {
        return LockSignatures.earlyRefundDigest(id, time, nonce, deadline);
    }

    /**
     * @dev `block.timestamp` of the lock while it is open, deleted at its end. A batch keeps its open leaves above the
     * lowest 64 bits. An id is a hash already, of at least four words that begin with a type hash, so it is the place
     * itself: hashing it into a mapping (two words, as all of Solidity's own places) would make it no more unique.
     */
    function _slot(LockId id) internal pure returns (StorageSlot.Uint256Slot storage) {
        return StorageSlot.getUint256Slot(LockId.unwrap(id));
    }

    function _requireSender(uint256 sender) internal view {
        if (sender != uint160(msg.sender)) revert NotSender(address(uint160(sender)), msg.sender);
    }

    /// @dev Refuses what could never be paid out.
    function _requirePayable(uint256 recipient, uint256 timelock) internal view {
        if (recipient == 0) revert InvalidRecipient(address(0));
        if (recipient == uint160(address(this))) revert InvalidRecipient(address(this));
        if (block.timestamp >= timelock) revert TimelockNotInFuture(uint64(timelock), block.timestamp);
    }

    /// @dev The place for a new lock, when the value sent is what it should be and no such lock is open.
    function _newSlot(LockId id, uint256 value) internal view returns (StorageSlot.Uint256Slot storage slot) {
        if (msg.value != value) revert WrongValue(value, msg.value);
        slot = _slot(id);
        if (slot.value != 0) revert LockExists(id);
    }

    function _requireClaimable(bytes32 hashlock, uint256 timelock, bytes32 secret) internal view {
        if (block.timestamp >= timelock) revert ClaimWindowClosed(uint64(timelock), block.timestamp);
        bytes32 hashed = LockHash.ofSecret(secret);
        if (hashed != hashlock) revert WrongSecret(hashlock, hashed);
    }

    function _requireExpired(uint256 timelock) internal view {
        if (block.timestamp < timelock) revert RefundWindowNotOpen(uint64(timelock), block.timestamp);
    }

    /// @dev Closes a lock and answers when it was locked.
    function _close(LockId id) internal returns (uint256 time) {
        StorageSlot.Uint256Slot storage slot = _slot(id);
        time = slot.value;
        if (time == 0) revert LockNotOpen(id);
        slot.value = 0;
    }

    /// @dev Uses up the nonce, so that the signature opens or closes this one lock and never another.
    function _authorize(address signer, bytes32 digest, Authorization calldata authorization) internal {
        (uint256 nonce, uint256 deadline) = (authorization.nonce, authorization.deadline);
        require(block.timestamp <= deadline, SignatureExpired(deadline, block.timestamp));
        require(!_usedNonces[signer].get(nonce), NonceUsed(signer, nonce));
        _usedNonces[signer].set(nonce);
        bool valid = SignatureChecker.isValidSignatureNowCalldata(signer, digest, authorization.signature);
        require(valid, InvalidSignature(signer));
    }

    function _authorizeRefund(
        LockId id,
        uint256 time,
        address recipient,
        Authorization calldata authorization
    ) internal {
        bytes32 digest = LockSignatures.earlyRefundDigest(id, time, authorization.nonce, authorization.deadline);
        _authorize(recipient, digest, authorization);
        emit Refunded(id);
    }

    /// @dev From the allowance of `from`.
    function _pull(address token, address from, uint256 amount) internal nonReentrant exactReceipt(token, amount) {
        IERC20(token).safeTransferFrom(from, address(this), amount);
    }

    function _payOut(LockHash.Words calldata raw, uint256 to) internal {
        address receiver = address(uint160(to));
        (uint256 amount, uint256 tip) = (raw.amount, raw.tip);
        if (raw.token != 0) {
            IERC20(address(uint160(raw.token))).safeTransfer(receiver, amount);
        } else if (receiver == msg.sender) {
            return _payNative(receiver, amount + tip);
        } else {
            _payNative(receiver, amount);
        }
        _payTip(tip);
    }

    function _payTip(uint256 tip) internal {
        if (tip > 0) _payNative(msg.sender, tip);
    }

    function _withdraw(address account, address to) private {
        uint256 amount = _credit[account];
        require(amount > 0, NothingToWithdraw(account));
        require(to != address(0), InvalidRecipient(to));
        delete _credit[account];
        emit Withdrawn(account, to, amount);
        require(to.sendValue(amount, gasleft()), WithdrawalRejected(to, amount));
    }

    /// @dev A receiver that rejects is credited: it can hold up neither the other side nor whoever finishes the swap.
    function _payNative(address receiver, uint256 amount) internal {
        uint256 available = gasleft();
        if (receiver.sendValue(amount, PAYOUT_GAS)) return;
        require(available >= PAYOUT_RESERVE, PayoutStarved(available, PAYOUT_RESERVE));
        _credit[receiver] += amount;
        emit Credited(receiver, amount);
    }
}
