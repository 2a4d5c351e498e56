// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IPaymentLocks} from "../interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../interfaces/ITimelock.sol";
import {LockHash} from "../libraries/LockHash.sol";
import {LockSignatures} from "../libraries/LockSignatures.sol";

/**
 * @dev A timelock that is sound but for one flaw, each of which was found in a swap contract that people use. Tests run
 * one and the same attack on this and on the real contract: here it must succeed.
 */
contract FlawedTimelock {
    using LockHash for IPaymentLocks.Terms;
    using LockSignatures for IPaymentLocks.Terms;

    enum Flaw {
        ClaimAfterTimelock,
        BothInTheSameSecond,
        ReusableSignature,
        TokenWithoutCode,
        IdByHashlock,
        NoExactReceipt,
        WantsAnAnswer,
        PayoutByTransfer
    }

    Flaw public immutable flaw;
    mapping(bytes32 id => bool) private _open;
    mapping(address account => mapping(uint256 nonce => bool)) private _used;

    constructor(Flaw flaw_) {
        flaw = flaw_;
    }

    function createLock(IPaymentLocks.Terms calldata terms) external payable {
        require(msg.sender == terms.sender, "sender");
        _lock(terms);
    }

    function lockSigned(
        IPaymentLocks.Terms calldata terms,
        ITimelock.Authorization calldata authorization
    ) external payable {
        bytes32 digest = terms.lockDigest(authorization.nonce, authorization.deadline);
        require(ECDSA.recoverCalldata(digest, authorization.signature) == terms.sender, "signature");
        require(flaw == Flaw.ReusableSignature || !_used[terms.sender][authorization.nonce], "nonce");
        _used[terms.sender][authorization.nonce] = true;
        _lock(terms);
    }

    function claim(IPaymentLocks.Terms calldata terms, bytes32 secret) external {
        bool inTime = block.timestamp < terms.timelock;
        if (flaw == Flaw.BothInTheSameSecond) inTime = block.timestamp <= terms.timelock;
        require(inTime || flaw == Flaw.ClaimAfterTimelock, "late");
        require(sha256(abi.encode(secret)) == terms.hashlock, "secret");
        _close(terms, terms.recipient);
    }

    function refund(IPaymentLocks.Terms calldata terms) external {
        require(block.timestamp >= terms.timelock, "early");
        _close(terms, terms.sender);
    }

    function lockDigest(
        IPaymentLocks.Terms calldata terms,
        uint256 nonce,
        uint256 deadline
    ) external view returns (bytes32) {
        return LockSignatures.lockDigest(terms, nonce, deadline);
    }

    function _lock(IPaymentLocks.Terms calldata terms) private {
        bytes32 id = _id(terms);
        require(!_open[id], "exists");
        _open[id] = true;
        if (terms.token == address(0)) {
            require(msg.value == terms.amount, "value");
            return;
        }
        uint256 before = _balance(terms.token);
        _call(terms.token, abi.encodeCall(IERC20.transferFrom, (terms.sender, address(this), terms.amount)));
        bool exact = _balance(terms.token) - before == terms.amount;
        require(exact || flaw == Flaw.NoExactReceipt || flaw == Flaw.TokenWithoutCode, "receipt");
    }

    function _close(IPaymentLocks.Terms calldata terms, address receiver) private {
        bytes32 id = _id(terms);
        require(_open[id], "not open");
        _open[id] = false;
        if (terms.token != address(0)) {
            _call(terms.token, abi.encodeCall(IERC20.transfer, (receiver, terms.amount)));
        } else {
            // `transfer` gives the receiver the stipend of 2,300 gas and no more.
            uint256 gasGiven = flaw == Flaw.PayoutByTransfer ? 0 : gasleft();
            (bool success, ) = receiver.call{value: terms.amount, gas: gasGiven}("");
            require(success, "payout");
        }
    }

    function _id(IPaymentLocks.Terms calldata terms) private view returns (bytes32) {
        return flaw == Flaw.IdByHashlock ? terms.hashlock : LockId.unwrap(terms.id());
    }

    function _balance(address token) private view returns (uint256) {
        return flaw == Flaw.TokenWithoutCode && token.code.length == 0 ? 0 : IERC20(token).balanceOf(address(this));
    }

    function _call(address token, bytes memory data) private {
        require(token.code.length > 0 || flaw == Flaw.TokenWithoutCode, "no code");
        (bool success, bytes memory returned) = token.call(data);
        require(success, "token");
        if (returned.length == 0 && flaw != Flaw.WantsAnAnswer) return;
        require(abi.decode(returned, (bool)), "token said no");
    }
}
