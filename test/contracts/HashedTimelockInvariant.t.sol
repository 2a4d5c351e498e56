// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HashedTimelock} from "../../contracts/HashedTimelock.sol";
import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {CoinRejecter} from "../../contracts/mocks/HostileRecipients.sol";
import {TestToken} from "../../contracts/mocks/TestToken.sol";
import {TestBase} from "./Vm.sol";

/// @dev Locks and closes at random and keeps its own books of what must be in the contract.
contract TimelockHandler is TestBase {
    HashedTimelock public immutable timelock = HashedTimelock(deployTimelock());
    TestToken public immutable token = new TestToken("Test", "TEST", 6);
    CoinRejecter public immutable rejecter = new CoinRejecter();
    uint256 public coinOwed;
    uint256 public tokensOwed;

    uint256 private _time = 1_800_000_000;
    bytes32[] private _secrets;
    IPaymentLocks.Terms[] private _open;

    function lock(uint256 amount, uint96 tip, uint32 duration, bool native, bool rejected) external {
        amount = bound(amount, 1, 1e24);
        bytes32 secret = keccak256(abi.encode(_secrets.length, _time));
        IPaymentLocks.Terms memory terms = IPaymentLocks.Terms({
            sender: address(this),
            recipient: rejected ? address(rejecter) : address(0xB0B),
            token: native ? address(0) : address(token),
            amount: amount,
            hashlock: sha256(abi.encode(secret)),
            timelock: uint64(_time + 1 + duration),
            tip: tip
        });
        vm.warp(_time);
        vm.deal(address(this), amount + tip);
        token.mint(address(this), amount);
        token.approve(address(timelock), amount);
        timelock.createLock{value: native ? amount + tip : tip}(terms);
        _secrets.push(secret);
        _open.push(terms);
        coinOwed += native ? amount + tip : tip;
        if (!native) tokensOwed += amount;
    }

    function close(uint256 index, uint32 later) external {
        if (_open.length == 0) return;
        index %= _open.length;
        IPaymentLocks.Terms memory terms = _open[index];
        _time += later % 1 hours;
        vm.warp(_time);
        uint256 creditBefore = timelock.creditOf(address(rejecter));
        if (_time < terms.timelock) timelock.claim(terms, _secrets[index]);
        else timelock.refund(terms);
        coinOwed -= terms.token == address(0) ? terms.amount + terms.tip : terms.tip;
        coinOwed += timelock.creditOf(address(rejecter)) - creditBefore;
        if (terms.token != address(0)) tokensOwed -= terms.amount;
        (_open[index], _secrets[index]) = (_open[_open.length - 1], _secrets[_secrets.length - 1]);
        _open.pop();
        _secrets.pop();
    }

    receive() external payable {}
}

contract HashedTimelockInvariantTest is TestBase {
    TimelockHandler internal handler;

    function setUp() public {
        handler = new TimelockHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev What is in the contract is what open locks and credits add up to.
    function invariant_booksBalance() public view {
        vm.assertEq(address(handler.timelock()).balance, handler.coinOwed(), "coin");
        vm.assertEq(handler.token().balanceOf(address(handler.timelock())), handler.tokensOwed(), "tokens");
    }
}
