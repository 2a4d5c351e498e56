// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IStateOracle} from "../../contracts/interfaces/IStateOracle.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {ReenteringRecipient, RevertingRecipient} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev Knows what it was told about slots and nothing else, and wants to see the very proofs it was told of.
contract ProvingOracle {
    mapping(bytes32 question => bytes32) private _answers;

    function tell(bytes calldata question, bytes32 value) external {
        _answers[keccak256(question)] = value;
    }

    function storageAt(
        uint256 originChainId,
        uint64 number,
        address account,
        bytes32 slot,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof
    ) external view returns (bytes32 value) {
        value = _answers[keccak256(abi.encode(originChainId, number, account, slot, accountProof, storageProof))];
        require(value != 0, IStateOracle.UnknownHeader(originChainId, number));
    }
}

/// @dev Deliveries under a proof of the origin's storage instead of signatures.
contract GatewayProvenTest is GatewayFixture {
    uint64 internal constant NUMBER = 77;

    ProvingOracle internal oracle;
    bytes[] internal accountProof;
    bytes[] internal storageProof;

    function setUp() public override {
        super.setUp();
        oracle = new ProvingOracle();
        destination.setStateOracle(address(oracle));
        accountProof.push("account");
        storageProof.push("slot");
        storageProof.push("of the lane");
    }

    /// @dev What the interface promises of the origin's outbound head.
    function slot() internal pure returns (bytes32) {
        return keccak256(abi.encode(DESTINATION, 0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900));
    }

    /// @dev The oracle learns the accumulator after `nonce`, as of a block.
    function prove(uint64 nonce, uint64 number) internal {
        bytes memory question = abi.encode(ORIGIN, number, address(origin), slot(), accountProof, storageProof);
        oracle.tell(question, accumulators[nonce - 1]);
    }

    function provenCall(
        uint64 number,
        uint64 first,
        uint64 count,
        bytes memory messages,
        MessageId[] memory later
    ) internal view returns (bytes memory) {
        return
            abi.encodeCall(
                destination.deliverProven,
                (ORIGIN, number, accountProof, storageProof, first, count, messages, later)
            );
    }

    function provenCall(uint64 first, uint64 last, uint64 provenAt) internal view returns (bytes memory) {
        return provenCall(NUMBER, first, last + 1 - first, messagesFrom(first, last), idsFrom(last + 1, provenAt));
    }

    function sendMany(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) send(address(recorder));
    }

    function checkRefused(bytes memory data, bytes4 selector) internal {
        ILanes.Head memory before = destination.inboundHead(ORIGIN);
        (bool success, bytes memory returned) = address(destination).call(data);
        vm.assertTrue(!success && bytes4(returned) == selector, "refused");
        vm.assertEq(abi.encode(destination.inboundHead(ORIGIN)), abi.encode(before), "nothing happened");
    }

    function test_slotIsWhereTheOriginKeepsItsAccumulator() public {
        sendMany(2);
        vm.assertEq(vm.load(address(origin), slot()), accumulators[1], "accumulator");
    }

    function test_provenMessagesRunForAnyoneInOrder() public {
        sendMany(3);
        prove(3, NUMBER);
        bytes memory data = provenCall(1, 3, 3);
        for (uint64 nonce = 1; nonce <= 3; ++nonce) {
            vm.expectEmit(address(destination));
            emit IInbox.MessageExecuted(ids[nonce - 1], ORIGIN, nonce);
        }
        vm.prank(STRANGER);
        call(data);
        vm.assertEq(recorder.count(), 3, "all");
        ILanes.Head memory head = destination.inboundHead(ORIGIN);
        vm.assertEq(abi.encode(head), abi.encode(ILanes.Head(accumulators[2], 3, 0)), "head");
    }

    function test_signedAndProvenDeliveriesTakeTurns() public {
        sendMany(4);
        prove(3, NUMBER);
        deliver(1, 1);
        call(provenCall(1, 2, 3));
        vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[1]), "what was known is skipped, the rest is left");
        deliver(3, 4);
        call(provenCall(1, 3, 3));
        vm.assertEq(recorder.count(), 4, "each once");
    }

    function test_failedMessageIsKeptForARetry() public {
        RevertingRecipient recipient = new RevertingRecipient();
        send(address(recipient));
        prove(1, NUMBER);
        call(provenCall(1, 1, 1));
        vm.assertTrue(destination.isRetryable(ORIGIN, ids[0]), "kept");
    }

    function test_listMustLeadToTheProvenAccumulator() public {
        sendMany(3);
        prove(2, NUMBER);
        checkRefused(provenCall(1, 3, 3), IInbox.WrongAccumulator.selector);
        checkRefused(provenCall(1, 1, 1), IInbox.WrongAccumulator.selector);
        sent[1].payload = "other";
        checkRefused(provenCall(1, 2, 2), IInbox.WrongAccumulator.selector);
        ids[1] = MessageId.wrap(keccak256("other"));
        checkRefused(provenCall(1, 1, 2), IInbox.WrongAccumulator.selector);
    }

    function test_countMustBeTheLists() public {
        sendMany(3);
        prove(3, NUMBER);
        MessageId[] memory none = new MessageId[](0);
        checkRefused(provenCall(NUMBER, 1, 2, messagesFrom(1, 3), none), IInbox.TrailingBytes.selector);
        checkRefused(provenCall(NUMBER, 1, 4, messagesFrom(1, 3), none), IInbox.TruncatedMessage.selector);
        // A count far beyond any list finds no memory, and so takes no effect.
        (bool success, ) = address(destination).call{gas: 5_000_000}(
            provenCall(NUMBER, 1, type(uint64).max, messagesFrom(1, 3), none)
        );
        vm.assertTrue(!success && destination.inboundHead(ORIGIN).nonce == 0, "refused");
    }

    function test_gapIsRefused() public {
        sendMany(3);
        prove(3, NUMBER);
        expectDeliveryRevert(provenCall(2, 3, 3), abi.encodeWithSelector(IInbox.NonceGap.selector, 1, 2));
        expectDeliveryRevert(
            provenCall(NUMBER, 0, 3, messagesFrom(1, 3), new MessageId[](0)),
            abi.encodeWithSelector(IInbox.NonceGap.selector, 1, 0)
        );
        deliver(1, 1);
        expectDeliveryRevert(provenCall(3, 3, 3), abi.encodeWithSelector(IInbox.NonceGap.selector, 2, 3));
    }

    function test_nothingNewReturnsEarlyWithoutAskingTheOracle() public {
        sendMany(2);
        deliver(1, 2);
        destination.setStateOracle(address(0));
        call(provenCall(1, 2, 2));
        call(provenCall(1, 1, 2));
        call(provenCall(NUMBER, 3, 0, "", new MessageId[](0)));
        vm.assertEq(recorder.count(), 2, "nothing ran");
    }

    function test_withoutAnOracleNothingIsProven() public {
        sendMany(1);
        destination.setStateOracle(address(0));
        checkRefused(provenCall(1, 1, 1), IInbox.NoStateOracle.selector);
    }

    function test_oracleIsAskedForThisLaneAtThatBlock() public {
        sendMany(1);
        prove(1, NUMBER);
        MessageId[] memory none = new MessageId[](0);
        checkRefused(provenCall(NUMBER + 1, 1, 1, messagesFrom(1, 1), none), IStateOracle.UnknownHeader.selector);
        storageProof[0] = "another proof";
        checkRefused(provenCall(1, 1, 1), IStateOracle.UnknownHeader.selector);
        bytes memory data = abi.encodeCall(
            destination.deliverProven,
            (99, NUMBER, accountProof, storageProof, 1, 1, messagesFrom(1, 1), none)
        );
        expectDeliveryRevert(data, abi.encodeWithSelector(IInbox.UnknownOrigin.selector, 99, address(0)));
    }

    /// @dev A gateway whose chain id changed in a fork looks for the lane to its new id, which nobody has.
    function test_forkOfThisChainFindsNoProof() public {
        sendMany(1);
        prove(1, NUMBER);
        bytes memory data = provenCall(1, 1, 1);
        vm.chainId(99);
        checkRefused(data, IStateOracle.UnknownHeader.selector);
    }

    function test_bucketHoldsForProvenMessagesToo() public {
        destination.setLimits(ORIGIN, ILanes.Limit(0, 0), ILanes.Limit(2, 20));
        sendMany(3);
        prove(3, NUMBER);
        call(provenCall(1, 3, 3));
        vm.assertEq(destination.inboundHead(ORIGIN).nonce, 2, "two");
        expectDeliveryRevert(provenCall(1, 3, 3), abi.encodeWithSelector(ILanes.LimitReached.selector, ORIGIN));
        vm.warp(NOW + 10);
        call(provenCall(1, 3, 3));
        vm.assertEq(recorder.lastId(), MessageId.unwrap(ids[2]), "the third");
    }

    function test_pausedLaneDeliversNoProvenMessages() public {
        sendMany(1);
        prove(1, NUMBER);
        destination.pause(ORIGIN);
        expectDeliveryRevert(provenCall(1, 1, 1), abi.encodeWithSelector(ILanes.LaneIsPaused.selector, ORIGIN));
    }

    function test_deferredMessageIsDeferredWhoeverProvesIt() public {
        sendMany(1);
        prove(1, NUMBER);
        destination.defer(ORIGIN, idsFrom(1, 1));
        call(provenCall(1, 1, 1));
        vm.assertTrue(recorder.count() == 0 && destination.isRetryable(ORIGIN, ids[0]), "kept");
    }

    function test_recipientCannotDeliverByProof() public {
        ReenteringRecipient recipient = new ReenteringRecipient();
        send(address(recipient), "", 4_000_000);
        sendMany(1);
        prove(2, NUMBER);
        recipient.prepare(address(destination), provenCall(1, 2, 2));
        bytes memory guard = abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vm.expectEmit(address(destination));
        emit IInbox.MessageFailed(ids[0], ORIGIN, 1, guard);
        deliver(1, 1);
        vm.assertEq(recorder.count(), 0, "order is kept");
    }
}
