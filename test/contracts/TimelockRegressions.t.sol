// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HashedTimelock} from "../../contracts/HashedTimelock.sol";
import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock} from "../../contracts/interfaces/ITimelock.sol";
import {FlawedTimelock} from "../../contracts/mocks/FlawedTimelock.sol";
import {ThirstyWallet} from "../../contracts/mocks/HostileRecipients.sol";
import {FeeToken, SilentToken} from "../../contracts/mocks/HostileTokens.sol";
import {TestToken} from "../../contracts/mocks/TestToken.sol";
import {TimelockFixture} from "./TimelockFixture.sol";

/**
 * @dev Flaws that were found in swap contracts that people use, one test each. The same attack runs on a contract with
 * the flaw, where it must succeed, and on ours, where it must not.
 */
contract TimelockRegressionsTest is TimelockFixture {
    uint256 internal constant SENDER_KEY = 0xA11CE5;

    HashedTimelock internal ours;

    function setUp() public override {
        super.setUp();
        ours = timelock;
    }

    /// @dev Makes the attacks run on a contract with this one flaw.
    function flawed(FlawedTimelock.Flaw flaw) internal {
        timelock = HashedTimelock(address(new FlawedTimelock(flaw)));
    }

    function ourselves() internal {
        timelock = ours;
        vm.warp(NOW);
    }

    function test_flaw1_claimStillOpenAfterTheTimelock() public {
        flawed(FlawedTimelock.Flaw.ClaimAfterTimelock);
        vm.assertTrue(claimAndRefundRaceAt(TIMELOCK + 1 hours), "works there");
        ourselves();
        vm.assertTrue(!claimAndRefundRaceAt(TIMELOCK + 1 hours), "not here");
    }

    function test_flaw1_bothWindowsOpenInTheSameSecond() public {
        flawed(FlawedTimelock.Flaw.BothInTheSameSecond);
        vm.assertTrue(claimAndRefundRaceAt(TIMELOCK), "works there");
        for (uint64 second = TIMELOCK - 1; second <= TIMELOCK + 1; ++second) {
            ourselves();
            vm.assertTrue(!claimAndRefundRaceAt(second), "not here");
        }
    }

    /// @dev True when at this time one lock can be claimed and another with the same timelock refunded.
    function claimAndRefundRaceAt(uint64 time) internal returns (bool) {
        IPaymentLocks.Terms memory one = nativeTerms(2 * uint256(time), 0);
        IPaymentLocks.Terms memory other = nativeTerms(2 * uint256(time) + 1, 0);
        lockWithoutAnswer(one);
        lockWithoutAnswer(other);
        vm.warp(time);
        bool claimed = attempt(abi.encodeCall(timelock.claim, (one, SECRET)));
        return attempt(abi.encodeCall(timelock.refund, (other))) && claimed;
    }

    function test_flaw2_oneSignatureLocksTheSameTermsAgain() public {
        flawed(FlawedTimelock.Flaw.ReusableSignature);
        vm.assertTrue(signatureIsReplayed(), "works there");
        ourselves();
        vm.assertTrue(!signatureIsReplayed(), "not here");
    }

    /// @dev Once the secret is public, whoever replays the signature takes the amount a second time.
    function signatureIsReplayed() internal returns (bool) {
        IPaymentLocks.Terms memory terms = tokenTerms(address(token), 5, 0);
        terms.sender = vm.addr(SENDER_KEY);
        token.mint(terms.sender, 10);
        vm.prank(terms.sender);
        token.approve(address(timelock), 10);
        ITimelock.Authorization memory signed = authorization(
            SENDER_KEY,
            timelock.lockDigest(terms, 0, TIMELOCK),
            0,
            TIMELOCK
        );
        bytes memory lockCall = abi.encodeCall(timelock.lockSigned, (terms, signed));
        vm.assertTrue(attempt(lockCall), "the lock that was meant");
        timelock.claim(terms, SECRET);
        return attempt(lockCall) && attempt(abi.encodeCall(timelock.claim, (terms, SECRET)));
    }

    function test_flaw3_tokenThatHasNoCodeYet() public {
        flawed(FlawedTimelock.Flaw.TokenWithoutCode);
        vm.assertTrue(lockOfNothingIsRefundedFromOthers(), "works there");
        ourselves();
        vm.assertTrue(!lockOfNothingIsRefundedFromOthers(), "not here");
    }

    /// @dev Locks a token before it is deployed, waits until others lock it, and is refunded from their funds.
    function lockOfNothingIsRefundedFromOthers() internal returns (bool) {
        LateToken deployer = new LateToken();
        address asset = deployer.predict();
        IPaymentLocks.Terms memory terms = tokenTerms(asset, 5, 0);
        terms.sender = STRANGER;
        vm.prank(STRANGER);
        bool locked = attempt(abi.encodeCall(timelock.createLock, (terms)));
        deployer.deployToken();
        IPaymentLocks.Terms memory honest = tokenTerms(asset, 5, 0);
        fund(honest);
        lockWithoutAnswer(honest);
        vm.warp(TIMELOCK);
        return
            locked &&
            attempt(abi.encodeCall(timelock.refund, (terms))) &&
            !attempt(abi.encodeCall(timelock.refund, (honest)));
    }

    function test_flaw4_oneWeiUnderTheSameIdBlocksTheVictim() public {
        flawed(FlawedTimelock.Flaw.IdByHashlock);
        vm.assertTrue(oneWeiBlocksTheVictim(), "works there");
        ourselves();
        vm.assertTrue(!oneWeiBlocksTheVictim(), "not here");
    }

    function oneWeiBlocksTheVictim() internal returns (bool) {
        IPaymentLocks.Terms memory copy = nativeTerms(1, 0);
        copy.sender = STRANGER;
        lockWithoutAnswer(copy);
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        vm.deal(ALICE, 1 ether);
        vm.prank(ALICE);
        (bool locked, ) = address(timelock).call{value: 1 ether}(abi.encodeCall(timelock.createLock, (terms)));
        return !locked;
    }

    function test_flaw5_tokenThatTakesAFeeLeavesThePoolShort() public {
        flawed(FlawedTimelock.Flaw.NoExactReceipt);
        vm.assertTrue(feeIsTakenFromOthers(), "works there");
        ourselves();
        vm.assertTrue(!feeIsTakenFromOthers(), "not here");
    }

    /// @dev Of two locks that are each paid in full on paper, the second cannot be paid.
    function feeIsTakenFromOthers() internal returns (bool) {
        FeeToken fee = new FeeToken();
        IPaymentLocks.Terms memory one = tokenTerms(address(fee), 1000, 0);
        IPaymentLocks.Terms memory other = tokenTerms(address(fee), 1000, 0);
        other.recipient = STRANGER;
        fund(one);
        bool locked = attemptBy(ALICE, abi.encodeCall(timelock.createLock, (one)));
        fund(other);
        locked = attemptBy(ALICE, abi.encodeCall(timelock.createLock, (other))) && locked;
        return
            locked &&
            attempt(abi.encodeCall(timelock.claim, (one, SECRET))) &&
            !attempt(abi.encodeCall(timelock.claim, (other, SECRET)));
    }

    function test_flaw6_tokenThatReturnsNothingCannotBeLocked() public {
        flawed(FlawedTimelock.Flaw.WantsAnAnswer);
        vm.assertTrue(silentTokenIsRefused(), "fails there");
        ourselves();
        vm.assertTrue(!silentTokenIsRefused(), "not here");
    }

    function silentTokenIsRefused() internal returns (bool) {
        IPaymentLocks.Terms memory terms = tokenTerms(address(new SilentToken()), 5, 0);
        fund(terms);
        return
            !attemptBy(ALICE, abi.encodeCall(timelock.createLock, (terms))) ||
            !attempt(abi.encodeCall(timelock.claim, (terms, SECRET)));
    }

    function test_flaw7_payoutByTransferFailsForContractWallets() public {
        flawed(FlawedTimelock.Flaw.PayoutByTransfer);
        vm.assertTrue(walletCannotBePaid(), "fails there");
        ourselves();
        vm.assertTrue(!walletCannotBePaid(), "not here");
    }

    function walletCannotBePaid() internal returns (bool) {
        ThirstyWallet wallet = new ThirstyWallet();
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        terms.recipient = address(wallet);
        lockWithoutAnswer(terms);
        return !attempt(abi.encodeCall(timelock.claim, (terms, SECRET))) || address(wallet).balance != 1 ether;
    }

    /// @dev The contract with a flaw answers no id, so nothing is decoded.
    function lockWithoutAnswer(IPaymentLocks.Terms memory terms) internal {
        uint256 value = terms.token == address(0) ? terms.amount : 0;
        vm.deal(terms.sender, value);
        vm.prank(terms.sender);
        (bool success, ) = address(timelock).call{value: value}(abi.encodeCall(timelock.createLock, (terms)));
        vm.assertTrue(success, "lock");
    }

    function attempt(bytes memory data) internal returns (bool success) {
        (success, ) = address(timelock).call(data);
    }

    function attemptBy(address account, bytes memory data) internal returns (bool) {
        vm.prank(account);
        return attempt(data);
    }
}

/// @dev Knows the address of a token before it deploys it.
contract LateToken {
    function predict() external view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(TestToken).creationCode, abi.encode("Late", "LATE", 6)));
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), bytes32(0), code)))));
    }

    function deployToken() external returns (TestToken) {
        return new TestToken{salt: 0}("Late", "LATE", 6);
    }
}
