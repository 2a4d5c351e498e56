// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {PermitToken} from "../../contracts/mocks/PermitToken.sol";
import {SmartWallet} from "../../contracts/mocks/SmartWallet.sol";
import {TimelockFixture} from "./TimelockFixture.sol";

/// @dev Locks and early refunds that others submit for whoever signed them, and permits.
contract TimelockSignaturesTest is TimelockFixture {
    uint256 internal constant SENDER_KEY = 0xA11CE5;
    uint256 internal constant RECIPIENT_KEY = 0xB0B5;

    /// @dev Terms of a token lock between two accounts whose keys are known; the sender has and allows plenty.
    function signedTerms(uint256 amount, uint96 tip) internal returns (IPaymentLocks.Terms memory terms) {
        terms = tokenTerms(address(token), amount, tip);
        (terms.sender, terms.recipient) = (vm.addr(SENDER_KEY), vm.addr(RECIPIENT_KEY));
        token.mint(terms.sender, 1e24);
        vm.prank(terms.sender);
        token.approve(address(timelock), type(uint256).max);
        vm.deal(STRANGER, 1 ether);
    }

    function signLock(
        IPaymentLocks.Terms memory terms,
        uint256 nonce
    ) internal view returns (ITimelock.Authorization memory) {
        return authorization(SENDER_KEY, timelock.lockDigest(terms, nonce, TIMELOCK), nonce, TIMELOCK);
    }

    function submit(IPaymentLocks.Terms memory terms, ITimelock.Authorization memory signed) internal returns (LockId) {
        vm.prank(STRANGER);
        return timelock.lockSigned{value: terms.tip}(terms, signed);
    }

    function test_anyoneLocksWithTheSendersSignature() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 7);
        ITimelock.Authorization memory signed = signLock(terms, 3);
        LockId id = timelock.lockId(terms);
        vm.expectEmit(address(timelock));
        emit IPaymentLocks.Locked(
            id,
            terms.sender,
            terms.recipient,
            address(token),
            500,
            terms.hashlock,
            TIMELOCK,
            7
        );
        submit(terms, signed);
        vm.assertEq(timelock.lockedAt(id), NOW, "open since now");
        vm.assertEq(token.balanceOf(address(timelock)), 500, "tokens of the sender");
        vm.assertEq(STRANGER.balance, 1 ether - 7, "tip of who submits");
        vm.assertTrue(timelock.isNonceUsed(terms.sender, 3), "nonce is used");
    }

    function testFuzz_signatureBindsEveryTerm(uint8 which, uint64 other) public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 7);
        ITimelock.Authorization memory signed = signLock(terms, 0);
        address signer = terms.sender;
        which = which % 6;
        if (which == 0) (terms.sender, signer) = (ALICE, ALICE);
        if (which == 1) terms.recipient = STRANGER;
        if (which == 2) terms.amount = 501 + uint256(other);
        if (which == 3) terms.hashlock = keccak256(abi.encode(other));
        if (which == 4) terms.timelock = TIMELOCK + 1 + other / 2;
        if (which == 5) terms.tip = 8;
        vm.expectRevert(abi.encodeWithSelector(ITimelock.InvalidSignature.selector, signer));
        submit(terms, signed);
    }

    function test_signatureBindsNonceDeadlineContractAndChain() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        ITimelock.Authorization memory signed = signLock(terms, 0);
        bytes memory reason = abi.encodeWithSelector(ITimelock.InvalidSignature.selector, terms.sender);
        signed.nonce = 1;
        vm.expectRevert(reason);
        submit(terms, signed);
        (signed.nonce, signed.deadline) = (0, TIMELOCK + 1);
        vm.expectRevert(reason);
        submit(terms, signed);
        signed.deadline = TIMELOCK;
        vm.chainId(77);
        vm.expectRevert(reason);
        submit(terms, signed);
    }

    function test_signatureOpensOneLockOnly() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        ITimelock.Authorization memory signed = signLock(terms, 0);
        submit(terms, signed);
        timelock.claim(terms, SECRET);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NonceUsed.selector, terms.sender, 0));
        submit(terms, signed);
    }

    function test_refusedLockLeavesTheNonceUnused() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 7);
        ITimelock.Authorization memory signed = signLock(terms, 0);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.WrongValue.selector, 7, 0));
        timelock.lockSigned(terms, signed);
        vm.assertTrue(!timelock.isNonceUsed(terms.sender, 0), "unused");
        submit(terms, signed);
    }

    function test_signatureIsGoodUntilTheLastSecondOfItsDeadline() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        ITimelock.Authorization memory signed = authorization(
            SENDER_KEY,
            timelock.lockDigest(terms, 0, NOW + 10),
            0,
            NOW + 10
        );
        vm.warp(NOW + 11);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.SignatureExpired.selector, NOW + 10, NOW + 11));
        submit(terms, signed);
        vm.warp(NOW + 10);
        submit(terms, signed);
    }

    function test_cancelledNoncesAreWorthless() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        ITimelock.Authorization memory cancelled = signLock(terms, 256 + 4);
        vm.expectEmit(address(timelock));
        emit ITimelock.NoncesCancelled(terms.sender, 1, 1 << 4);
        vm.prank(terms.sender);
        timelock.cancelNonces(1, 1 << 4);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NonceUsed.selector, terms.sender, 260));
        submit(terms, cancelled);
        // Nobody else's are, and cancelling others later brings none back.
        vm.assertTrue(!timelock.isNonceUsed(ALICE, 260), "another account's");
        vm.prank(terms.sender);
        timelock.cancelNonces(1, 1 << 9);
        vm.assertTrue(timelock.isNonceUsed(terms.sender, 260), "still cancelled");
        submit(terms, signLock(terms, 261));
    }

    function testFuzz_noncesAreIndependent(uint256 used, uint256 other) public {
        vm.assume(used != other);
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        submit(terms, signLock(terms, used));
        vm.assertTrue(timelock.isNonceUsed(terms.sender, used), "used");
        vm.assertTrue(!timelock.isNonceUsed(terms.sender, other), "not used");
    }

    function test_contractWalletSignsLocksAndRefunds() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        SmartWallet wallet = new SmartWallet(terms.sender);
        (terms.sender, terms.recipient) = (address(wallet), address(wallet));
        token.mint(address(wallet), 500);
        wallet.execute(address(token), abi.encodeCall(token.approve, (address(timelock), 500)));
        ITimelock.Authorization memory byStranger = authorization(
            RECIPIENT_KEY,
            timelock.lockDigest(terms, 0, TIMELOCK),
            0,
            TIMELOCK
        );
        vm.expectRevert(abi.encodeWithSelector(ITimelock.InvalidSignature.selector, address(wallet)));
        submit(terms, byStranger);
        LockId id = submit(terms, signLock(terms, 0));
        timelock.refundEarly(terms, consent(SENDER_KEY, id, 1));
        vm.assertEq(token.balanceOf(address(wallet)), 500, "back");
    }

    function test_nativeCoinIsNotLockedBySignatureOrPermit() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        terms.token = address(0);
        ITimelock.Authorization memory signed = signLock(terms, 0);
        vm.expectRevert(abi.encodeWithSelector(IPaymentLocks.NativeNeedsSender.selector));
        timelock.lockSigned{value: 500}(terms, signed);
        vm.expectRevert(abi.encodeWithSelector(IPaymentLocks.NativeNeedsSender.selector));
        timelock.lockWithPermit2{value: 500}(terms, signed);
        vm.deal(terms.sender, 500);
        vm.expectRevert(abi.encodeWithSelector(IPaymentLocks.NativeNeedsSender.selector));
        vm.prank(terms.sender);
        timelock.lockWithPermit{value: 500}(terms, TIMELOCK, 27, 0, 0);
    }

    function test_permitAndLockInOneTransaction() public {
        (IPaymentLocks.Terms memory terms, uint8 v, bytes32 r, bytes32 s) = permitted(500);
        vm.prank(terms.sender);
        LockId id = timelock.lockWithPermit(terms, TIMELOCK, v, r, s);
        vm.assertTrue(timelock.isOpen(id), "open");
        vm.assertEq(PermitToken(terms.token).allowance(terms.sender, address(timelock)), 0, "nothing is left allowed");
    }

    /// @dev A permit binds neither recipient nor hashlock: in the hands of another it would lock to that other.
    function test_permitOfAnotherIsOfNoUse() public {
        (IPaymentLocks.Terms memory terms, uint8 v, bytes32 r, bytes32 s) = permitted(500);
        address owner = terms.sender;
        terms.recipient = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NotSender.selector, owner, STRANGER));
        vm.prank(STRANGER);
        timelock.lockWithPermit(terms, TIMELOCK, v, r, s);
        PermitToken(terms.token).permit(owner, address(timelock), 500, TIMELOCK, v, r, s);
        terms.sender = STRANGER;
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(timelock), 0, 500)
        );
        vm.prank(STRANGER);
        timelock.createLock(terms);
    }

    function test_permitThatSomebodyUsedFirstDoesNoHarm() public {
        (IPaymentLocks.Terms memory terms, uint8 v, bytes32 r, bytes32 s) = permitted(500);
        PermitToken(terms.token).permit(terms.sender, address(timelock), 500, TIMELOCK, v, r, s);
        vm.prank(terms.sender);
        timelock.lockWithPermit(terms, TIMELOCK, v, r, s);
    }

    function test_withoutPermitTheAllowanceDecides() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        vm.prank(terms.sender);
        timelock.lockWithPermit(terms, TIMELOCK, 27, 0, 0);

        (IPaymentLocks.Terms memory other, , , ) = permitted(500);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(timelock), 0, 500)
        );
        vm.prank(other.sender);
        timelock.lockWithPermit(other, TIMELOCK, 27, 0, 0);

        terms.token = address(0xDEAD);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.TokenWithoutCode.selector, address(0xDEAD)));
        vm.prank(terms.sender);
        timelock.lockWithPermit(terms, TIMELOCK, 27, 0, 0);
    }

    function test_recipientLetsAnyoneRefundEarly() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 7);
        LockId id = submit(terms, signLock(terms, 0));
        ITimelock.Authorization memory agreed = consent(RECIPIENT_KEY, id, 5);
        uint256 before = token.balanceOf(terms.sender);
        vm.expectEmit(address(timelock));
        emit ITimelock.Refunded(id);
        vm.prank(STRANGER);
        timelock.refundEarly(terms, agreed);
        vm.assertEq(token.balanceOf(terms.sender) - before, 500, "refunded");
        vm.assertEq(STRANGER.balance, 1 ether, "tip");
        vm.assertTrue(timelock.isNonceUsed(terms.recipient, 5), "the recipient's nonce is used");
        vm.assertTrue(!timelock.isNonceUsed(terms.sender, 5), "the sender's is not");
    }

    function test_senderAloneCannotRefundEarly() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        LockId id = submit(terms, signLock(terms, 0));
        ITimelock.Authorization memory own = consent(SENDER_KEY, id, 5);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.InvalidSignature.selector, terms.recipient));
        timelock.refundEarly(terms, own);
    }

    function test_consentClosesOneLockOnly() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        LockId id = submit(terms, signLock(terms, 0));
        ITimelock.Authorization memory agreed = consent(RECIPIENT_KEY, id, 5);
        ITimelock.Authorization memory spare = consent(RECIPIENT_KEY, id, 6);
        timelock.refundEarly(terms, agreed);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.LockNotOpen.selector, id));
        timelock.refundEarly(terms, spare);

        // The same terms in the same second are the same instance, so the nonce must tell.
        submit(terms, signLock(terms, 1));
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NonceUsed.selector, terms.recipient, 5));
        timelock.refundEarly(terms, agreed);
        timelock.claim(terms, SECRET);

        // A second later they are another one, and a signature that was never used is worthless too.
        vm.warp(NOW + 1);
        submit(terms, signLock(terms, 2));
        vm.expectRevert(abi.encodeWithSelector(ITimelock.InvalidSignature.selector, terms.recipient));
        timelock.refundEarly(terms, spare);
    }

    function test_consentHasADeadlineAndCanBeCancelled() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        terms.timelock = TIMELOCK + 10;
        LockId id = submit(terms, signLock(terms, 0));
        ITimelock.Authorization memory agreed = consent(RECIPIENT_KEY, id, 5);
        vm.warp(TIMELOCK + 1);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.SignatureExpired.selector, TIMELOCK, TIMELOCK + 1));
        timelock.refundEarly(terms, agreed);
        vm.warp(TIMELOCK);
        vm.prank(terms.recipient);
        timelock.cancelNonces(0, 1 << 5);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NonceUsed.selector, terms.recipient, 5));
        timelock.refundEarly(terms, agreed);
    }

    function test_consentIsForOneLock() public {
        IPaymentLocks.Terms memory terms = signedTerms(500, 0);
        LockId id = submit(terms, signLock(terms, 0));
        ITimelock.Authorization memory agreed = consent(RECIPIENT_KEY, id, 5);
        terms.amount = 501;
        submit(terms, signLock(terms, 1));
        vm.expectRevert(abi.encodeWithSelector(ITimelock.InvalidSignature.selector, terms.recipient));
        timelock.refundEarly(terms, agreed);
    }

    /// @dev A lock of a token with permits, and the sender's permit for its amount.
    function permitted(
        uint256 amount
    ) internal returns (IPaymentLocks.Terms memory terms, uint8 v, bytes32 r, bytes32 s) {
        PermitToken asset = new PermitToken();
        terms = signedTerms(amount, 0);
        terms.token = address(asset);
        asset.mint(terms.sender, amount);
        bytes32 hashed = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                terms.sender,
                address(timelock),
                amount,
                asset.nonces(terms.sender),
                TIMELOCK
            )
        );
        (v, r, s) = vm.sign(SENDER_KEY, keccak256(abi.encodePacked(hex"1901", asset.DOMAIN_SEPARATOR(), hashed)));
    }
}
