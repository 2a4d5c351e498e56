// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {CoinRejecter, PickyWallet, ReenteringReceiver} from "../../contracts/mocks/HostileRecipients.sol";
import {MoodyToken, SilentToken} from "../../contracts/mocks/HostileTokens.sol";
import {TimelockFixture} from "./TimelockFixture.sol";

/// @dev Claims and refunds of many locks in one call, whatever some of them do.
contract TimelockClosingTest is TimelockFixture {
    IPaymentLocks.Claim[] internal claims;
    IPaymentLocks.Terms[] internal refunds;
    MoodyToken internal moody;

    function setUp() public override {
        super.setUp();
        moody = new MoodyToken();
    }

    /// @dev Locks and adds to both lists. Locks differ by their amounts.
    function add(address asset, address recipient, uint256 amount, uint96 tip) internal returns (LockId id) {
        IPaymentLocks.Terms memory terms = tokenTerms(asset, amount, tip);
        terms.recipient = recipient;
        id = asset == address(0) ? lockNative(terms) : lockToken(terms);
        claims.push(IPaymentLocks.Claim(terms, SECRET));
        refunds.push(terms);
    }

    function expectSkipped(LockId id, bytes4 reason) internal {
        vm.expectEmit(address(timelock));
        emit IPaymentLocks.Skipped(id, reason);
    }

    function closeAll(bool claimed) internal {
        if (!claimed) vm.warp(TIMELOCK);
        vm.prank(STRANGER);
        if (claimed) timelock.claimBatch(claims);
        else timelock.refundBatch(refunds);
    }

    function test_consecutivePayoutsToOneReceiverAreOne() public {
        ReceiptCounter bob = new ReceiptCounter();
        ReceiptCounter carol = new ReceiptCounter();
        add(address(0), address(bob), 1, 0);
        add(address(0), address(bob), 2, 3);
        add(address(0), address(carol), 10, 4);
        add(address(token), BOB, 5, 1);
        add(address(0), address(carol), 20, 0);
        add(address(0), address(bob), 4, 0);
        closeAll(true);
        vm.assertEq(address(bob).balance, 7, "all for one");
        vm.assertEq(bob.receipts(), 2, "in two payments");
        vm.assertEq(address(carol).balance, 30, "all for the other");
        vm.assertEq(carol.receipts(), 1, "tokens in between do not count");
        vm.assertEq(token.balanceOf(BOB), 5, "tokens");
        vm.assertEq(STRANGER.balance, 8, "tips");
        vm.assertEq(address(timelock).balance, 0, "nothing left");
    }

    function test_tipsArePaidOnceAndWithTheLastPayoutIfThatIsTheCallers() public {
        ReceiptCounter caller = new ReceiptCounter();
        add(address(0), BOB, 1, 2);
        add(address(0), address(caller), 10, 3);
        vm.prank(address(caller));
        timelock.claimBatch(claims);
        vm.assertEq(address(caller).balance, 15, "amount and tips");
        vm.assertEq(caller.receipts(), 1, "in one payment");
    }

    function testFuzz_refundsGoToTheirSenders(uint64[4] memory amounts, uint32 tip) public {
        uint256 coin = 0;
        uint256 tokens = 0;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 amount = uint256(amounts[i]) + i + 1;
            IPaymentLocks.Terms memory terms = tokenTerms(i % 2 == 0 ? address(0) : address(token), amount, tip);
            if (timelock.isOpen(timelock.lockId(terms))) continue;
            add(terms.token, BOB, amount, tip);
            if (i % 2 == 0) coin += amount;
            else tokens += amount;
        }
        vm.deal(ALICE, 0);
        closeAll(false);
        vm.assertEq(ALICE.balance, coin, "coin");
        vm.assertEq(token.balanceOf(ALICE), tokens, "tokens");
        vm.assertEq(STRANGER.balance, uint256(tip) * refunds.length, "tips");
    }

    /// @dev A bad entry takes nothing with it: the good ones before and after it are paid.
    function test_badClaimsAreSkippedWithTheirReasons() public {
        add(address(0), BOB, 1, 1);
        LockId closed = add(address(0), BOB, 2, 1);
        timelock.claim(refunds[1], SECRET);
        LockId wrong = add(address(0), BOB, 4, 1);
        claims[2].secret = bytes32(0);
        LockId late = add(address(0), BOB, 8, 1);
        claims[3].terms.timelock = NOW + 1;
        vm.deal(ALICE, 9);
        vm.prank(ALICE);
        late = timelock.createLock{value: 9}(claims[3].terms);
        vm.warp(NOW + 1);
        add(address(0), BOB, 16, 1);
        uint256 before = BOB.balance;
        expectSkipped(closed, ITimelock.LockNotOpen.selector);
        expectSkipped(wrong, ITimelock.WrongSecret.selector);
        expectSkipped(late, ITimelock.ClaimWindowClosed.selector);
        closeAll(true);
        vm.assertEq(BOB.balance - before, 17, "the good ones");
        vm.assertEq(STRANGER.balance, 2, "tips of the good ones");
        vm.assertTrue(timelock.isOpen(wrong) && timelock.isOpen(late), "the bad ones stay open");
    }

    function test_badRefundsAreSkippedWithTheirReasons() public {
        add(address(0), BOB, 1, 1);
        LockId early = add(address(0), BOB, 2, 1);
        refunds[1].timelock = TIMELOCK + 1;
        vm.deal(ALICE, 3);
        vm.prank(ALICE);
        early = timelock.createLock{value: 3}(refunds[1]);
        LockId closed = add(address(0), BOB, 4, 1);
        timelock.claim(refunds[2], SECRET);
        vm.deal(ALICE, 0);
        expectSkipped(early, ITimelock.RefundWindowNotOpen.selector);
        expectSkipped(closed, ITimelock.LockNotOpen.selector);
        closeAll(false);
        vm.assertEq(ALICE.balance, 1, "the good one");
        vm.assertTrue(timelock.isOpen(early), "the early one stays open");
    }

    function test_theSameLockTwiceIsPaidOnce() public {
        LockId id = add(address(0), BOB, 1, 1);
        add(address(0), BOB, 2, 1);
        claims.push(claims[0]);
        expectSkipped(id, ITimelock.LockNotOpen.selector);
        closeAll(true);
        vm.assertEq(BOB.balance, 3, "once");
        vm.assertEq(STRANGER.balance, 2, "one tip each");
    }

    function testFuzz_hostileTokenFailsNothingElse(uint8 mood, bool claimed) public {
        add(address(0), BOB, 1, 1);
        LockId id = add(address(moody), BOB, 5, 1);
        add(address(token), BOB, 7, 1);
        MoodyToken.Mood chosen = MoodyToken.Mood(bound(mood, 1, 6));
        moody.setMood(chosen);
        vm.deal(ALICE, 0);
        uint256 before = gasleft();
        expectSkipped(id, IPaymentLocks.TokenPayoutFailed.selector);
        closeAll(claimed);
        vm.assertTrue(before - gasleft() < 700_000, "a token cannot make others pay much");
        vm.assertTrue(timelock.lockedAt(id) == NOW, "still open, still the same");
        address receiver = claimed ? BOB : ALICE;
        vm.assertEq(receiver.balance, 1, "coin");
        vm.assertEq(token.balanceOf(receiver), 7, "tokens");
        vm.assertEq(STRANGER.balance, 2, "no tip for what failed");

        moody.setMood(MoodyToken.Mood.Kind);
        closeAll(claimed);
        vm.assertEq(moody.balanceOf(receiver), 5, "paid when it can be");
    }

    /// @dev Otherwise one lock could be claimed again and again, from the tokens of all the others.
    function test_tokenThatPaysAndSaysThatItDidNotHasNotPaid() public {
        LockId id = add(address(moody), BOB, 5, 0);
        add(address(moody), BOB, 95, 0);
        claims.push(claims[0]);
        moody.setMood(MoodyToken.Mood.MoveThenFalse);
        expectSkipped(id, IPaymentLocks.TokenPayoutFailed.selector);
        closeAll(true);
        vm.assertEq(moody.balanceOf(address(timelock)), 100, "all of it is still here");
        vm.assertTrue(timelock.isOpen(id), "and locked");
    }

    function test_onlyTheContractItselfTransfersInABatch() public {
        add(address(token), BOB, 5, 0);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NotSender.selector, address(timelock), STRANGER));
        vm.prank(STRANGER);
        timelock.transferInBatch(address(token), STRANGER, 5);
    }

    function test_longAnswerIsNotCopied() public {
        add(address(moody), BOB, 5, 0);
        moody.setMood(MoodyToken.Mood.ReturnAtLength);
        uint256 before = gasleft();
        closeAll(true);
        vm.assertTrue(before - gasleft() < 330_000, "paid once, by the token");
    }

    function test_tokenThatReturnsNothingIsPaid() public {
        SilentToken silent = new SilentToken();
        add(address(silent), BOB, 5, 0);
        closeAll(true);
        vm.assertEq(silent.balanceOf(BOB), 5, "paid");
    }

    function test_tokenThatIsGoneStaysLocked() public {
        LockId id = add(address(moody), BOB, 5, 0);
        vm.etch(address(moody), "");
        expectSkipped(id, IPaymentLocks.TokenPayoutFailed.selector);
        closeAll(true);
        vm.assertTrue(timelock.isOpen(id), "still open");
    }

    /// @dev If the same terms could be locked while their failed payout is under way, putting it back would lose them.
    function test_termsCannotBeLockedWhileTheirPayoutIsTried() public {
        CoinRejecter owner = new CoinRejecter();
        IPaymentLocks.Terms memory terms = tokenTerms(address(moody), 5, 0);
        terms.sender = address(owner);
        lockToken(terms);
        fund(terms);
        claims.push(IPaymentLocks.Claim(terms, SECRET));
        bytes memory relock = abi.encodeCall(timelock.createLock, (terms));
        moody.prepare(address(owner), abi.encodeCall(owner.execute, (address(timelock), relock, 0)));
        timelock.claimBatch(claims);
        vm.assertTrue(!moody.called(), "refused");
        vm.assertEq(moody.balanceOf(address(timelock)), 5, "one lock, one amount");
        vm.assertTrue(timelock.isOpen(timelock.lockId(terms)), "put back");
    }

    /// @dev While a payout is tried its lock is closed: nobody can be paid by it in between and then once more.
    function test_tokenCannotCloseTheLockWhileItsPayoutIsTried() public {
        add(address(moody), BOB, 5, 0);
        add(address(moody), BOB, 6, 0);
        moody.prepare(address(timelock), abi.encodeCall(timelock.claim, (refunds[0], SECRET)));
        claims.pop();
        timelock.claimBatch(claims);
        vm.assertTrue(!moody.called(), "not open");
        vm.assertTrue(timelock.isOpen(timelock.lockId(refunds[0])), "put back");
    }

    function testFuzz_hostileReceiverFailsNothingElse(uint8 manner, bool claimed) public {
        CoinRejecter rejecter = new CoinRejecter();
        rejecter.setManner(CoinRejecter.Manner(bound(manner, 1, 3)));
        add(address(0), BOB, 1, 1);
        IPaymentLocks.Terms memory terms = nativeTerms(2, 1);
        if (claimed) terms.recipient = address(rejecter);
        else terms.sender = address(rejecter);
        lockNative(terms);
        claims.push(IPaymentLocks.Claim(terms, SECRET));
        refunds.push(terms);
        add(address(0), BOB, 4, 1);
        vm.deal(ALICE, 0);
        uint256 before = gasleft();
        closeAll(claimed);
        vm.assertTrue(before - gasleft() < 400_000, "a receiver cannot make others pay much");
        vm.assertEq(timelock.creditOf(address(rejecter)), 2, "credited");
        vm.assertEq((claimed ? BOB : ALICE).balance, 5, "others are paid");
        vm.assertEq(STRANGER.balance, 3, "tips");
    }

    function test_receiverThatClaimsInBetweenIsPaidOnce() public {
        ReenteringReceiver receiver = new ReenteringReceiver();
        add(address(0), address(receiver), 1, 0);
        add(address(0), BOB, 2, 0);
        LockId later = add(address(0), address(receiver), 4, 0);
        receiver.prepare(address(timelock), abi.encodeCall(timelock.claim, (refunds[2], SECRET)));
        expectSkipped(later, ITimelock.LockNotOpen.selector);
        closeAll(true);
        vm.assertTrue(receiver.succeeded(), "claimed in between");
        vm.assertEq(address(receiver).balance, 5, "each once");
        vm.assertEq(BOB.balance, 2, "others too");
        vm.assertEq(address(timelock).balance, 0, "nothing missing");
    }

    function test_batchesDoNotNest() public {
        ReenteringReceiver receiver = new ReenteringReceiver();
        add(address(0), address(receiver), 1, 0);
        receiver.prepare(address(timelock), abi.encodeCall(timelock.refundBatch, (refunds)));
        closeAll(true);
        vm.assertTrue(!receiver.succeeded(), "refused");
        vm.assertEq(address(receiver).balance, 1, "paid");
    }

    /// @dev From one gas limit to the next: a token or wallet that can be paid is paid, or nothing happens at all.
    function test_callerCannotStarveAnEntry() public {
        PickyWallet wallet = new PickyWallet();
        add(address(token), BOB, 5, 0);
        add(address(0), address(wallet), 1, 0);
        bytes memory data = abi.encodeCall(timelock.claimBatch, (claims));
        LockId id = timelock.lockId(refunds[0]);
        bool paid = false;
        for (uint256 gasGiven = 40_000; !paid; gasGiven += 2_000) {
            (paid, ) = address(timelock).call{gas: gasGiven}(data);
            vm.assertTrue(timelock.isOpen(id) == !paid, "all or nothing");
        }
        vm.assertEq(token.balanceOf(BOB), 5, "tokens");
        vm.assertEq(address(wallet).balance, 1, "coin");
    }

    function test_reserveCoversAllThatATokenMaySpend() public {
        HungryToken hungry = new HungryToken();
        add(address(hungry), BOB, 5, 0);
        bytes memory data = abi.encodeCall(timelock.claimBatch, (claims));
        bool paid = false;
        for (uint256 gasGiven = 230_000; !paid; gasGiven += 500) {
            (paid, ) = address(timelock).call{gas: gasGiven}(data);
        }
        vm.assertEq(hungry.balanceOf(BOB), 5, "paid, not skipped");
    }

    function test_starvedTokenSaysSo() public {
        add(address(moody), BOB, 5, 0);
        moody.setMood(MoodyToken.Mood.Revert);
        (bool success, bytes memory returned) = address(timelock).call{gas: 200_000}(
            abi.encodeCall(timelock.claimBatch, (claims))
        );
        vm.assertTrue(!success && bytes4(returned) == ITimelock.PayoutStarved.selector, "starved");
    }
}

contract ReceiptCounter {
    uint256 public receipts;

    receive() external payable {
        ++receipts;
    }
}

/// @dev Pays only with nearly all of the gas that a batch gives a token.
contract HungryToken is SilentToken {
    function transfer(address to, uint256 amount) public override {
        require(gasleft() > 250_000, "more gas");
        super.transfer(to, amount);
    }
}
