// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {CoinRejecter, PickyWallet, ReenteringReceiver, ThirstyWallet} from "../../contracts/mocks/HostileRecipients.sol";
import {FalseToken, FeeToken, HookToken, LyingToken, PlainToken, SilentToken} from "../../contracts/mocks/HostileTokens.sol";
import {TimelockFixture} from "./TimelockFixture.sol";

/// @dev Tokens and receivers that do not behave.
contract HashedTimelockHostileTest is TimelockFixture {
    CoinRejecter internal rejecter;

    function setUp() public override {
        super.setUp();
        rejecter = new CoinRejecter();
    }

    function test_addressWithoutCodeIsNoToken() public {
        IPaymentLocks.Terms memory terms = tokenTerms(address(0xDEAD), 5, 0);
        expectRefusal(terms, 0, abi.encodeWithSelector(ITimelock.TokenWithoutCode.selector, address(0xDEAD)));
    }

    function test_tokenThatTakesAFeeIsRefused() public {
        IPaymentLocks.Terms memory terms = tokenTerms(address(new FeeToken()), 1000, 0);
        fund(terms);
        bytes memory reason = abi.encodeWithSelector(
            ITimelock.WrongReceipt.selector,
            terms.token,
            uint256(1000),
            uint256(990)
        );
        expectRefusal(terms, 0, reason);
    }

    function test_tokenThatDeliversMoreIsRefused() public {
        IPaymentLocks.Terms memory terms = tokenTerms(address(new GenerousToken()), 5, 0);
        fund(terms);
        expectRefusal(terms, 0, abi.encodeWithSelector(ITimelock.WrongReceipt.selector, terms.token, 5, 6));
    }

    function test_tokenThatMovesNothingIsRefused() public {
        IPaymentLocks.Terms memory terms = tokenTerms(address(new LyingToken()), 5, 0);
        fund(terms);
        bytes memory reason = abi.encodeWithSelector(
            ITimelock.WrongReceipt.selector,
            terms.token,
            uint256(5),
            uint256(0)
        );
        expectRefusal(terms, 0, reason);
    }

    function test_tokenThatReturnsFalseIsRefusedAndItsLockStaysOpen() public {
        FalseToken falseToken = new FalseToken();
        IPaymentLocks.Terms memory terms = tokenTerms(address(falseToken), 5, 0);
        fund(terms);
        bytes memory reason = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, terms.token);
        expectRefusal(terms, 0, reason);

        falseToken.setRefusing(false);
        LockId id = lockToken(terms);
        falseToken.setRefusing(true);
        vm.expectRevert(reason);
        timelock.claim(terms, SECRET);
        vm.assertTrue(timelock.isOpen(id), "still open");
        vm.warp(TIMELOCK);
        falseToken.setRefusing(false);
        timelock.refund(terms);
        vm.assertEq(falseToken.balanceOf(ALICE), 10, "refunded");
    }

    function test_tokenThatReturnsNothingWorks() public {
        SilentToken silent = new SilentToken();
        IPaymentLocks.Terms memory terms = tokenTerms(address(silent), 5, 0);
        lockToken(terms);
        timelock.claim(terms, SECRET);
        vm.assertEq(silent.balanceOf(BOB), 5, "claimed");
    }

    /// @dev A lock inside a lock could count one receipt twice.
    function test_tokenCannotNestLocks() public {
        HookToken hook = new HookToken();
        CoinRejecter inner = new CoinRejecter();
        IPaymentLocks.Terms memory terms = tokenTerms(address(hook), 5, 0);
        fund(terms);
        IPaymentLocks.Terms memory nested = tokenTerms(address(hook), 5, 0);
        nested.sender = address(inner);
        hook.prepare(
            address(inner),
            abi.encodeCall(inner.execute, (address(timelock), abi.encodeCall(timelock.createLock, (nested)), 0))
        );
        expectRefusal(
            terms,
            0,
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
    }

    /// @dev A lock is open only when its tokens have arrived; a claim in between would be paid from others' funds.
    function test_tokenCannotClaimBeforeItPaid() public {
        HookToken hook = new HookToken();
        IPaymentLocks.Terms memory others = tokenTerms(address(hook), 5, 0);
        others.sender = STRANGER;
        lockToken(others);
        IPaymentLocks.Terms memory terms = tokenTerms(address(hook), 5, 0);
        fund(terms);
        hook.prepare(address(timelock), abi.encodeCall(timelock.claim, (terms, SECRET)));
        expectRefusal(
            terms,
            0,
            abi.encodeWithSelector(ITimelock.LockNotOpen.selector, timelock.lockId(terms))
        );
        vm.assertEq(hook.balanceOf(address(timelock)), 5, "others' funds are there");
    }

    function testFuzz_rejectedPayoutIsCreditedAndWithdrawn(uint8 manner, bool claimed) public {
        rejecter.setManner(CoinRejecter.Manner(bound(manner, 1, 3)));
        IPaymentLocks.Terms memory terms = lockBetweenRejecters(claimed);
        if (!claimed) vm.warp(TIMELOCK);
        uint256 before = gasleft();
        vm.expectEmit(address(timelock));
        emit ITimelock.Credited(address(rejecter), 3 ether);
        vm.prank(STRANGER);
        if (claimed) timelock.claim(terms, SECRET);
        else timelock.refund(terms);
        vm.assertTrue(before - gasleft() < 250_000, "a receiver cannot make others pay much");
        vm.assertEq(timelock.creditOf(address(rejecter)), 3 ether, "credit");
        vm.assertEq(STRANGER.balance, 1, "tip is paid nevertheless");

        vm.expectEmit(address(timelock));
        emit ITimelock.Withdrawn(address(rejecter), BOB, 3 ether);
        rejecter.execute(address(timelock), abi.encodeCall(timelock.withdraw, (BOB)), 0);
        vm.assertEq(BOB.balance, 3 ether, "withdrawn");
        vm.assertEq(timelock.creditOf(address(rejecter)), 0, "credit is used");
    }

    function test_rejectedTipIsCreditedToo() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 5);
        lockNative(terms);
        rejecter.execute(address(timelock), abi.encodeCall(timelock.claim, (terms, SECRET)), 0);
        vm.assertEq(BOB.balance, 1 ether, "amount");
        vm.assertEq(timelock.creditOf(address(rejecter)), 5, "tip");
    }

    function test_creditsAddUp() public {
        IPaymentLocks.Terms memory terms = nativeTerms(1, 0);
        terms.recipient = address(rejecter);
        lockNative(terms);
        timelock.claim(terms, SECRET);
        lockNative(terms);
        timelock.claim(terms, SECRET);
        vm.assertEq(timelock.creditOf(address(rejecter)), 2, "sum");
    }

    function test_withdrawIsRefusedWithoutCreditToZeroAndToARejecter() public {
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NothingToWithdraw.selector, address(this)));
        timelock.withdraw(BOB);

        IPaymentLocks.Terms memory terms = lockBetweenRejecters(true);
        timelock.claim(terms, SECRET);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.InvalidRecipient.selector, address(0)));
        rejecter.execute(address(timelock), abi.encodeCall(timelock.withdraw, (address(0))), 0);
        vm.expectRevert(
            abi.encodeWithSelector(ITimelock.WithdrawalRejected.selector, address(rejecter), 3 ether)
        );
        rejecter.execute(address(timelock), abi.encodeCall(timelock.withdraw, (address(rejecter))), 0);
        vm.assertEq(timelock.creditOf(address(rejecter)), 3 ether, "still credited");
    }

    /// @dev A stranger claims while the vault cannot be entered; the vault knows nothing of this contract.
    function test_creditThatAStrangerForcedIsPaidByAnyone() public {
        GuardedVault vault = new GuardedVault();
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        terms.recipient = address(vault);
        lockNative(terms);
        vault.lend(address(timelock), abi.encodeCall(timelock.claim, (terms, SECRET)));
        vm.assertEq(timelock.creditOf(address(vault)), 1 ether, "credited");
        vm.expectEmit(address(timelock));
        emit ITimelock.Withdrawn(address(vault), address(vault), 1 ether);
        vm.prank(STRANGER);
        timelock.withdrawFor(address(vault));
        vm.assertEq(address(vault).balance, 1 ether, "paid");
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NothingToWithdraw.selector, address(vault)));
        timelock.withdrawFor(address(vault));
    }

    function test_withdrawalHasAllTheGasThatAPayoutLacked() public {
        SlowWallet wallet = new SlowWallet();
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        terms.recipient = address(wallet);
        lockNative(terms);
        timelock.claim(terms, SECRET);
        vm.assertEq(timelock.creditOf(address(wallet)), 1 ether, "credited");
        timelock.withdrawFor(address(wallet));
        vm.assertEq(address(wallet).balance, 1 ether, "paid");
    }

    function test_creditIsWithdrawnOnce() public {
        GreedyReceiver greedy = new GreedyReceiver();
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        terms.recipient = address(greedy);
        lockNative(terms);
        timelock.claim(terms, SECRET);
        lockNative(nativeTerms(5 ether, 0));
        greedy.withdraw(timelock);
        vm.assertEq(address(greedy).balance, 1 ether, "once");
    }

    /// @dev Whatever gas the caller gives, a wallet that can be paid is paid or nothing happens at all.
    function testFuzz_callerCannotStarveAPayoutIntoACredit(uint256 gasGiven) public {
        ThirstyWallet wallet = new ThirstyWallet();
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        terms.recipient = address(wallet);
        LockId id = lockNative(terms);
        (bool success, ) = address(timelock).call{gas: bound(gasGiven, 30_000, 300_000)}(
            abi.encodeCall(timelock.claim, (terms, SECRET))
        );
        vm.assertEq(timelock.creditOf(address(wallet)), 0, "never credited");
        vm.assertTrue(success != timelock.isOpen(id), "all or nothing");
        vm.assertEq(address(wallet).balance, success ? 1 ether : 0, "paid");
    }

    /// @dev The edge: from one gas limit to the next, a wallet that needs all of its share is paid or nothing happens.
    function test_reserveCoversAllThatAPayoutMaySpend() public {
        PickyWallet wallet = new PickyWallet();
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        terms.recipient = address(wallet);
        uint256 paid = 0;
        for (uint256 gasGiven = 100_000; gasGiven < 160_000; gasGiven += 500) {
            LockId id = lockNative(terms);
            (bool success, ) = address(timelock).call{gas: gasGiven}(abi.encodeCall(timelock.claim, (terms, SECRET)));
            vm.assertEq(timelock.creditOf(address(wallet)), 0, "never credited");
            if (success) ++paid;
            else timelock.claim(terms, SECRET);
            vm.assertTrue(!timelock.isOpen(id), "paid in the end");
        }
        vm.assertTrue(paid > 40 && paid < 110, "the edge was in between");
    }

    function test_starvedPayoutSaysSo() public {
        IPaymentLocks.Terms memory terms = lockBetweenRejecters(true);
        (bool success, bytes memory returned) = address(timelock).call{gas: 100_000}(
            abi.encodeCall(timelock.claim, (terms, SECRET))
        );
        vm.assertTrue(!success, "refused");
        vm.assertTrue(bytes4(returned) == ITimelock.PayoutStarved.selector, "reason");
    }

    function test_receiverCannotBePaidTwice() public {
        ReenteringReceiver receiver = new ReenteringReceiver();
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        terms.recipient = address(receiver);
        lockNative(terms);
        IPaymentLocks.Terms memory others = nativeTerms(5 ether, 0);
        lockNative(others);
        receiver.prepare(address(timelock), abi.encodeCall(timelock.claim, (terms, SECRET)));
        timelock.claim(terms, SECRET);
        vm.assertTrue(!receiver.succeeded(), "second claim fails");
        vm.assertEq(address(receiver).balance, 1 ether, "paid once");
    }

    function lockBetweenRejecters(bool claimed) internal returns (IPaymentLocks.Terms memory terms) {
        terms = nativeTerms(3 ether, 1);
        if (claimed) terms.recipient = address(rejecter);
        else terms.sender = address(rejecter);
        lockNative(terms);
    }
}

/// @dev Takes no coin while it lends to somebody, as contracts with a guard do, and calls nothing but its borrower.
contract GuardedVault {
    bool private _lending;

    function lend(address borrower, bytes calldata data) external {
        _lending = true;
        (bool success, ) = borrower.call(data);
        require(success, "borrower failed");
        _lending = false;
    }

    receive() external payable {
        require(!_lending, "guarded");
    }
}

/// @dev Needs more gas than a payout has.
contract SlowWallet {
    uint256[] private _written;

    receive() external payable {
        for (uint256 i = 0; i < 8; ++i) _written.push(1);
    }
}

/// @dev Rejects coin until it withdraws, and then withdraws again while it is paid.
contract GreedyReceiver {
    ITimelock private _timelock;

    function withdraw(ITimelock timelock) external {
        _timelock = timelock;
        timelock.withdraw(address(this));
    }

    receive() external payable {
        require(address(_timelock) != address(0), "not yet");
        try _timelock.withdraw(address(this)) {} catch {}
    }
}

contract GenerousToken is PlainToken("Generous", "MORE") {
    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        _mint(to, 1);
        return super.transferFrom(from, to, value);
    }
}
