// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {RevertingRecipient} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev Rate limits: the origin refuses, the destination delivers what its bucket allows and leaves the rest.
contract GatewayLimitsTest is GatewayFixture {
    ILanes.Limit internal none;

    function limitOrigin(uint32 capacity, uint24 window) internal {
        vm.chainId(ORIGIN);
        origin.setLimits(DESTINATION, ILanes.Limit(capacity, window), none);
        vm.chainId(DESTINATION);
    }

    function limitDestination(uint32 capacity, uint24 window) internal {
        destination.setLimits(ORIGIN, none, ILanes.Limit(capacity, window));
    }

    function sendMany(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) send(address(recorder));
    }

    function reached(uint256 chainId) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(ILanes.LimitReached.selector, chainId);
    }

    function availableAt() internal view returns (uint256 inbound) {
        (, , , inbound) = destination.limitsOf(ORIGIN);
    }

    function headNonce() internal view returns (uint64) {
        return destination.inboundHead(ORIGIN).nonce;
    }

    function test_limitsAreKeptAndAnnounced() public {
        ILanes.Limit memory outbound = ILanes.Limit(11, 22);
        ILanes.Limit memory inbound = ILanes.Limit(33, 44);
        vm.expectEmit(address(destination));
        emit ILanes.LaneLimited(ORIGIN, outbound, inbound);
        destination.setLimits(ORIGIN, outbound, inbound);
        (ILanes.Limit memory out, ILanes.Limit memory incoming, uint256 outLeft, uint256 inLeft) = destination.limitsOf(
            ORIGIN
        );
        vm.assertEq(abi.encode(out, incoming), abi.encode(outbound, inbound), "limits");
        vm.assertTrue(outLeft == 11 && inLeft == 33, "full");
    }

    function test_limitWithoutAWindowOrTheReverseIsRefused() public {
        ILanes.Limit memory good = ILanes.Limit(1, 1);
        ILanes.Limit[2] memory bad = [ILanes.Limit(1, 0), ILanes.Limit(0, 1)];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory why = abi.encodeWithSelector(ILanes.InvalidLimit.selector, bad[i]);
            vm.expectRevert(why);
            destination.setLimits(ORIGIN, bad[i], good);
            vm.expectRevert(why);
            destination.setLimits(ORIGIN, good, bad[i]);
        }
    }

    function test_originRefusesOverTheLimit() public {
        limitOrigin(3, 30);
        sendMany(3);
        bytes memory recipient = interoperable(address(recorder));
        vm.chainId(ORIGIN);
        vm.warp(NOW + 9);
        vm.expectRevert(reached(DESTINATION));
        origin.sendMessage(recipient, "", new bytes[](0));
        vm.assertEq(origin.outboundHead(DESTINATION).nonce, 3, "nothing was appended");
        vm.warp(NOW + 10);
        send(address(recorder));
        deliver(1, 4);
        vm.assertEq(recorder.count(), 4, "the chain of ids is whole");
    }

    function test_destinationDeliversWhatTheBucketLetsThrough() public {
        limitDestination(3, 30);
        sendMany(5);
        vm.expectEmit(address(destination));
        emit IInbox.MessageExecuted(ids[2], ORIGIN, 3);
        deliver(1, 5);
        vm.assertEq(recorder.count(), 3, "three");
        vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[2]), "the first three");
        vm.assertEq(headNonce(), 3, "head");
        vm.assertEq(destination.inboundHead(ORIGIN).accumulator, accumulators[2], "accumulator");
        expectDeliveryRevert(deliveryCall(1, 5, 5), reached(ORIGIN));
        vm.warp(NOW + 10);
        deliver(1, 5);
        vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[3]), "the fourth");
        vm.warp(NOW + 20);
        deliver(5, 5);
        vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[4]), "the fifth");
        vm.assertEq(destination.inboundHead(ORIGIN).accumulator, accumulators[4], "the end");
    }

    function test_whatIsLeftForLaterIsCheckedAllTheSame() public {
        limitDestination(1, 30);
        sendMany(3);
        sent[2].payload = "other";
        (bool success, bytes memory returned) = address(destination).call(deliveryCall(1, 3, 3));
        vm.assertTrue(!success && bytes4(returned) == IInbox.WrongAccumulator.selector, "refused");
    }

    function test_skippedMessagesAndKnownCheckpointsUseNothing() public {
        limitDestination(3, 3_000);
        sendMany(3);
        deliver(1, 1);
        deliver(1, 1);
        deliver(1, 2);
        vm.assertEq(availableAt(), 1, "two were new");
        deliver(1, 3);
        deliver(1, 3);
        vm.assertEq(recorder.count(), 3, "an empty bucket does not refuse what is known");
    }

    function test_failedMessagesCountAndRetriesDoNot() public {
        limitDestination(1, 30);
        RevertingRecipient recipient = new RevertingRecipient();
        send(address(recipient));
        deliver(1, 1);
        vm.assertEq(availableAt(), 0, "used");
        recipient.setAccepting(true);
        destination.retry(ORIGIN, address(origin), 1, packed(sent[0]));
    }

    function test_newLimitsStartFullAndNoneMeansNone() public {
        limitDestination(1, 30);
        sendMany(9);
        deliver(1, 9);
        limitDestination(2, 30);
        deliver(1, 9);
        vm.assertEq(headNonce(), 3, "two more");
        limitDestination(0, 0);
        deliver(1, 9);
        vm.assertEq(headNonce(), 9, "the rest");
    }

    function test_directionsAreLimitedEachByItself() public {
        destination.setLimits(ORIGIN, ILanes.Limit(1, 30), none);
        sendMany(3);
        deliver(1, 3);
        bytes memory back = abi.encodePacked(hex"00010000", uint8(3), uint24(ORIGIN), uint8(20), address(recorder));
        destination.sendMessage(back, "", new bytes[](0));
        vm.expectRevert(reached(ORIGIN));
        destination.sendMessage(back, "", new bytes[](0));
    }

    /// @dev However deliveries are cut and whenever they come: in order, each once, and never over the limit.
    function testFuzz_limitedLaneDeliversEverythingInOrder(uint256 seed) public {
        uint32 capacity = uint32(bound(seed, 1, 4));
        uint24 window = uint24(bound(seed >> 8, 1, 100));
        limitDestination(capacity, window);
        uint64 total = 6;
        sendMany(total);
        uint64 head = 0;
        uint256 time = NOW;
        for (uint256 round = 0; head < total; ++round) {
            seed = uint256(keccak256(abi.encode(seed)));
            time += round > 8 ? window : (seed >> 16) % window;
            vm.warp(time);
            uint64 last = uint64(bound(seed >> 64, head + 1, total));
            uint256 available = availableAt();
            (bool success, bytes memory returned) = address(destination).call(deliveryCall(head + 1, last, total));
            vm.assertTrue(success == (available > 0), "only an empty bucket refuses");
            if (!success) vm.assertEq(returned, reached(ORIGIN), "reason");
            else head = available < last - head ? head + uint64(available) : last;
            vm.assertEq(headNonce(), head, "as far as the bucket goes");
            vm.assertEq(recorder.count(), head, "each once");
            if (head > 0) vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[head - 1]), "in order");
        }
    }
}
