// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IHashedTimelock, LockId} from "./interfaces/IHashedTimelock.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";

/// @dev What it does and promises is said in {IHashedTimelock}. One per chain, deployed as it is.
contract HashedTimelock is IHashedTimelock, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using BoundedCall for address;

    bytes32 private constant LOCK_TYPEHASH =
        keccak256(
            "Lock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)"
        );

    /// @dev What a receiver of native coin may spend; one that needs more is credited instead.
    uint256 private constant PAYOUT_GAS = 100_000;

    /// @dev With this much left before a payout, the receiver got all of `PAYOUT_GAS` (EIP-150 keeps back 1/64).
    uint256 private constant PAYOUT_RESERVE = 120_000;

    /// @dev One while a lock is open, deleted at its end. A whole word, so that nothing is read back to be masked.
    mapping(LockId id => uint256) private _open;
    mapping(address account => uint256) private _credit;

    /// @inheritdoc IHashedTimelock
    function lock(Terms calldata terms) external payable returns (LockId id) {
        require(msg.sender == terms.sender, NotSender(terms.sender, msg.sender));
        require(
            terms.recipient != address(0) && terms.recipient != address(this),
            InvalidRecipient(terms.recipient)
        );
        require(terms.amount > 0, ZeroAmount());
        require(block.timestamp < terms.timelock, TimelockNotInFuture(terms.timelock, block.timestamp));
        id = lockId(terms);
        require(_open[id] == 0, LockExists(id));

        bool native = terms.token == address(0);
        uint256 value = native ? terms.amount + terms.tip : terms.tip;
        require(msg.value == value, WrongValue(value, msg.value));
        if (!native) _pull(terms.token, terms.amount);
        // Only what has arrived is open: a token that calls back while it is pulled finds nothing to claim. It cannot
        // lock the same terms in between either, since pulling is guarded.
        _open[id] = 1;
        emit Locked(
            id,
            terms.sender,
            terms.recipient,
            terms.token,
            terms.amount,
            terms.hashlock,
            terms.timelock,
            terms.tip
        );
    }

    /// @inheritdoc IHashedTimelock
    function claim(Terms calldata terms, bytes32 secret) external {
        LockId id = _close(terms);
        require(block.timestamp < terms.timelock, ClaimWindowClosed(terms.timelock, block.timestamp));
        bytes32 hashed = sha256(abi.encode(secret));
        require(hashed == terms.hashlock, WrongSecret(terms.hashlock, hashed));
        emit Claimed(id, secret);
        _payOut(terms, terms.recipient);
    }

    /// @inheritdoc IHashedTimelock
    function refund(Terms calldata terms) external {
        LockId id = _close(terms);
        require(block.timestamp >= terms.timelock, RefundWindowNotOpen(terms.timelock, block.timestamp));
        emit Refunded(id);
        _payOut(terms, terms.sender);
    }

    /// @inheritdoc IHashedTimelock
    function withdraw(address to) external {
        uint256 amount = _credit[msg.sender];
        require(amount > 0, NothingToWithdraw(msg.sender));
        require(to != address(0), InvalidRecipient(to));
        delete _credit[msg.sender];
        emit Withdrawn(msg.sender, to, amount);
        require(to.sendValue(amount, gasleft()), WithdrawalRejected(to, amount));
    }

    /// @inheritdoc IHashedTimelock
    function isOpen(LockId id) external view returns (bool) {
        return _open[id] != 0;
    }

    /// @inheritdoc IHashedTimelock
    function creditOf(address account) external view returns (uint256) {
        return _credit[account];
    }

    /// @inheritdoc IHashedTimelock
    function lockId(Terms calldata terms) public view returns (LockId) {
        return LockId.wrap(keccak256(abi.encode(LOCK_TYPEHASH, block.chainid, address(this), terms)));
    }

    /// @dev Guarded, so that a token that calls back cannot nest two measurements and have one receipt count twice.
    function _pull(address token, uint256 amount) private nonReentrant {
        require(token.code.length > 0, TokenWithoutCode(token));
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        require(received == amount, WrongReceipt(token, amount, received));
    }

    function _close(Terms calldata terms) private returns (LockId id) {
        id = lockId(terms);
        require(_open[id] != 0, LockNotOpen(id));
        delete _open[id];
    }

    function _payOut(Terms calldata terms, address receiver) private {
        uint256 tip = terms.tip;
        if (terms.token != address(0)) {
            IERC20(terms.token).safeTransfer(receiver, terms.amount);
        } else if (receiver == msg.sender) {
            return _payNative(receiver, terms.amount + tip);
        } else {
            _payNative(receiver, terms.amount);
        }
        if (tip > 0) _payNative(msg.sender, tip);
    }

    /// @dev A receiver that rejects is credited: it can hold up neither the other side nor whoever finishes the swap.
    function _payNative(address receiver, uint256 amount) private {
        uint256 available = gasleft();
        if (receiver.sendValue(amount, PAYOUT_GAS)) return;
        require(available >= PAYOUT_RESERVE, PayoutStarved(available, PAYOUT_RESERVE));
        _credit[receiver] += amount;
        emit Credited(receiver, amount);
    }
}
