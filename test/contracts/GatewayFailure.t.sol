// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {
    GasBurner,
    GasRecorder,
    MegabyteReturner,
    RevertingRecipient,
    ShortAnswerer,
    WrongAnswerer
} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture, Message} from "./GatewayFixture.sol";

/// @dev Messages that fail, the gas that they get, and their second chance.
contract GatewayFailureTest is GatewayFixture {
    /// @dev A failing message between two good ones: it is kept, and the others run.
    function checkFailure(address recipient, uint256 gasLimit, bytes memory reason) internal {
        send(address(recorder));
        MessageId id = send(recipient, "", gasLimit);
        send(address(recorder));
        vm.expectEmit(address(destination));
        emit IInbox.MessageExecuted(ids[0], ORIGIN, 1);
        vm.expectEmit(address(destination));
        emit IInbox.MessageFailed(id, ORIGIN, 2, reason);
        vm.expectEmit(address(destination));
        emit IInbox.MessageExecuted(ids[2], ORIGIN, 3);
        uint256 before = gasleft();
        deliver(1, 3);
        vm.assertTrue(before - gasleft() < gasLimit + 1_000_000, "a recipient cannot make relayers pay much more");
        vm.assertTrue(destination.isRetryable(ORIGIN, id), "kept");
        vm.assertEq(destination.inboundHead(ORIGIN).nonce, 3, "the lane goes on");
    }

    function test_revertIsKeptWithItsReason() public {
        RevertingRecipient recipient = new RevertingRecipient();
        bytes memory reason = abi.encodeWithSelector(RevertingRecipient.Rejected.selector, "no thanks");
        checkFailure(address(recipient), DEFAULT_GAS, reason);
    }

    function test_longReasonIsCutOff() public {
        RevertingRecipient recipient = new RevertingRecipient();
        string memory complaint = string(new bytes(1_000));
        recipient.setComplaint(complaint);
        bytes memory reason = abi.encodeWithSelector(RevertingRecipient.Rejected.selector, complaint);
        assembly ("memory-safe") {
            mstore(reason, 256)
        }
        checkFailure(address(recipient), 500_000, reason);
    }

    function test_gasBurnerFails() public {
        checkFailure(address(new GasBurner()), DEFAULT_GAS, "");
    }

    function test_megabyteOfRevertCostsOnlyItsOwnGas() public {
        checkFailure(address(new MegabyteReturner(true)), 5_000_000, new bytes(256));
    }

    function test_megabyteOfAnswerIsNoAnswer() public {
        bytes memory reason = abi.encodeWithSelector(IInbox.WrongAnswer.selector, new bytes(256));
        checkFailure(address(new MegabyteReturner(false)), 5_000_000, reason);
    }

    function test_wrongAnswerIsAFailure() public {
        bytes memory answer = abi.encode(bytes4(0xdeadbeef));
        checkFailure(
            address(new WrongAnswerer()),
            DEFAULT_GAS,
            abi.encodeWithSelector(IInbox.WrongAnswer.selector, answer)
        );
    }

    /// @dev ERC-7786 asks for a revert: what such a recipient did must not stay, and a retry is its first effect.
    function test_wrongAnswerUndoesWhatTheRecipientDid() public {
        WrongAnswerer recipient = new WrongAnswerer();
        send(address(recipient));
        deliver(1, 1);
        vm.assertEq(recipient.count(), 0, "undone");
        recipient.setRight(true);
        destination.retry(ORIGIN, address(origin), 1, packed(sent[0]));
        vm.assertEq(recipient.count(), 1, "once");
    }

    /// @dev Whoever could call it could forge messages.
    function test_attemptIsForTheGatewayItself() public {
        vm.expectRevert(abi.encodeWithSelector(IInbox.OnlySelf.selector, address(this)));
        destination.attempt(address(recorder), 100_000, "");
    }

    function test_answerCutShortIsAFailure() public {
        bytes memory answer = abi.encodePacked(IERC7786Recipient.receiveMessage.selector);
        checkFailure(
            address(new ShortAnswerer()),
            DEFAULT_GAS,
            abi.encodeWithSelector(IInbox.WrongAnswer.selector, answer)
        );
    }

    function test_recipientWithoutCodeIsAFailure() public {
        bytes memory reason = abi.encodeWithSelector(IInbox.RecipientWithoutCode.selector, address(0xDEAD));
        checkFailure(address(0xDEAD), DEFAULT_GAS, reason);
    }

    function test_gatewayItselfIsNoRecipient() public {
        checkFailure(address(destination), DEFAULT_GAS, abi.encodeWithSelector(Errors.FailedCall.selector));
    }

    function test_capsOfTheDestinationFailTheMessageOnly() public {
        send(address(recorder), "", 3_000_000);
        send(address(recorder), "12345", 200_000);
        send(address(recorder), "1234", 2_000_000);
        destination.setLane(ORIGIN, ILanes.LaneConfig(address(origin), 2_000_000, 4, 1));
        vm.expectEmit(address(destination));
        emit IInbox.MessageFailed(
            ids[0],
            ORIGIN,
            1,
            abi.encodeWithSelector(ILanes.GasLimitOutOfRange.selector, 3_000_000, 2_000_000)
        );
        vm.expectEmit(address(destination));
        emit IInbox.MessageFailed(ids[1], ORIGIN, 2, abi.encodeWithSelector(ILanes.PayloadTooLong.selector, 5, 4));
        deliver(1, 3);
        vm.assertEq(recorder.count(), 1, "the third ran");
        destination.retry(ORIGIN, address(origin), 1, packed(sent[0]));
        destination.retry(ORIGIN, address(origin), 2, packed(sent[1]));
        vm.assertEq(recorder.count(), 3, "retries have no caps");
    }

    /// @dev Either the recipient got exactly its gas limit or the whole delivery reverted.
    function testFuzz_callerCannotStarveAMessage(uint256 gasGiven) public {
        GasRecorder recipient = new GasRecorder();
        send(address(recipient), "", 400_000);
        bytes memory data = deliveryCall(1, 1, 1);
        (bool success, ) = address(destination).call{gas: bound(gasGiven, 100_000, 900_000)}(data);
        MessageId id = ids[0];
        vm.assertTrue(!destination.isRetryable(ORIGIN, id), "never recorded as failed");
        vm.assertEq(destination.inboundHead(ORIGIN).nonce, success ? 1 : 0, "all or nothing");
        if (success) {
            uint256 received = recipient.gasReceived();
            vm.assertTrue(received <= 400_000 && received > 399_000, "exactly the gas limit");
        }
    }

    function test_starvedDeliverySaysSo() public {
        send(address(recorder), "", 400_000);
        (bool success, bytes memory returned) = address(destination).call{gas: 400_000}(deliveryCall(1, 1, 1));
        vm.assertTrue(!success && bytes4(returned) == IInbox.InsufficientGas.selector, "reason");
    }

    function test_retryRunsAFailedMessageOnce() public {
        RevertingRecipient recipient = new RevertingRecipient();
        MessageId id = send(address(recipient));
        deliver(1, 1);
        bytes memory reason = abi.encodeWithSelector(RevertingRecipient.Rejected.selector, "no thanks");
        vm.expectRevert(abi.encodeWithSelector(IInbox.RetryFailed.selector, id, reason));
        destination.retry(ORIGIN, address(origin), 1, packed(sent[0]));
        vm.assertTrue(destination.isRetryable(ORIGIN, id), "still kept");

        recipient.setAccepting(true);
        vm.expectEmit(address(destination));
        emit IInbox.MessageExecuted(id, ORIGIN, 1);
        vm.prank(STRANGER);
        destination.retry(ORIGIN, address(origin), 1, packed(sent[0]));
        vm.assertTrue(!destination.isRetryable(ORIGIN, id), "done");
        vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, id));
        destination.retry(ORIGIN, address(origin), 1, packed(sent[0]));
    }

    function test_onlyFailedMessagesAreRetried() public {
        send(address(recorder));
        send(address(recorder));
        deliver(1, 1, 2);
        for (uint64 nonce = 1; nonce <= 2; ++nonce) {
            vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, ids[nonce - 1]));
            destination.retry(ORIGIN, address(origin), nonce, packed(sent[nonce - 1]));
        }
        RevertingRecipient recipient = new RevertingRecipient();
        send(address(recipient));
        deliver(2, 3);
        Message memory changed = sent[2];
        changed.payload = "other";
        vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, idOf(changed, 3)));
        destination.retry(ORIGIN, address(origin), 3, packed(changed));
        vm.expectRevert(abi.encodeWithSelector(IInbox.NotRetryable.selector, idOf(sent[2], 2)));
        destination.retry(ORIGIN, address(origin), 2, packed(sent[2]));
    }

    function test_retryTakesOneMessageAndNothingBehindIt() public {
        send(address(0xDEAD));
        deliver(1, 1);
        bytes memory message = packed(sent[0]);
        vm.expectRevert(abi.encodeWithSelector(IInbox.TrailingBytes.selector, message.length, message.length + 1));
        destination.retry(ORIGIN, address(origin), 1, bytes.concat(message, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(IInbox.NonceGap.selector, 1, 0));
        destination.retry(ORIGIN, address(origin), 0, message);
    }

    function testFuzz_retryGivesAtLeastTheGasLimit(uint256 gasGiven) public {
        GasRecorder recipient = new GasRecorder();
        send(address(recipient), "", 400_000);
        destination.setLane(ORIGIN, ILanes.LaneConfig(address(origin), 300_000, 100, 1));
        deliver(1, 1);
        bytes memory data = abi.encodeCall(destination.retry, (ORIGIN, address(origin), 1, packed(sent[0])));
        (bool success, ) = address(destination).call{gas: bound(gasGiven, 100_000, 900_000)}(data);
        vm.assertTrue(success != destination.isRetryable(ORIGIN, ids[0]), "all or nothing");
        if (success) vm.assertTrue(recipient.gasReceived() > 399_000, "at least the gas limit");
    }
}
