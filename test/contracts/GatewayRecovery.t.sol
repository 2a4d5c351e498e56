// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IRecovery} from "../../contracts/interfaces/IRecovery.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {ReenteringRecipient, RevertingRecipient} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev Messages that are held back, and lanes that are put onto another branch of their origin.
contract GatewayRecoveryTest is GatewayFixture {
    uint256 internal constant OTHER = 99;

    function sendMany(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) send(address(recorder));
    }

    function only(MessageId id) internal pure returns (MessageId[] memory some) {
        some = new MessageId[](1);
        some[0] = id;
    }

    function retry(uint64 nonce) internal {
        destination.retry(ORIGIN, address(origin), nonce, packed(sent[nonce - 1]));
    }

    /// @dev The count in the lane's second word, which has no getter.
    function deferrals(uint256 chainId) internal view returns (uint16) {
        return uint16(uint256(vm.load(address(destination), stateSlot(chainId))) >> 112);
    }

    function stateSlot(uint256 chainId) internal pure returns (bytes32) {
        uint256 base = 0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900;
        return bytes32(uint256(keccak256(abi.encode(chainId, base + 1))) + 1);
    }

    function test_deferredMessageIsRecordedAsFailedAndRetriedByAnyone() public {
        sendMany(3);
        vm.expectEmit(address(destination));
        emit IRecovery.DeferralSet(ids[1], ORIGIN, true);
        destination.defer(ORIGIN, only(ids[1]));
        vm.assertEq(destination.deferredAt(ids[1]), ORIGIN, "deferred");
        vm.expectEmit(address(destination));
        emit IInbox.MessageExecuted(ids[0], ORIGIN, 1);
        vm.expectEmit(address(destination));
        emit IInbox.MessageFailed(ids[1], ORIGIN, 2, abi.encodeWithSelector(IInbox.Deferred.selector, ids[1]));
        vm.expectEmit(address(destination));
        emit IInbox.MessageExecuted(ids[2], ORIGIN, 3);
        deliver(1, 3);
        vm.assertEq(recorder.count(), 2, "the others ran");
        vm.assertEq(destination.deferredAt(ids[1]), 0, "met");
        vm.assertEq(deferrals(ORIGIN), 0, "count");
        vm.prank(STRANGER);
        retry(2);
        vm.assertEq(recorder.count(), 3, "retried");
        vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, ids[1]));
        retry(2);
    }

    function test_deferralIsTakenBack() public {
        sendMany(2);
        destination.defer(ORIGIN, idsFrom(1, 2));
        vm.expectEmit(address(destination));
        emit IRecovery.DeferralSet(ids[0], ORIGIN, false);
        destination.undefer(ORIGIN, only(ids[0]));
        deliver(1, 2);
        vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[0]), "the first ran");
        vm.assertTrue(!destination.isRetryable(ORIGIN, ids[0]) && destination.isRetryable(ORIGIN, ids[1]), "the second not");
    }

    function test_deferralThatChangesNothingIsRefused() public {
        sendMany(2);
        bytes memory unchanged = abi.encodeWithSelector(IRecovery.DeferralUnchanged.selector, ids[0]);
        vm.expectRevert(unchanged);
        destination.undefer(ORIGIN, only(ids[0]));
        destination.defer(ORIGIN, only(ids[0]));
        vm.expectRevert(unchanged);
        destination.defer(ORIGIN, only(ids[0]));
        MessageId[] memory twice = new MessageId[](2);
        (twice[0], twice[1]) = (ids[1], ids[1]);
        vm.expectRevert(abi.encodeWithSelector(IRecovery.DeferralUnchanged.selector, ids[1]));
        destination.defer(ORIGIN, twice);
        deliver(1, 2);
        vm.expectRevert(unchanged);
        destination.undefer(ORIGIN, only(ids[0]));
        vm.assertEq(deferrals(ORIGIN), 0, "count");
    }

    function test_deferralOnAnotherLaneHasNoEffect() public {
        destination.setLane(OTHER, lane(STRANGER));
        sendMany(2);
        destination.defer(OTHER, only(ids[0]));
        destination.defer(ORIGIN, only(ids[1]));
        deliver(1, 2);
        vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[0]), "the first ran");
        vm.assertEq(destination.deferredAt(ids[0]), OTHER, "it stays there");
        vm.expectRevert(abi.encodeWithSelector(IRecovery.DeferralUnchanged.selector, ids[0]));
        destination.undefer(ORIGIN, only(ids[0]));
        destination.undefer(OTHER, only(ids[0]));
        vm.assertEq(deferrals(OTHER), 0, "count");
    }

    /// @dev Or the count of the lane it was deferred on first would stay one too high for ever.
    function test_idIsDeferredOnOneLaneOnly() public {
        destination.setLane(OTHER, lane(STRANGER));
        sendMany(1);
        destination.defer(OTHER, only(ids[0]));
        vm.expectRevert(abi.encodeWithSelector(IRecovery.DeferralUnchanged.selector, ids[0]));
        destination.defer(ORIGIN, only(ids[0]));
        destination.undefer(OTHER, only(ids[0]));
        destination.defer(ORIGIN, only(ids[0]));
        vm.assertTrue(deferrals(OTHER) == 0 && deferrals(ORIGIN) == 1, "counts");
    }

    /// @dev Whatever is deferred, taken back and delivered on two lanes, each lane counts what is open there.
    function testFuzz_deferralsAreCountedRight(uint256 seed) public {
        destination.setLane(OTHER, lane(STRANGER));
        sendMany(6);
        for (uint256 step = 0; step < 12; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint64 head = destination.inboundHead(ORIGIN).nonce;
            uint256 chainId = seed % 5 == 0 ? OTHER : ORIGIN;
            MessageId[] memory some = new MessageId[](1 + ((seed >> 8) % 2));
            for (uint256 i = 0; i < some.length; ++i) some[i] = ids[(seed >> (16 + 8 * i)) % 6];
            bytes memory data = abi.encodeCall(destination.defer, (chainId, some));
            if (seed % 3 == 0) data = abi.encodeCall(destination.undefer, (chainId, some));
            if (seed % 7 == 0 && head < 6) data = deliveryCall(head + 1, head + 1, 6);
            (bool success, ) = address(destination).call(data);
            success;
            uint256[2] memory open;
            for (uint256 i = 0; i < 6; ++i) {
                uint256 where = destination.deferredAt(ids[i]);
                if (where != 0) ++open[where == ORIGIN ? 0 : 1];
            }
            vm.assertEq(deferrals(ORIGIN), open[0], "count");
            vm.assertEq(deferrals(OTHER), open[1], "count of the other lane");
        }
        deliver(1, 6);
        for (uint64 nonce = 1; nonce <= 6; ++nonce) if (destination.isRetryable(ORIGIN, ids[nonce - 1])) retry(nonce);
        vm.assertEq(recorder.count(), 6, "each once in the end");
    }

    function test_moreDeferralsThanCanBeCountedAreRefused() public {
        uint256 word = uint256(vm.load(address(destination), stateSlot(ORIGIN)));
        vm.store(address(destination), stateSlot(ORIGIN), bytes32(word | (uint256(type(uint16).max) << 112)));
        MessageId[] memory some = only(MessageId.wrap(keccak256("one more")));
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 16, 65_536));
        destination.defer(ORIGIN, some);
    }

    function test_deferralCostsOtherMessagesLittle() public {
        sendMany(16);
        deliver(1, 5);
        bytes memory data = deliveryCall(6, 10, 10);
        uint256 before = gasleft();
        call(data);
        uint256 plain = before - gasleft();
        destination.defer(ORIGIN, only(ids[15]));
        data = deliveryCall(11, 15, 15);
        before = gasleft();
        call(data);
        uint256 deferring = before - gasleft();
        vm.assertTrue(deferring < plain + 5 * 2_400, "one cold slot a message");
    }

    function realign(uint64 nonce, bytes32 accumulator, MessageId[] memory retryable) internal {
        uint32 generation = destination.inboundHead(ORIGIN).generation;
        destination.realign(ORIGIN, generation, nonce, accumulator, retryable);
    }

    /// @dev A delivery under the generation that the lane is in.
    function deliverAgain(uint64 first, uint64 last) internal returns (bool success, bytes memory returned) {
        IInbox.Checkpoint memory checkpoint = checkpointAt(last);
        checkpoint.generation = destination.inboundHead(ORIGIN).generation;
        bytes memory data = abi.encodeCall(
            destination.deliver,
            (checkpoint, validatorSet(), quorum(checkpoint), first, messagesFrom(first, last), new MessageId[](0))
        );
        return address(destination).call(data);
    }

    function test_realignedLaneGoesOnFromItsNewHead() public {
        sendMany(4);
        deliver(1, 1);
        vm.expectEmit(address(destination));
        emit IRecovery.LaneRealigned(ORIGIN, 1, 3, accumulators[2], only(ids[1]));
        realign(3, accumulators[2], only(ids[1]));
        ILanes.Head memory head = destination.inboundHead(ORIGIN);
        vm.assertEq(abi.encode(head), abi.encode(ILanes.Head(accumulators[2], 3, 1)), "head");
        (bool success, ) = deliverAgain(1, 4);
        vm.assertTrue(success, "goes on");
        vm.assertEq(recorder.count(), 2, "what the new head skipped did not run");
        vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[3]), "the one after it did");
    }

    /// @dev The origin was reorganised: it sends something else under nonces that the destination has already seen.
    function test_deliveryFollowsTheNewBranch() public {
        sendMany(3);
        deliver(1, 3);
        sent.pop();
        ids.pop();
        accumulators.pop();
        sent[1].payload = "another history";
        ids[1] = idOf(sent[1], 2);
        accumulators[1] = keccak256(abi.encodePacked(accumulators[0], ids[1]));
        sent.push(sent[1]);
        ids.push(idOf(sent[1], 3));
        accumulators.push(keccak256(abi.encodePacked(accumulators[1], ids[2])));
        realign(3, accumulators[2], only(ids[1]));
        remember(sent[1]);
        (bool success, ) = deliverAgain(4, 4);
        vm.assertTrue(success && recorder.count() == 4, "on the new branch");
        retry(2);
        vm.assertEq(recorder.count(), 5, "listed");
        vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, ids[2]));
        retry(3);
    }

    function test_realignmentNeedsTheGenerationAndNoEarlierHead() public {
        sendMany(3);
        deliver(1, 2);
        MessageId[] memory noIds = new MessageId[](0);
        vm.expectRevert(abi.encodeWithSelector(IInbox.WrongGeneration.selector, 0, 1));
        destination.realign(ORIGIN, 1, 3, accumulators[2], noIds);
        vm.expectRevert(abi.encodeWithSelector(IInbox.NonceGap.selector, 2, 1));
        destination.realign(ORIGIN, 0, 1, accumulators[0], noIds);
        destination.realign(ORIGIN, 0, 2, accumulators[1], noIds);
        vm.expectRevert(abi.encodeWithSelector(IInbox.WrongGeneration.selector, 1, 0));
        destination.realign(ORIGIN, 0, 2, accumulators[1], noIds);
        destination.realign(ORIGIN, 1, 2, accumulators[1], noIds);
        vm.assertEq(destination.inboundHead(ORIGIN).generation, 2, "twice");
    }

    function test_oldCheckpointsCountForNothing() public {
        sendMany(3);
        deliver(1, 1);
        bytes memory old = deliveryCall(2, 3, 3);
        realign(1, accumulators[0], new MessageId[](0));
        expectDeliveryRevert(old, abi.encodeWithSelector(IInbox.WrongGeneration.selector, 1, 0));
        (bool success, ) = deliverAgain(2, 3);
        vm.assertTrue(success && recorder.count() == 3, "the same messages under the new generation");
    }

    function test_oldFailuresAreRetriedOnlyWhenListed() public {
        RevertingRecipient recipient = new RevertingRecipient();
        for (uint256 i = 0; i < 3; ++i) send(address(recipient));
        sendMany(2);
        deliver(1, 3);
        recipient.setAccepting(true);
        MessageId[] memory listed = new MessageId[](2);
        (listed[0], listed[1]) = (ids[1], ids[3]);
        realign(5, accumulators[4], listed);
        for (uint64 nonce = 1; nonce <= 5; ++nonce) {
            bool may = nonce == 2 || nonce == 4;
            vm.assertTrue(destination.isRetryable(ORIGIN, ids[nonce - 1]) == may, "listed");
            if (!may) vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, ids[nonce - 1]));
            retry(nonce);
        }
        vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, ids[3]));
        retry(4);
        (bool success, ) = deliverAgain(1, 5);
        vm.assertTrue(success, "known, returns early");
        vm.assertEq(recorder.count(), 1, "at or below the head nothing runs but what is listed, once");
    }

    function test_listedIdsOfAnEarlierRealignmentDoNotOutliveTheNext() public {
        sendMany(2);
        realign(2, accumulators[1], idsFrom(1, 2));
        realign(2, accumulators[1], only(ids[1]));
        vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, ids[0]));
        retry(1);
        retry(2);
        vm.assertEq(recorder.count(), 1, "one");
    }

    function test_realignmentKeepsPauseLimitsAndDeferrals() public {
        sendMany(3);
        destination.setLimits(ORIGIN, ILanes.Limit(5, 50), ILanes.Limit(2, 20));
        destination.defer(ORIGIN, only(ids[2]));
        destination.pause(ORIGIN);
        realign(1, accumulators[0], new MessageId[](0));
        vm.assertTrue(destination.isPaused(ORIGIN) && deferrals(ORIGIN) == 1, "as before");
        destination.unpause(ORIGIN);
        (bool success, ) = deliverAgain(2, 3);
        vm.assertTrue(success && destination.isRetryable(ORIGIN, ids[2]), "deferred all the same");
        (, , , uint256 available) = destination.limitsOf(ORIGIN);
        vm.assertEq(available, 0, "limited all the same");
    }

    /// @dev Otherwise the message behind would run where it was, and once more by a retry as listed.
    function test_messageCannotRealignTheLaneItCameBy() public {
        ReenteringRecipient governing = new ReenteringRecipient();
        manager.grantRole(0, address(governing), 0);
        MessageId id = send(address(governing), "", 1_000_000);
        send(address(recorder));
        bytes memory data = abi.encodeCall(destination.realign, (ORIGIN, 0, 2, accumulators[1], only(ids[1])));
        governing.prepare(address(destination), data);
        bytes memory reason = abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vm.expectEmit(address(destination));
        emit IInbox.MessageFailed(id, ORIGIN, 1, reason);
        deliver(1, 2);
        vm.assertEq(destination.inboundHead(ORIGIN).generation, 0, "as before");
        vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, ids[1]));
        retry(2);
        vm.assertEq(recorder.count(), 1, "once");
    }

    /// @dev A lane with a head but no gateway could never be given one.
    function test_unknownLaneIsNotRealigned() public {
        vm.expectRevert(abi.encodeWithSelector(ILanes.UnknownLane.selector, OTHER));
        destination.realign(OTHER, 0, 5, bytes32(uint256(1)), new MessageId[](0));
    }
}
