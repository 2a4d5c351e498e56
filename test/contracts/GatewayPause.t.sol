// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IFees} from "../../contracts/interfaces/IFees.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {QuorumSet, Signature} from "../../contracts/interfaces/IValidatorSet.sol";
import {ReenteringRecipient, RevertingRecipient} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev What stops while lanes are paused, and who may do what.
contract GatewayPauseTest is GatewayFixture {
    uint64 internal constant GUARDIAN_ROLE = 7;
    address internal constant GUARDIAN = address(0x6A4D);

    /// @dev Refused as the caller's next call, whatever it is.
    function refuse(bytes memory data, bytes memory why) internal {
        (bool success, bytes memory returned) = address(destination).call(data);
        vm.assertTrue(!success, "refused");
        vm.assertEq(returned, why, "reason");
    }

    function paused(uint256 chainId) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(ILanes.LaneIsPaused.selector, chainId);
    }

    function sendCall() internal view returns (bytes memory) {
        bytes memory recipient = abi.encodePacked(hex"00010000", uint8(3), uint24(ORIGIN), uint8(20), address(recorder));
        return abi.encodeCall(destination.sendMessage, (recipient, "", new bytes[](0)));
    }

    function provenCall() internal view returns (bytes memory) {
        return
            abi.encodeCall(
                destination.deliverProven,
                (ORIGIN, 1, new bytes[](0), new bytes[](0), 1, 2, messagesFrom(1, 2), new MessageId[](0))
            );
    }

    function retryCall() internal view returns (bytes memory) {
        return abi.encodeCall(destination.retry, (ORIGIN, address(origin), 1, packed(sent[0])));
    }

    function rotateCall() internal view returns (bytes memory) {
        QuorumSet memory set = validatorSet();
        bytes32 digest = destination.rotationDigest(ORIGIN, 1, destination.setHashOf(ORIGIN, 2, set));
        Signature[] memory signatures = new Signature[](2);
        (signatures[0], signatures[1]) = (signDigest(keys[0], digest), signDigest(keys[1], digest));
        return abi.encodeCall(destination.rotateValidators, (ORIGIN, 1, set, signatures, set));
    }

    /// @dev A message that failed, another one that is on its way, and an oracle that would prove both.
    function busyLane() internal returns (RevertingRecipient recipient) {
        recipient = new RevertingRecipient();
        send(address(recipient));
        deliver(1, 1);
        recipient.setAccepting(true);
        send(address(recorder));
        destination.setStateOracle(address(new OracleOf(accumulators[1])));
    }

    function checkStopped() internal {
        refuse(sendCall(), paused(ORIGIN));
        refuse(deliveryCall(1, 2, 2), paused(ORIGIN));
        refuse(provenCall(), paused(ORIGIN));
        refuse(retryCall(), paused(ORIGIN));
        refuse(rotateCall(), paused(ORIGIN));
        vm.assertEq(destination.outboundHead(ORIGIN).nonce, 0, "nothing sent");
        vm.assertEq(destination.inboundHead(ORIGIN).nonce, 1, "nothing delivered");
    }

    function test_pausedLanesStandStill() public {
        busyLane();
        vm.expectEmit(address(destination));
        emit ILanes.LanePaused(ORIGIN);
        destination.pause(ORIGIN);
        vm.assertTrue(destination.isPaused(ORIGIN), "paused");
        checkStopped();
        vm.expectEmit(address(destination));
        emit ILanes.LaneUnpaused(ORIGIN);
        destination.unpause(ORIGIN);
        vm.assertTrue(!destination.isPaused(ORIGIN), "unpaused");
        call(sendCall());
        call(retryCall());
        call(provenCall());
        call(rotateCall());
        vm.assertEq(recorder.count(), 1, "delivered");
    }

    function test_pauseLosesNothingOfTheHead() public {
        busyLane();
        destination.setLimits(ORIGIN, ILanes.Limit(9, 90), ILanes.Limit(8, 80));
        ILanes.Head memory before = destination.inboundHead(ORIGIN);
        destination.pause(ORIGIN);
        destination.unpause(ORIGIN);
        vm.assertEq(abi.encode(destination.inboundHead(ORIGIN)), abi.encode(before), "head");
        (ILanes.Limit memory out, ILanes.Limit memory incoming, , ) = destination.limitsOf(ORIGIN);
        vm.assertTrue(out.capacity == 9 && incoming.capacity == 8 && incoming.window == 80, "limits");
        deliver(1, 2);
    }

    function test_pauseOfOneLaneLeavesTheOthers() public {
        busyLane();
        destination.setLane(99, lane(STRANGER));
        destination.pause(99);
        vm.assertTrue(destination.isPaused(99) && !destination.isPaused(ORIGIN), "the other one");
        deliver(2, 2);
        call(retryCall());
    }

    function test_pauseOfAllStopsEveryLaneEverConnected() public {
        busyLane();
        destination.setLane(99, lane(STRANGER));
        destination.setLane(99, lane(address(this)));
        destination.pause(99);
        uint256[] memory all = destination.chainIds();
        vm.assertTrue(all.length == 2 && all[0] == ORIGIN && all[1] == 99, "each chain once");
        vm.expectEmit(address(destination));
        emit ILanes.LanePaused(ORIGIN);
        destination.pauseAll();
        vm.assertTrue(destination.isPaused(99) && destination.isPaused(ORIGIN), "all");
        checkStopped();
        vm.recordLogs();
        destination.pauseAll();
        destination.pause(ORIGIN);
        vm.assertEq(vm.getRecordedLogs().length, 0, "paused already");
        destination.unpause(ORIGIN);
        destination.unpause(ORIGIN);
        vm.assertEq(vm.getRecordedLogs().length, 1, "resumed once");
        vm.assertTrue(destination.isPaused(99) && !destination.isPaused(ORIGIN), "each is resumed by itself");
        deliver(1, 2);
    }

    function test_unknownLanesAreNeitherPausedNorConfigured() public {
        bytes memory unknown = abi.encodeWithSelector(ILanes.UnknownLane.selector, 99);
        MessageId[] memory some = new MessageId[](1);
        ILanes.Limit memory limit = ILanes.Limit(1, 1);
        refuse(abi.encodeCall(destination.pause, (99)), unknown);
        refuse(abi.encodeCall(destination.unpause, (99)), unknown);
        refuse(abi.encodeCall(destination.setLimits, (99, limit, limit)), unknown);
        refuse(abi.encodeCall(destination.defer, (99, some)), unknown);
        refuse(abi.encodeCall(destination.undefer, (99, some)), unknown);
    }

    function test_pausedLaneRefusesAnswersOfRecipientsToo() public {
        vm.chainId(ORIGIN);
        origin.pause(DESTINATION);
        vm.expectRevert(paused(DESTINATION));
        origin.sendMessage(interoperable(address(recorder)), "", new bytes[](0));
    }

    /// @dev A guardian that a message calls is late for the messages behind it, and in time for everything after.
    function test_deliveryThatRunsWhenItsLaneIsPausedRunsToItsEnd() public {
        ReenteringRecipient guarding = new ReenteringRecipient();
        manager.grantRole(0, address(guarding), 0);
        guarding.prepare(address(destination), abi.encodeCall(destination.pause, (ORIGIN)));
        send(address(guarding), "", 1_000_000);
        for (uint256 i = 0; i < 2; ++i) send(address(recorder));
        bytes memory rest = deliveryCall(3, 3, 3);
        deliver(1, 2, 3);
        vm.assertEq(recorder.count(), 1, "to its end");
        refuse(rest, paused(ORIGIN));
    }

    /// @dev Every function that is not for everyone, with arguments under which governance succeeds.
    function restrictedCalls() internal returns (bytes[] memory calls) {
        QuorumSet memory set = validatorSet();
        ILanes.Limit memory limit = ILanes.Limit(1, 1);
        MessageId[] memory some = new MessageId[](1);
        some[0] = MessageId.wrap(keccak256("some"));
        calls = new bytes[](14);
        calls[0] = abi.encodeCall(destination.setLane, (ORIGIN, lane(address(origin))));
        calls[1] = abi.encodeCall(destination.setLimits, (ORIGIN, limit, limit));
        calls[2] = abi.encodeCall(destination.pause, (ORIGIN));
        calls[3] = abi.encodeCall(destination.pauseAll, ());
        calls[4] = abi.encodeCall(destination.unpause, (ORIGIN));
        calls[5] = abi.encodeCall(destination.setStateOracle, (STRANGER));
        calls[6] = abi.encodeCall(destination.setPrice, (ORIGIN, IFees.Price(0, 0, 0, 0)));
        calls[7] = abi.encodeCall(destination.collectFees, (GUARDIAN));
        calls[8] = abi.encodeCall(destination.setValidators, (ORIGIN, 1, set, 0));
        calls[9] = abi.encodeCall(destination.revokeEpoch, (ORIGIN, 2));
        calls[10] = abi.encodeCall(destination.defer, (ORIGIN, some));
        calls[11] = abi.encodeCall(destination.undefer, (ORIGIN, some));
        calls[12] = abi.encodeCall(destination.realign, (ORIGIN, 0, 0, 0, some));
        calls[13] = abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (deployGateway(), bytes("")));
    }

    function test_whatIsNotForEveryoneNeedsItsRole() public {
        bytes[] memory calls = restrictedCalls();
        manager.grantRole(GUARDIAN_ROLE, GUARDIAN, 0);
        bytes4[] memory selector = new bytes4[](1);
        for (uint256 i = 0; i < calls.length; ++i) {
            selector[0] = bytes4(calls[i]);
            vm.prank(STRANGER);
            refuse(calls[i], abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, STRANGER));
            vm.prank(GUARDIAN);
            refuse(calls[i], abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, GUARDIAN));
            manager.setTargetFunctionRole(address(destination), selector, GUARDIAN_ROLE);
            vm.prank(GUARDIAN);
            call(calls[i]);
        }
    }

    /// @dev The half that does the work is deployed like any contract: whoever calls it directly is nobody there.
    function test_controlHalfObeysNobodyDirectly() public {
        address control = deploy("GatewayControl.sol:GatewayControl");
        bytes[] memory calls = restrictedCalls();
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool success, ) = control.call(calls[i]);
            vm.assertTrue(!success, "refused");
        }
    }

    function test_oracleIsNamedAndAnnounced() public {
        vm.expectEmit(address(destination));
        emit ILanes.StateOracleSet(STRANGER);
        destination.setStateOracle(STRANGER);
        vm.assertEq(destination.stateOracle(), STRANGER, "oracle");
    }
}

/// @dev Proves one accumulator, whatever it is asked.
contract OracleOf {
    bytes32 private immutable _accumulator;

    constructor(bytes32 accumulator) {
        _accumulator = accumulator;
    }

    fallback() external {
        bytes32 answer = _accumulator;
        assembly {
            mstore(0, answer)
            return(0, 0x20)
        }
    }
}
