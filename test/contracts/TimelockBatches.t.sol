// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IBatchLocks} from "../../contracts/interfaces/IBatchLocks.sol";
import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {FeeToken, HookToken} from "../../contracts/mocks/HostileTokens.sol";
import {TimelockFixture} from "./TimelockFixture.sol";

/// @dev Many payments under one Merkle root.
contract TimelockBatchesTest is TimelockFixture {
    uint256 internal constant RECIPIENT_KEY = 0xB0B5;

    /// @dev Entry `i` pays `amount + i` to the recipient whose key is known, under a secret of its own.
    function entriesOf(uint256 count, uint256 amount) internal pure returns (IBatchLocks.Entry[] memory entries) {
        entries = new IBatchLocks.Entry[](count);
        for (uint256 i = 0; i < count; ++i) {
            entries[i] = IBatchLocks.Entry({
                recipient: vm.addr(RECIPIENT_KEY),
                amount: amount + i,
                hashlock: sha256(abi.encode(secretOf(i))),
                timelock: TIMELOCK
            });
        }
    }

    function secretOf(uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode("secret", index));
    }

    function termsOf(
        address asset,
        uint96 tip,
        IBatchLocks.Entry memory entry
    ) internal pure returns (IPaymentLocks.Terms memory terms) {
        terms = tokenTerms(asset, entry.amount, tip);
        (terms.recipient, terms.hashlock, terms.timelock) = (entry.recipient, entry.hashlock, entry.timelock);
    }

    /// @dev The whole tree by its definition, level by level: padded leaves first, the root last.
    function treeOf(
        address asset,
        uint96 tip,
        IBatchLocks.Entry[] memory entries
    ) internal view returns (bytes32[][] memory levels) {
        uint256 height = 0;
        while (1 << height < entries.length) ++height;
        levels = new bytes32[][](height + 1);
        levels[0] = new bytes32[](1 << height);
        for (uint256 i = 0; i < entries.length; ++i) {
            levels[0][i] = LockId.unwrap(timelock.leafId(termsOf(asset, tip, entries[i]), i));
        }
        for (uint256 level = 1; level <= height; ++level) {
            levels[level] = new bytes32[](levels[level - 1].length / 2);
            for (uint256 i = 0; i < levels[level].length; ++i) {
                levels[level][i] = Hashes.commutativeKeccak256(
                    levels[level - 1][2 * i],
                    levels[level - 1][2 * i + 1]
                );
            }
        }
    }

    function proofOf(bytes32[][] memory levels, uint256 index) internal pure returns (bytes32[] memory proof) {
        proof = new bytes32[](levels.length - 1);
        for (uint256 i = 0; i < proof.length; ++i) proof[i] = levels[i][(index >> i) ^ 1];
    }

    function lockBatch(
        address asset,
        uint96 tip,
        IBatchLocks.Entry[] memory entries
    ) internal returns (LockId id, bytes32[][] memory tree) {
        tree = treeOf(asset, tip, entries);
        uint256 total = 0;
        for (uint256 i = 0; i < entries.length; ++i) total += entries[i].amount;
        if (asset == address(token)) {
            token.mint(ALICE, total);
            vm.prank(ALICE);
            token.approve(address(timelock), total);
        }
        uint256 value = entries.length * tip + (asset == address(0) ? total : 0);
        vm.deal(ALICE, value);
        vm.prank(ALICE);
        id = timelock.lockBatch{value: value}(asset, tip, entries);
    }

    function test_batchIsOneWordAndSaysWhatIsInIt() public {
        IBatchLocks.Entry[] memory entries = entriesOf(3, 1 ether);
        bytes32 root = treeOf(address(0), 5, entries)[2][0];
        LockId id = timelock.batchId(root);
        vm.expectEmit(address(timelock));
        emit IBatchLocks.BatchLocked(id, ALICE, address(0), 5, root, entries);
        lockBatch(address(0), 5, entries);
        vm.assertEq(address(timelock).balance, 3 ether + 3 + 15, "amounts and tips");
        vm.assertEq(timelock.openLeaves(id), 7, "three leaves");
        vm.assertEq(timelock.lockedAt(id), NOW, "since now");
        vm.assertEq(vm.load(address(timelock), LockId.unwrap(id)), bytes32((7 << 64) | uint256(NOW)), "one word");
    }

    function test_theLargestBatchHasABitForEveryLeaf() public {
        IBatchLocks.Entry[] memory entries = entriesOf(128, 1);
        (LockId id, bytes32[][] memory tree) = lockBatch(address(0), 0, entries);
        vm.assertEq(timelock.openLeaves(id), type(uint128).max, "all of them");
        timelock.claimLeaf(termsOf(address(0), 0, entries[127]), 127, proofOf(tree, 127), secretOf(127));
        vm.assertEq(timelock.openLeaves(id), type(uint128).max >> 1, "all but the last");
        vm.assertEq(timelock.lockedAt(id), NOW, "and the time is untouched");
    }

    /// @dev One sender may have the same leaf in two batches at once; one consent closes one of the two.
    function test_consentClosesOneOfTwoBatchesWithTheSameLeaf() public {
        IBatchLocks.Entry[] memory entries = entriesOf(2, 5);
        IBatchLocks.Entry[] memory first = entriesOf(1, 5);
        (LockId alone, ) = lockBatch(address(0), 0, first);
        (LockId pair, bytes32[][] memory tree) = lockBatch(address(0), 0, entries);
        IPaymentLocks.Terms memory terms = termsOf(address(0), 0, first[0]);
        ITimelock.Authorization memory agreed = leafConsent(pair, terms, 0);
        timelock.refundLeafEarly(terms, 0, proofOf(tree, 0), agreed);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.NonceUsed.selector, terms.recipient, 0));
        timelock.refundLeafEarly(terms, 0, new bytes32[](0), agreed);
        vm.assertEq(timelock.openLeaves(alone), 1, "the other is open");
        vm.assertEq(timelock.openLeaves(pair), 2, "this one is not");
    }

    /// @dev Every leaf of batches of every shape is closed once, in one of three ways; the last takes the word away.
    /// hardhat-config: fuzz.runs = 48
    function testFuzz_everyLeafIsClosedOnce(uint256 count, uint256 random, bool native) public {
        count = bound(count, 1, 128);
        if (count > 20 && random % 8 > 0) count = bound(random, 1, 20);
        IBatchLocks.Entry[] memory entries = entriesOf(count, 1e6);
        address asset = native ? address(0) : address(token);
        (LockId id, bytes32[][] memory tree) = lockBatch(asset, 3, entries);
        vm.deal(STRANGER, 0);
        uint256 claimed = 0;
        // Claims and consents first: refunds have to wait for the timelock.
        for (uint256 i = 0; i < count; ++i) {
            uint256 manner = (random >> i) % 3;
            IPaymentLocks.Terms memory terms = termsOf(asset, 3, entries[i]);
            if (manner == 0) {
                vm.prank(STRANGER);
                timelock.claimLeaf(terms, i, proofOf(tree, i), secretOf(i));
                claimed += entries[i].amount;
            } else if (manner == 1) {
                ITimelock.Authorization memory agreed = leafConsent(id, terms, i);
                vm.prank(STRANGER);
                timelock.refundLeafEarly(terms, i, proofOf(tree, i), agreed);
            }
        }
        vm.warp(TIMELOCK);
        for (uint256 i = 0; i < count; ++i) {
            IPaymentLocks.Terms memory terms = termsOf(asset, 3, entries[i]);
            bool open = (random >> i) % 3 == 2;
            vm.assertTrue(((timelock.openLeaves(id) >> i) & 1 == 1) == open, "bit");
            if (!open) vm.expectRevert(abi.encodeWithSelector(ITimelock.LockNotOpen.selector, tree[0][i]));
            vm.prank(STRANGER);
            timelock.refundLeaf(terms, i, proofOf(tree, i));
        }
        address recipient = vm.addr(RECIPIENT_KEY);
        vm.assertEq(native ? recipient.balance : token.balanceOf(recipient), claimed, "claimed");
        vm.assertEq(STRANGER.balance, 3 * count, "tips");
        vm.assertEq(address(timelock).balance, 0, "no coin left");
        vm.assertEq(token.balanceOf(address(timelock)), 0, "no token left");
        vm.assertEq(vm.load(address(timelock), LockId.unwrap(id)), 0, "word is gone");
    }

    function leafConsent(
        LockId batch,
        IPaymentLocks.Terms memory terms,
        uint256 index
    ) internal view returns (ITimelock.Authorization memory) {
        bytes32 digest = timelock.earlyRefundDigest(
            timelock.leafId(terms, index),
            timelock.lockedAt(batch),
            index,
            TIMELOCK
        );
        return authorization(RECIPIENT_KEY, digest, index, TIMELOCK);
    }

    function test_leafKeepsItsWindowAndSecret() public {
        IBatchLocks.Entry[] memory entries = entriesOf(2, 5);
        (, bytes32[][] memory tree) = lockBatch(address(0), 0, entries);
        IPaymentLocks.Terms memory terms = termsOf(address(0), 0, entries[1]);
        bytes32[] memory proof = proofOf(tree, 1);
        bytes32 wrong = secretOf(0);
        vm.expectRevert(
            abi.encodeWithSelector(ITimelock.WrongSecret.selector, terms.hashlock, sha256(abi.encode(wrong)))
        );
        timelock.claimLeaf(terms, 1, proof, wrong);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.RefundWindowNotOpen.selector, TIMELOCK, NOW));
        timelock.refundLeaf(terms, 1, proof);
        vm.warp(TIMELOCK);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.ClaimWindowClosed.selector, TIMELOCK, TIMELOCK));
        timelock.claimLeaf(terms, 1, proof, secretOf(1));
    }

    function testFuzz_leafNeedsItsOwnTermsIndexAndProof(uint8 which, uint8 other) public {
        IBatchLocks.Entry[] memory entries = entriesOf(5, 5);
        (, bytes32[][] memory tree) = lockBatch(address(0), 0, entries);
        IPaymentLocks.Terms memory terms = termsOf(address(0), 0, entries[2]);
        bytes32[] memory proof = proofOf(tree, 2);
        uint256 index = 2;
        which = which % 5;
        if (which == 0) index = uint256(other) == 2 ? 3 : other;
        if (which == 1) terms.amount += 1 + uint256(other);
        if (which == 2) terms.recipient = STRANGER;
        if (which == 3) proof[other % 3] = keccak256(abi.encode(other));
        if (which == 4) terms.sender = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(ITimelock.LockNotOpen.selector, timelock.leafId(terms, index)));
        timelock.claimLeaf(terms, index, proof, secretOf(2));
    }

    /// @dev Ids of leaves and of ordinary locks come from different type hashes.
    function test_leafIsNoOrdinaryLockNorTheOtherWayRound() public {
        IBatchLocks.Entry[] memory entries = entriesOf(1, 5);
        lockBatch(address(0), 0, entries);
        IPaymentLocks.Terms memory terms = termsOf(address(0), 0, entries[0]);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.LockNotOpen.selector, timelock.lockId(terms)));
        timelock.claim(terms, secretOf(0));
        IPaymentLocks.Terms memory alone = nativeTerms(5, 0);
        lockNative(alone);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.LockNotOpen.selector, timelock.leafId(alone, 0)));
        timelock.claimLeaf(alone, 0, new bytes32[](0), SECRET);
    }

    function test_consentIsForOneInstanceOfABatch() public {
        IBatchLocks.Entry[] memory entries = entriesOf(1, 5);
        (LockId id, bytes32[][] memory tree) = lockBatch(address(0), 0, entries);
        IPaymentLocks.Terms memory terms = termsOf(address(0), 0, entries[0]);
        ITimelock.Authorization memory agreed = leafConsent(id, terms, 0);
        bytes32[] memory proof = proofOf(tree, 0);
        timelock.claimLeaf(terms, 0, proof, secretOf(0));
        vm.warp(NOW + 1);
        lockBatch(address(0), 0, entries);
        vm.expectRevert(abi.encodeWithSelector(ITimelock.InvalidSignature.selector, vm.addr(RECIPIENT_KEY)));
        timelock.refundLeafEarly(terms, 0, proof, agreed);
    }

    function test_openBatchCannotBeLockedAgainUntilItsLastLeafIsClosed() public {
        IBatchLocks.Entry[] memory entries = entriesOf(2, 5);
        (LockId id, bytes32[][] memory tree) = lockBatch(address(0), 0, entries);
        timelock.claimLeaf(termsOf(address(0), 0, entries[0]), 0, proofOf(tree, 0), secretOf(0));
        expectBatchRefusal(address(0), entries, 11, abi.encodeWithSelector(ITimelock.LockExists.selector, id));
        timelock.claimLeaf(termsOf(address(0), 0, entries[1]), 1, proofOf(tree, 1), secretOf(1));
        lockBatch(address(0), 0, entries);
        vm.assertEq(timelock.openLeaves(id), 3, "both are open again");
    }

    function test_entriesAreCheckedAsLocksAre() public {
        IBatchLocks.Entry[] memory entries = entriesOf(3, 5);
        expectBatchRefusal(address(0), entries, 17, abi.encodeWithSelector(ITimelock.WrongValue.selector, 18, 17));
        entries[1].recipient = address(0);
        expectBatchRefusal(
            address(0),
            entries,
            18,
            abi.encodeWithSelector(ITimelock.InvalidRecipient.selector, address(0))
        );
        entries[1].recipient = address(timelock);
        expectBatchRefusal(
            address(0),
            entries,
            18,
            abi.encodeWithSelector(ITimelock.InvalidRecipient.selector, address(timelock))
        );
        entries[1].recipient = BOB;
        entries[2].amount = 0;
        expectBatchRefusal(address(0), entries, 11, abi.encodeWithSelector(ITimelock.ZeroAmount.selector));
        entries[2].amount = 7;
        entries[0].timelock = NOW;
        expectBatchRefusal(
            address(0),
            entries,
            18,
            abi.encodeWithSelector(ITimelock.TimelockNotInFuture.selector, NOW, NOW)
        );
        bytes4 size = IBatchLocks.WrongBatchSize.selector;
        expectBatchRefusal(address(0), entriesOf(129, 1), 0, abi.encodeWithSelector(size, 129, 128));
        expectBatchRefusal(address(0), entriesOf(0, 1), 0, abi.encodeWithSelector(size, 0, 128));
    }

    function test_sumCannotOverflow() public {
        IBatchLocks.Entry[] memory entries = entriesOf(2, 1);
        entries[0].amount = type(uint256).max;
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        vm.prank(ALICE);
        timelock.lockBatch(address(0), 0, entries);
    }

    function test_tokenThatTakesAFeeIsRefused() public {
        FeeToken fee = new FeeToken();
        fee.mint(ALICE, 1000);
        vm.prank(ALICE);
        fee.approve(address(timelock), 1000);
        IBatchLocks.Entry[] memory entries = entriesOf(1, 1000);
        bytes memory reason = abi.encodeWithSelector(ITimelock.WrongReceipt.selector, address(fee), 1000, 990);
        expectBatchRefusal(address(fee), entries, 0, reason);
    }

    /// @dev The leaves are open only when their tokens have arrived: a token that calls back finds nothing to claim.
    function test_tokenCannotClaimALeafBeforeItPaid() public {
        HookToken hook = new HookToken();
        IPaymentLocks.Terms memory others = tokenTerms(address(hook), 1000, 0);
        others.sender = STRANGER;
        lockToken(others);
        IBatchLocks.Entry[] memory entries = entriesOf(1, 1000);
        IPaymentLocks.Terms memory terms = termsOf(address(hook), 0, entries[0]);
        fund(terms);
        hook.prepare(
            address(timelock),
            abi.encodeCall(timelock.claimLeaf, (terms, 0, new bytes32[](0), secretOf(0)))
        );
        bytes memory reason = abi.encodeWithSelector(ITimelock.LockNotOpen.selector, timelock.leafId(terms, 0));
        expectBatchRefusal(address(hook), entries, 0, reason);
    }

    function expectBatchRefusal(
        address asset,
        IBatchLocks.Entry[] memory entries,
        uint256 value,
        bytes memory reason
    ) internal {
        vm.deal(ALICE, 100 ether);
        vm.expectRevert(reason);
        vm.prank(ALICE);
        timelock.lockBatch{value: value}(asset, 0, entries);
    }
}
