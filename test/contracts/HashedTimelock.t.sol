// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {TimelockFixture} from "./TimelockFixture.sol";

/// @dev Windows, secrets, ids and who may do what.
contract HashedTimelockTest is TimelockFixture {
    function test_lockTakesNativeCoinAndSaysSo() public {
        IPaymentLocks.Terms memory terms = nativeTerms(3 ether, 1 gwei);
        LockId id = timelock.lockId(terms);
        vm.expectEmit(address(timelock));
        emit IPaymentLocks.Locked(id, ALICE, BOB, address(0), 3 ether, terms.hashlock, TIMELOCK, 1 gwei);
        lockNative(terms);
        vm.assertTrue(timelock.isOpen(id), "open");
        vm.assertEq(address(timelock).balance, 3 ether + 1 gwei, "balance");
    }

    function test_lockTakesExactlyTheTokens() public {
        IPaymentLocks.Terms memory terms = tokenTerms(address(token), 500, 7);
        vm.assertTrue(timelock.isOpen(lockToken(terms)), "open");
        vm.assertEq(token.balanceOf(address(timelock)), 500, "tokens");
        vm.assertEq(address(timelock).balance, 7, "tip");
    }

    function test_idBindsChainContractAndEveryTerm() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 2);
        bytes32 id = LockId.unwrap(timelock.lockId(terms));
        bytes32 typehash = keccak256(
            "Lock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)"
        );
        bytes32 expected = keccak256(
            abi.encode(
                typehash,
                block.chainid,
                address(timelock),
                ALICE,
                BOB,
                address(0),
                uint256(1),
                terms.hashlock,
                TIMELOCK,
                uint96(2)
            )
        );
        vm.assertEq(id, expected, "formula");
        vm.chainId(77);
        vm.assertTrue(id != LockId.unwrap(timelock.lockId(terms)), "other chain, other id");
    }

    function test_lockIsRefusedForAnyoneButTheSender() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        vm.deal(STRANGER, 1);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NotSender.selector, ALICE, STRANGER));
        vm.prank(STRANGER);
        timelock.createLock{value: 1}(terms);
    }

    function test_lockIsRefusedForRecipientsThatCouldNeverBePaid() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        terms.recipient = address(0);
        expectRefusal(terms, 1, abi.encodeWithSelector(ITimelock.InvalidRecipient.selector, address(0)));
        terms.recipient = address(timelock);
        expectRefusal(terms, 1, abi.encodeWithSelector(ITimelock.InvalidRecipient.selector, address(timelock)));
    }

    function test_lockOfNothingIsRefused() public {
        expectRefusal(nativeTerms(0, 0), 0, abi.encodeWithSelector(ITimelock.ZeroAmount.selector));
    }

    function test_lockNeedsATimelockInTheFuture() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        vm.warp(TIMELOCK);
        bytes memory reason = abi.encodeWithSelector(
            ITimelock.TimelockNotInFuture.selector,
            TIMELOCK,
            uint256(TIMELOCK)
        );
        expectRefusal(terms, 1, reason);
        vm.warp(TIMELOCK - 1);
        lockNative(terms);
    }

    function testFuzz_lockNeedsExactlyTheValue(uint128 amount, uint96 tip, uint128 value, bool native) public {
        vm.assume(amount > 0);
        uint256 expected = native ? uint256(amount) + tip : tip;
        vm.assume(value != expected);
        IPaymentLocks.Terms memory terms = tokenTerms(native ? address(0) : address(token), amount, tip);
        vm.deal(ALICE, value);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.WrongValue.selector, expected, value));
        vm.prank(ALICE);
        timelock.createLock{value: value}(terms);
    }

    function test_openTermsCannotBeLockedAgain() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        LockId id = lockNative(terms);
        expectRefusal(terms, 1, abi.encodeWithSelector(ITimelock.LockExists.selector, id));
    }

    function test_closedTermsCanBeLockedAgain() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        lockNative(terms);
        timelock.claim(terms, SECRET);
        LockId id = lockNative(terms);
        vm.assertTrue(timelock.isOpen(id), "open again");
    }

    function test_anyoneClaimsForTheRecipientUntilTheLastSecond() public {
        IPaymentLocks.Terms memory terms = nativeTerms(3 ether, 1 gwei);
        LockId id = lockNative(terms);
        vm.warp(TIMELOCK - 1);
        vm.expectEmit(address(timelock));
        emit ITimelock.Claimed(id, SECRET);
        vm.prank(STRANGER);
        timelock.claim(terms, SECRET);
        vm.assertEq(BOB.balance, 3 ether, "amount");
        vm.assertEq(STRANGER.balance, 1 gwei, "tip");
        vm.assertTrue(!timelock.isOpen(id), "closed");
    }

    function test_recipientClaimsAmountAndTipInOnePayment() public {
        IPaymentLocks.Terms memory terms = nativeTerms(3 ether, 1 gwei);
        lockNative(terms);
        vm.prank(BOB);
        timelock.claim(terms, SECRET);
        vm.assertEq(BOB.balance, 3 ether + 1 gwei, "both");
    }

    function test_claimIsRefusedFromTheTimelockOn() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        lockNative(terms);
        vm.warp(TIMELOCK);
        vm.expectRevert(
            abi.encodeWithSelector(ITimelock.ClaimWindowClosed.selector, TIMELOCK, uint256(TIMELOCK))
        );
        timelock.claim(terms, SECRET);
    }

    function testFuzz_claimNeedsTheSecret(bytes32 guess) public {
        vm.assume(guess != SECRET);
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        LockId id = lockNative(terms);
        vm.expectRevert(
            abi.encodeWithSelector(
                ITimelock.WrongSecret.selector,
                terms.hashlock,
                sha256(abi.encodePacked(guess))
            )
        );
        timelock.claim(terms, guess);
        vm.assertTrue(timelock.isOpen(id), "still open");
    }

    function test_anyoneRefundsToTheSenderFromTheTimelockOn() public {
        IPaymentLocks.Terms memory terms = nativeTerms(3 ether, 1 gwei);
        LockId id = lockNative(terms);
        vm.warp(TIMELOCK);
        vm.expectEmit(address(timelock));
        emit ITimelock.Refunded(id);
        vm.prank(STRANGER);
        timelock.refund(terms);
        vm.assertEq(ALICE.balance, 3 ether, "amount");
        vm.assertEq(STRANGER.balance, 1 gwei, "tip");
    }

    function test_refundIsRefusedBeforeTheTimelock() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        lockNative(terms);
        vm.warp(TIMELOCK - 1);
        vm.expectRevert(
            abi.encodeWithSelector(ITimelock.RefundWindowNotOpen.selector, TIMELOCK, uint256(TIMELOCK) - 1)
        );
        timelock.refund(terms);
    }

    /// @dev At any second exactly one of claim and refund is possible, and it is possible once.
    function testFuzz_windowsNeverOverlap(uint64 time, bool claimFirst) public {
        vm.assume(time >= NOW);
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        lockNative(terms);
        vm.warp(time);
        bytes memory claimCall = abi.encodeCall(timelock.claim, (terms, SECRET));
        bytes memory refundCall = abi.encodeCall(timelock.refund, (terms));
        (bool first, ) = address(timelock).call(claimFirst ? claimCall : refundCall);
        (bool second, ) = address(timelock).call(claimFirst ? refundCall : claimCall);
        vm.assertTrue(first != second, "exactly one");
        vm.assertTrue((claimFirst ? first : second) == (time < TIMELOCK), "the right one");
        (bool again, ) = address(timelock).call(claimCall);
        vm.assertTrue(!again, "no second claim");
    }

    function test_closedAndForeignLocksCannotBeClosed() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        LockId id = lockNative(terms);
        timelock.claim(terms, SECRET);
        bytes memory reason = abi.encodeWithSelector(ITimelock.LockNotOpen.selector, id);
        vm.expectRevert(reason);
        timelock.claim(terms, SECRET);
        vm.warp(TIMELOCK);
        vm.expectRevert(reason);
        timelock.refund(terms);

        terms.amount = 2;
        vm.expectRevert(abi.encodeWithSelector(ITimelock.LockNotOpen.selector, timelock.lockId(terms)));
        timelock.refund(terms);
    }

    /// @dev Locks that differ only in their amount, as a griefer's 1-wei copy does, know nothing of each other.
    function test_aCopyWithTheSameHashlockChangesNothing() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        IPaymentLocks.Terms memory copy = nativeTerms(1, 0);
        copy.sender = STRANGER;
        lockNative(copy);
        LockId id = lockNative(terms);
        timelock.claim(copy, SECRET);
        vm.assertTrue(timelock.isOpen(id), "the real one is open");
        timelock.claim(terms, SECRET);
        vm.assertEq(BOB.balance, 1 ether + 1, "both paid");
    }

    function testFuzz_whatGoesInComesOut(uint128 amount, uint96 tip, bool native, bool claimed) public {
        vm.assume(amount > 0);
        IPaymentLocks.Terms memory terms = tokenTerms(native ? address(0) : address(token), amount, tip);
        if (native) lockNative(terms);
        else lockToken(terms);
        if (!claimed) vm.warp(TIMELOCK);
        vm.prank(STRANGER);
        if (claimed) timelock.claim(terms, SECRET);
        else timelock.refund(terms);
        address receiver = claimed ? BOB : ALICE;
        vm.assertEq(native ? receiver.balance : token.balanceOf(receiver), amount, "amount");
        vm.assertEq(STRANGER.balance, tip, "tip");
        vm.assertEq(address(timelock).balance, 0, "no coin left");
        vm.assertEq(token.balanceOf(address(timelock)), 0, "no token left");
    }
}
