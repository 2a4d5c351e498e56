// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {QuorumSet, Signature} from "../../contracts/interfaces/IValidatorSet.sol";
import {ReenteringRecipient} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture, Message} from "./GatewayFixture.sol";

/// @dev The destination's side: order, overlap, gaps and what a delivery must bring.
contract GatewayDeliverTest is GatewayFixture {
    function test_deliveryRunsTheMessage() public {
        MessageId id = send(address(recorder), "hello", 150_000);
        vm.expectEmit(address(destination));
        emit IInbox.MessageExecuted(id, ORIGIN, 1);
        deliver(1, 1);
        vm.assertEq(recorder.count(), 1, "count");
        vm.assertEq(recorder.lastId(), MessageId.unwrap(id), "id");
        vm.assertEq(recorder.lastPayload(), "hello", "payload");
        vm.assertEq(recorder.lastSender(), InteroperableAddress.formatEvmV1(ORIGIN, SENDER), "sender");
        vm.assertEq(destination.inboundHead(ORIGIN).accumulator, accumulators[0], "accumulator");
        vm.assertTrue(!destination.isRetryable(ORIGIN, id), "nothing to retry");
    }

    /// @dev However relayers cut the lane into deliveries, every message runs once and in order.
    function testFuzz_everyMessageRunsOnceWhateverTheCuts(uint256 seed) public {
        uint64 total = 7;
        for (uint64 i = 0; i < total; ++i) send(address(recorder));
        uint64 head = 0;
        for (uint64 round = 0; head < total; ++round) {
            seed = uint256(keccak256(abi.encode(seed)));
            // At or below the head, with a list that reaches over it or not, and a checkpoint at its end or further.
            uint64 first = uint64(bound(seed, 0, head)) + 1;
            uint64 last = round > 12 ? total : uint64(bound(seed >> 64, first, total));
            uint64 signedAt = uint64(bound(seed >> 128, last, total));
            deliver(first, last, signedAt);
            if (last > head) head = last;
            vm.assertEq(destination.inboundHead(ORIGIN).nonce, head, "head");
            vm.assertEq(recorder.count(), head, "count");
            vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[head - 1]), "in order");
        }
        vm.assertEq(destination.inboundHead(ORIGIN).accumulator, origin.outboundHead(DESTINATION).accumulator, "both ends");
    }

    function test_laterMessagesStayForLaterCalls() public {
        for (uint256 i = 0; i < 3; ++i) send(address(recorder));
        deliver(1, 1, 3);
        vm.assertEq(destination.inboundHead(ORIGIN).nonce, 1, "head is the last message that came");
        vm.assertEq(destination.inboundHead(ORIGIN).accumulator, accumulators[0], "accumulator");
        deliver(2, 3, 3);
        vm.assertEq(recorder.count(), 3, "all");
    }

    function test_knownCheckpointReturnsEarlyWithoutAnyCheck() public {
        send(address(recorder));
        send(address(recorder));
        deliver(1, 2);
        QuorumSet memory noSet;
        IInbox.Checkpoint memory nonsense = IInbox.Checkpoint(ORIGIN, STRANGER, 9, 2, 0, 9);
        destination.deliver(nonsense, noSet, new Signature[](0), 1, messagesFrom(1, 1), new MessageId[](0));
        destination.deliver(nonsense, noSet, new Signature[](0), 3, messagesFrom(1, 2), new MessageId[](0));
        vm.assertEq(recorder.count(), 2, "nothing ran");
    }

    function test_deliveryOfNothingNewReturnsEarly() public {
        for (uint256 i = 0; i < 3; ++i) send(address(recorder));
        deliver(1, 2);
        deliver(1, 2, 3);
        deliver(3, 2, 3);
        vm.assertEq(recorder.count(), 2, "nothing ran");
        vm.assertEq(destination.inboundHead(ORIGIN).nonce, 2, "head");
    }

    function test_skippedEntriesAreNotLookedAt() public {
        send(address(recorder));
        send(address(recorder));
        deliver(1, 1);
        sent[0].payload = "something else";
        deliver(1, 2);
        vm.assertEq(recorder.count(), 2, "second ran");
    }

    function test_gapIsRefused() public {
        for (uint256 i = 0; i < 3; ++i) send(address(recorder));
        deliver(1, 1);
        expectDeliveryRevert(deliveryCall(3, 3, 3), abi.encodeWithSelector(IInbox.NonceGap.selector, 2, 3));
    }

    function test_listMustEndAtTheCheckpoint() public {
        for (uint256 i = 0; i < 3; ++i) send(address(recorder));
        IInbox.Checkpoint memory checkpoint = checkpointAt(3);
        QuorumSet memory set = validatorSet();
        Signature[] memory signatures = quorum(checkpoint);
        vm.expectRevert(abi.encodeWithSelector(IInbox.TruncatedMessage.selector, messagesFrom(1, 1).length));
        destination.deliver(checkpoint, set, signatures, 1, messagesFrom(1, 1), idsFrom(2, 2));
        IInbox.Checkpoint memory earlier = checkpointAt(2);
        signatures = quorum(earlier);
        vm.expectRevert(abi.encodeWithSelector(IInbox.TrailingBytes.selector, messagesFrom(1, 2).length, messagesFrom(1, 3).length));
        destination.deliver(earlier, set, signatures, 1, messagesFrom(1, 3), idsFrom(4, 3));
    }

    function test_idsMustLeavePlaceForTheMessages() public {
        for (uint256 i = 0; i < 3; ++i) send(address(recorder));
        IInbox.Checkpoint memory checkpoint = checkpointAt(2);
        QuorumSet memory set = validatorSet();
        Signature[] memory signatures = quorum(checkpoint);
        vm.expectRevert(abi.encodeWithSelector(IInbox.WrongLength.selector, 2, 1, 2));
        destination.deliver(checkpoint, set, signatures, 2, "", idsFrom(2, 2));
        vm.expectRevert(abi.encodeWithSelector(IInbox.WrongLength.selector, 0, 0, 2));
        destination.deliver(checkpoint, set, signatures, 0, "", new MessageId[](0));
    }

    /// @dev Whatever is changed of a message on its way, it does not lead to the signed accumulator.
    function testFuzz_changedMessageIsRefused(uint8 what, bool later) public {
        for (uint256 i = 0; i < 3; ++i) send(address(recorder));
        Message storage message = sent[1];
        what = uint8(bound(what, 0, 5));
        if (later) ids[2] = MessageId.wrap(keccak256("other"));
        else if (what == 0) message.sender = STRANGER;
        else if (what == 1) message.recipient = STRANGER;
        else if (what == 2) message.gasLimit += 1;
        else if (what == 3) message.attributesHash = 0;
        else if (what == 4) message.payload = "other";
        else sent[1] = sent[0];
        bytes memory data = deliveryCall(1, 2, 3);
        (bool success, bytes memory returned) = address(destination).call(data);
        vm.assertTrue(!success && bytes4(returned) == IInbox.WrongAccumulator.selector, "refused");
        vm.assertEq(destination.inboundHead(ORIGIN).nonce, 0, "nothing happened");
    }

    function test_accumulatorMustBeTheSignedOne() public {
        send(address(recorder));
        bytes32 right = accumulators[0];
        accumulators[0] = keccak256("another branch");
        expectDeliveryRevert(
            deliveryCall(1, 1, 1),
            abi.encodeWithSelector(IInbox.WrongAccumulator.selector, accumulators[0], right)
        );
    }

    function test_unknownOriginIsRefused() public {
        send(address(recorder));
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        checkpoint.originGateway = STRANGER;
        refuse(checkpoint, abi.encodeWithSelector(IInbox.UnknownOrigin.selector, ORIGIN, STRANGER));
        checkpoint.originChainId = 99;
        checkpoint.originGateway = address(0);
        refuse(checkpoint, abi.encodeWithSelector(IInbox.UnknownOrigin.selector, 99, address(0)));
    }

    function test_otherGenerationIsRefused() public {
        send(address(recorder));
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        checkpoint.generation = 1;
        refuse(checkpoint, abi.encodeWithSelector(IInbox.WrongGeneration.selector, 0, 1));
    }

    /// @dev Without the guard, a recipient that delivers the next checkpoint changes the order.
    function test_recipientCannotDeliverNorRetry() public {
        ReenteringRecipient recipient = new ReenteringRecipient();
        MessageId id = send(address(recipient), "", 4_000_000);
        send(address(recorder));
        bytes memory guard = abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        recipient.prepare(address(destination), deliveryCall(1, 2, 2));
        vm.expectEmit(address(destination));
        emit IInbox.MessageFailed(id, ORIGIN, 1, guard);
        deliver(1, 1, 2);
        vm.assertEq(recorder.count(), 0, "order is kept");

        recipient.prepare(
            address(destination),
            abi.encodeCall(destination.retry, (ORIGIN, address(origin), 1, packed(sent[0])))
        );
        vm.expectRevert(abi.encodeWithSelector(IInbox.RetryFailed.selector, id, guard));
        destination.retry(ORIGIN, address(origin), 1, packed(sent[0]));
    }

    function test_recipientCanAnswer() public {
        ReenteringRecipient recipient = new ReenteringRecipient();
        bytes memory back = InteroperableAddress.formatEvmV1(ORIGIN, SENDER);
        recipient.prepare(
            address(destination),
            abi.encodeCall(destination.sendMessage, (back, "answer", new bytes[](0)))
        );
        send(address(recipient));
        deliver(1, 1);
        vm.assertEq(destination.outboundHead(ORIGIN).nonce, 1, "the answer is on its way");
    }

    function refuse(IInbox.Checkpoint memory checkpoint, bytes memory why) internal {
        QuorumSet memory set = validatorSet();
        Signature[] memory signatures = quorum(checkpoint);
        vm.expectRevert(why);
        destination.deliver(checkpoint, set, signatures, 1, messagesFrom(1, 1), new MessageId[](0));
    }
}
