// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1155Errors, IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IItemLocks} from "../../contracts/interfaces/IItemLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {LyingNft, NestingMultiToken, PlainMultiToken, PlainNft, ShortMultiToken} from "../../contracts/mocks/Items.sol";
import {TimelockFixture} from "./TimelockFixture.sol";

/// @dev Locks of ERC-721 and ERC-1155 tokens.
contract TimelockItemsTest is TimelockFixture {
    uint256 internal constant SENDER_KEY = 0xA11CE5;
    uint256 internal constant RECIPIENT_KEY = 0xB0B5;

    PlainNft internal nft;
    PlainMultiToken internal multi;

    function setUp() public override {
        super.setUp();
        nft = new PlainNft();
        multi = new PlainMultiToken();
    }

    function itemTerms(address asset, uint256 amount) internal pure returns (IItemLocks.ItemTerms memory) {
        return
            IItemLocks.ItemTerms({
                sender: vm.addr(SENDER_KEY),
                recipient: vm.addr(RECIPIENT_KEY),
                token: asset,
                tokenId: 9,
                amount: amount,
                hashlock: sha256(abi.encode(SECRET)),
                timelock: TIMELOCK,
                tip: 7
            });
    }

    /// @dev Mints the item to its sender, who approves.
    function prepare(IItemLocks.ItemTerms memory terms) internal {
        if (terms.amount == 0) PlainNft(terms.token).mint(terms.sender, terms.tokenId);
        else PlainMultiToken(terms.token).mint(terms.sender, terms.tokenId, terms.amount);
        vm.deal(terms.sender, 1 ether);
        vm.deal(STRANGER, 1 ether);
        vm.prank(terms.sender);
        PlainMultiToken(terms.token).setApprovalForAll(address(timelock), true);
    }

    function lockItem(IItemLocks.ItemTerms memory terms) internal returns (LockId) {
        vm.prank(terms.sender);
        return timelock.lockItem{value: terms.tip}(terms);
    }

    function held(IItemLocks.ItemTerms memory terms, address account) internal view returns (uint256) {
        if (terms.amount > 0) return PlainMultiToken(terms.token).balanceOf(account, terms.tokenId);
        return PlainNft(terms.token).ownerOf(terms.tokenId) == account ? 1 : 0;
    }

    function testFuzz_whatGoesInComesOut(uint128 amount, bool isNft, uint8 end) public {
        end = end % 3;
        vm.assume(isNft || amount > 0);
        IItemLocks.ItemTerms memory terms = itemTerms(isNft ? address(nft) : address(multi), isNft ? 0 : amount);
        uint256 quantity = isNft ? 1 : amount;
        prepare(terms);
        LockId id = timelock.itemLockId(terms);
        vm.expectEmit(address(timelock));
        emit IItemLocks.ItemLocked(
            id,
            terms.sender,
            terms.recipient,
            terms.token,
            9,
            terms.amount,
            terms.hashlock,
            TIMELOCK,
            7
        );
        lockItem(terms);
        vm.assertEq(timelock.lockedAt(id), NOW, "open since now");
        vm.assertEq(held(terms, address(timelock)), quantity, "locked");

        ITimelock.Authorization memory agreed = consent(RECIPIENT_KEY, id, 0);
        if (end == 1) vm.warp(TIMELOCK);
        vm.expectEmit(address(timelock));
        if (end == 0) emit ITimelock.Claimed(id, SECRET);
        else emit ITimelock.Refunded(id);
        vm.prank(STRANGER);
        if (end == 0) timelock.claimItem(terms, SECRET);
        else if (end == 1) timelock.refundItem(terms);
        else timelock.refundItemEarly(terms, agreed);
        vm.assertEq(held(terms, end == 0 ? terms.recipient : terms.sender), quantity, "handed over");
        vm.assertEq(STRANGER.balance, 1 ether + 7, "tip");
        vm.assertTrue(!timelock.isOpen(id), "closed");
    }

    function test_windowsAndSecretsHold() public {
        IItemLocks.ItemTerms memory terms = itemTerms(address(nft), 0);
        prepare(terms);
        LockId id = lockItem(terms);
        vm.expectRevert(
            abi.encodeWithSelector(ITimelock.WrongSecret.selector, terms.hashlock, sha256(abi.encode(bytes32(0))))
        );
        timelock.claimItem(terms, 0);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.RefundWindowNotOpen.selector, TIMELOCK, NOW));
        timelock.refundItem(terms);
        vm.warp(TIMELOCK);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.ClaimWindowClosed.selector, TIMELOCK, TIMELOCK));
        timelock.claimItem(terms, SECRET);
        timelock.refundItem(terms);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.LockNotOpen.selector, id));
        timelock.refundItem(terms);
    }

    function test_lockIsRefusedAsThatOfCoinIs() public {
        IItemLocks.ItemTerms memory terms = itemTerms(address(nft), 0);
        prepare(terms);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NotSender.selector, terms.sender, address(this)));
        timelock.lockItem(terms);
        address sender = terms.sender;
        expectItemRefusal(terms, 6, abi.encodeWithSelector(ITimelock.WrongValue.selector, 7, 6));
        terms.recipient = address(timelock);
        expectItemRefusal(terms, 7, abi.encodeWithSelector(ITimelock.InvalidRecipient.selector, address(timelock)));
        terms.recipient = sender;
        terms.token = address(0xDEAD);
        expectItemRefusal(terms, 7, abi.encodeWithSelector(ITimelock.TokenWithoutCode.selector, address(0xDEAD)));
        terms.token = address(nft);
        terms.timelock = NOW;
        expectItemRefusal(terms, 7, abi.encodeWithSelector(ITimelock.TimelockNotInFuture.selector, NOW, NOW));
        terms.timelock = TIMELOCK;
        LockId id = lockItem(terms);
        expectItemRefusal(terms, 7, abi.encodeWithSelector(ITimelock.LockExists.selector, id));
    }

    function test_anyoneLocksWithTheSendersSignatureOnce() public {
        IItemLocks.ItemTerms memory terms = itemTerms(address(multi), 5);
        prepare(terms);
        ITimelock.Authorization memory signed = authorization(
            SENDER_KEY,
            timelock.itemLockDigest(terms, 1, TIMELOCK),
            1,
            TIMELOCK
        );
        terms.tokenId = 10;
        vm.expectRevert(abi.encodeWithSelector(ITimelock.InvalidSignature.selector, terms.sender));
        timelock.lockItemSigned{value: 7}(terms, signed);
        terms.tokenId = 9;
        timelock.lockItemSigned{value: 7}(terms, signed);
        timelock.claimItem(terms, SECRET);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NonceUsed.selector, terms.sender, 1));
        timelock.lockItemSigned{value: 7}(terms, signed);
    }

    function test_itemsThatAreNotTheSendersAreRefused() public {
        IItemLocks.ItemTerms memory terms = itemTerms(address(nft), 0);
        nft.mint(BOB, 9);
        vm.deal(terms.sender, 1 ether);
        vm.prank(BOB);
        nft.setApprovalForAll(address(timelock), true);
        expectItemRefusal(
            terms,
            7,
            abi.encodeWithSelector(IERC721Errors.ERC721IncorrectOwner.selector, terms.sender, 9, BOB)
        );
        vm.prank(terms.sender);
        multi.setApprovalForAll(address(timelock), true);
        (terms.token, terms.amount) = (address(multi), 5);
        expectItemRefusal(
            terms,
            7,
            abi.encodeWithSelector(IERC1155Errors.ERC1155InsufficientBalance.selector, terms.sender, 0, 5, 9)
        );
    }

    /// @dev Without the look before, the item that is here for another lock would count as received.
    function test_tokenThatMovesNothingIsRefused() public {
        LyingNft lying = new LyingNft();
        IItemLocks.ItemTerms memory terms = itemTerms(address(lying), 0);
        prepare(terms);
        lockItem(terms);
        lying.setLying(true);
        terms.sender = STRANGER;
        bytes memory reason = abi.encodeWithSelector(ITimelock.WrongReceipt.selector, address(lying), 1, 0);
        expectItemRefusal(terms, 7, reason);

        NestingMultiToken idle = new NestingMultiToken();
        terms = itemTerms(address(idle), 5);
        prepare(terms);
        lockItem(terms);
        idle.prepare(STRANGER, "");
        terms.sender = STRANGER;
        expectItemRefusal(terms, 7, abi.encodeWithSelector(ITimelock.WrongReceipt.selector, address(idle), 5, 0));
    }

    /// @dev A lock inside a lock could count one receipt twice.
    function test_tokenCannotNestLocks() public {
        NestingMultiToken nesting = new NestingMultiToken();
        IItemLocks.ItemTerms memory terms = itemTerms(address(nesting), 5);
        terms.tip = 0;
        prepare(terms);
        IItemLocks.ItemTerms memory nested = itemTerms(address(nesting), 5);
        (nested.sender, nested.tip) = (vm.addr(0xCA401), 0);
        prepare(nested);
        bytes32 digest = timelock.itemLockDigest(nested, 0, TIMELOCK);
        ITimelock.Authorization memory signed = authorization(0xCA401, digest, 0, TIMELOCK);
        nesting.prepare(address(timelock), abi.encodeCall(timelock.lockItemSigned, (nested, signed)));
        expectItemRefusal(
            terms,
            0,
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
    }

    /// @dev A lock is open only when its items have arrived: a token that calls back finds nothing to claim.
    function test_tokenCannotClaimBeforeItPaid() public {
        NestingMultiToken nesting = new NestingMultiToken();
        IItemLocks.ItemTerms memory terms = itemTerms(address(nesting), 5);
        prepare(terms);
        nesting.mint(terms.sender, terms.tokenId, 5);
        terms.hashlock = 0;
        lockItem(terms);
        terms.hashlock = sha256(abi.encode(SECRET));
        nesting.prepare(address(timelock), abi.encodeCall(timelock.claimItem, (terms, SECRET)));
        expectItemRefusal(
            terms,
            7,
            abi.encodeWithSelector(ITimelock.LockNotOpen.selector, timelock.itemLockId(terms))
        );
    }

    function test_tokenThatDeliversLessIsRefused() public {
        IItemLocks.ItemTerms memory terms = itemTerms(address(new ShortMultiToken()), 5);
        prepare(terms);
        expectItemRefusal(terms, 7, abi.encodeWithSelector(ITimelock.WrongReceipt.selector, terms.token, 5, 4));
    }

    function test_unsolicitedTokensAreRefused() public {
        nft.mint(ALICE, 1);
        multi.mint(ALICE, 1, 5);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(timelock)));
        vm.prank(ALICE);
        nft.safeTransferFrom(ALICE, address(timelock), 1);
        bytes memory reason = abi.encodeWithSelector(ITEM_REFUSED, address(multi), ALICE);
        vm.expectRevert(reason);
        vm.prank(ALICE);
        multi.safeTransferFrom(ALICE, address(timelock), 1, 5, "");
        vm.expectRevert(reason);
        vm.prank(ALICE);
        multi.safeBatchTransferFrom(ALICE, address(timelock), new uint256[](0), new uint256[](0), "");
        vm.expectRevert(abi.encodeWithSelector(ITEM_REFUSED, address(this), address(timelock)));
        timelock.onERC1155BatchReceived(address(timelock), ALICE, new uint256[](0), new uint256[](0), "");
    }

    function test_receiverInterfaceIsDeclared() public view {
        vm.assertTrue(timelock.supportsInterface(type(IERC1155Receiver).interfaceId), "ERC-1155 receiver");
        vm.assertTrue(timelock.supportsInterface(type(IERC165).interfaceId), "ERC-165");
        vm.assertTrue(!timelock.supportsInterface(0xffffffff), "nothing else");
    }

    bytes4 private constant ITEM_REFUSED = IItemLocks.UnsolicitedToken.selector;

    function expectItemRefusal(IItemLocks.ItemTerms memory terms, uint256 value, bytes memory reason) internal {
        vm.deal(terms.sender, 1 ether);
        vm.expectRevert(reason);
        vm.prank(terms.sender);
        timelock.lockItem{value: value}(terms);
    }
}
