// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IRecovery} from "../../contracts/interfaces/IRecovery.sol";
import {IValidatorSet, QuorumSet, Rule, Signature} from "../../contracts/interfaces/IValidatorSet.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev Validators that signed two histories, and what is left of their epoch.
contract EquivocationTest is GatewayFixture {
    function setUp() public override {
        super.setUp();
        send(address(recorder));
        send(address(recorder));
    }

    /// @dev Another checkpoint for the same place.
    function contradicting() internal view returns (IInbox.Checkpoint memory checkpoint) {
        checkpoint = checkpointAt(2);
        checkpoint.accumulator = keccak256("another history");
    }

    function reportCall(
        IInbox.Checkpoint memory first,
        Signature memory firstSignature,
        IInbox.Checkpoint memory second,
        Signature memory secondSignature,
        uint64 epoch
    ) internal view returns (bytes memory) {
        return
            abi.encodeCall(
                destination.reportEquivocation,
                (first, firstSignature, second, secondSignature, epoch, validatorSet())
            );
    }

    function reportCall(uint256 key, IInbox.Checkpoint memory second, uint64 epoch) internal view returns (bytes memory) {
        IInbox.Checkpoint memory first = checkpointAt(2);
        return reportCall(first, sign(key, first), second, sign(key, second), epoch);
    }

    /// @dev With a set that is not the fixture's.
    function reportCall(uint256 key, uint64 epoch, QuorumSet memory set) internal view returns (bytes memory) {
        IInbox.Checkpoint memory first = checkpointAt(2);
        IInbox.Checkpoint memory second = contradicting();
        Signature memory other = sign(key, second);
        return abi.encodeCall(destination.reportEquivocation, (first, sign(key, first), second, other, epoch, set));
    }

    function report(uint256 key) internal {
        call(reportCall(key, contradicting(), 1));
    }

    function refuse(bytes memory data, bytes memory why) internal {
        (bool success, bytes memory returned) = address(destination).call(data);
        vm.assertTrue(!success, "refused");
        vm.assertEq(returned, why, "reason");
        (, , uint256 excluded) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(excluded, 0, "nobody is excluded");
    }

    /// @dev The lane's two messages under epoch 1, signed by those of the validators whose bits are set.
    function deliverSignedBy(uint256 bits) internal returns (bool success, bytes memory returned) {
        IInbox.Checkpoint memory checkpoint = checkpointAt(2);
        Signature[] memory all = new Signature[](keys.length);
        uint256 count = 0;
        for (uint256 i = 0; i < keys.length; ++i) if ((bits >> i) & 1 == 1) all[count++] = sign(keys[i], checkpoint);
        Signature[] memory signatures = new Signature[](count);
        for (uint256 i = 0; i < count; ++i) signatures[i] = all[i];
        return
            address(destination).call(
                abi.encodeCall(
                    destination.deliver,
                    (checkpoint, validatorSet(), signatures, 1, messagesFrom(1, 2), new MessageId[](0))
                )
            );
    }

    function test_anyoneReportsAndTheValidatorLosesItsWeight() public {
        bytes memory data = reportCall(keys[1], contradicting(), 1);
        vm.expectEmit(address(destination));
        emit IValidatorSet.ValidatorExcluded(ORIGIN, 1, vm.addr(keys[1]));
        vm.prank(STRANGER);
        call(data);
        (, , uint256 excluded) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(excluded, 2, "bit of the second");
        vm.assertTrue(!destination.isPaused(ORIGIN), "a third is tolerable");
    }

    /// @dev Its signature may still come along, but weighs nothing, neither in the sum nor in the total.
    function test_excludedSignersSignatureWeighsNothing() public {
        report(keys[1]);
        (bool success, bytes memory returned) = deliverSignedBy(3);
        vm.assertTrue(!success, "1 of 2 is no majority");
        vm.assertEq(returned, abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 1, 2), "reason");
        (success, ) = deliverSignedBy(7);
        vm.assertTrue(success && recorder.count() == 2, "2 of 2");
    }

    function test_totalShrinksWithTheWeight() public {
        keys = sortedKeys(5);
        QuorumSet memory set = validatorSet();
        destination.setValidators(ORIGIN, 1, set, 0);
        bytes32 digest = keccak256("of some contract that believes the same validators");
        Signature[] memory two = new Signature[](2);
        (two[0], two[1]) = (signDigest(keys[0], digest), signDigest(keys[1], digest));
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 2, 5));
        destination.requireQuorum(ORIGIN, 2, set, two, digest);
        call(reportCall(keys[4], contradicting(), 2));
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 2, 4));
        destination.requireQuorum(ORIGIN, 2, set, two, digest);
        Signature[] memory three = new Signature[](3);
        (three[0], three[1], three[2]) = (two[0], two[1], signDigest(keys[2], digest));
        destination.requireQuorum(ORIGIN, 2, set, three, digest);
    }

    /// @dev An absolute weight is a promise about the weight: it does not fall because somebody lied.
    function test_absoluteThresholdMayBecomeUnreachable() public {
        QuorumSet memory set = validatorSet();
        set.threshold = threshold(Rule.AbsoluteWeight, 3, 0);
        destination.setValidators(ORIGIN, 1, set, 0);
        call(reportCall(keys[0], 2, set));
        bytes32 digest = keccak256("something");
        Signature[] memory all = new Signature[](3);
        for (uint256 i = 0; i < 3; ++i) all[i] = signDigest(keys[i], digest);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 2, 2));
        destination.requireQuorum(ORIGIN, 2, set, all, digest);
    }

    function test_nobodyIsExcludedTwice() public {
        report(keys[1]);
        bytes memory data = reportCall(keys[1], contradicting(), 1);
        expectDeliveryRevert(data, abi.encodeWithSelector(IValidatorSet.AlreadyExcluded.selector, vm.addr(keys[1])));
    }

    function test_moreThanAThirdPausesTheLaneInstead() public {
        report(keys[0]);
        bytes memory data = reportCall(keys[2], contradicting(), 1);
        vm.expectEmit(address(destination));
        emit IValidatorSet.ExclusionLimitReached(ORIGIN, 1, vm.addr(keys[2]));
        vm.expectEmit(address(destination));
        emit ILanes.LanePaused(ORIGIN);
        call(data);
        (, , uint256 excluded) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(excluded, 1, "only the first");
        (bool success, bytes memory returned) = deliverSignedBy(7);
        vm.assertTrue(!success, "paused");
        vm.assertEq(returned, abi.encodeWithSelector(ILanes.LaneIsPaused.selector, ORIGIN), "reason");
        destination.unpause(ORIGIN);
        (success, ) = deliverSignedBy(7);
        vm.assertTrue(success, "governance decided otherwise");
    }

    /// @dev Governance has the last word only when the epoch is over: the proof stays true as long as it lasts.
    function test_sameReportPausesAgainUntilTheEpochIsOver() public {
        report(keys[0]);
        report(keys[2]);
        destination.unpause(ORIGIN);
        report(keys[2]);
        vm.assertTrue(destination.isPaused(ORIGIN), "again");
        bytes memory data = reportCall(keys[2], contradicting(), 1);
        destination.setValidators(ORIGIN, 1, validatorSet(), 0);
        destination.unpause(ORIGIN);
        expectDeliveryRevert(data, abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, 1));
        vm.assertTrue(!destination.isPaused(ORIGIN), "over");
    }

    /// @dev At most a third of the whole set's weight, however it is spread.
    function testFuzz_excludedWeightIsAtMostAThird(uint96[4] memory weights, uint256 order) public {
        keys = sortedKeys(4);
        QuorumSet memory set = validatorSet();
        uint256 total = 0;
        for (uint256 i = 0; i < 4; ++i) {
            weights[i] = uint96(bound(weights[i], 1, order % 2 == 0 ? 20 : type(uint96).max));
            set.validators[i] = validator(vm.addr(keys[i]), weights[i]);
            total += weights[i];
        }
        destination.setValidators(ORIGIN, 1, set, 0);
        uint256 gone = 0;
        uint256 bits = 0;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 who = (i + (order % 4)) % 4;
            bool tolerable = (gone + weights[who]) * 3 <= total;
            call(reportCall(keys[who], 2, set));
            if (tolerable) (gone, bits) = (gone + weights[who], bits | (1 << who));
            (, , uint256 excluded) = destination.epochInfo(ORIGIN, 2);
            vm.assertEq(excluded, bits, "excluded");
            vm.assertTrue(destination.isPaused(ORIGIN) == !tolerable, "or paused");
            if (!tolerable) destination.unpause(ORIGIN);
        }
    }

    function test_epochsOfTheCheckpointsMayDiffer() public {
        IInbox.Checkpoint memory second = contradicting();
        second.epoch = 9;
        call(reportCall(keys[2], second, 1));
        (, , uint256 excluded) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(excluded, 4, "bit of the third");
    }

    function test_weightIsTakenInTheNamedEpochOnly() public {
        destination.setValidators(ORIGIN, 1, validatorSet(), 1 days);
        destination.setValidators(99, 0, validatorSet(), 0);
        call(reportCall(keys[0], contradicting(), 2));
        (, , uint256 inFirst) = destination.epochInfo(ORIGIN, 1);
        (, , uint256 inSecond) = destination.epochInfo(ORIGIN, 2);
        (, , uint256 elsewhere) = destination.epochInfo(99, 1);
        vm.assertTrue(inFirst == 0 && inSecond == 1 && elsewhere == 0, "one epoch");
        call(reportCall(keys[0], contradicting(), 1));
        (, , inFirst) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(inFirst, 1, "a call each");
    }

    function test_theNextEpochStartsWithoutExclusions() public {
        report(keys[0]);
        destination.setValidators(ORIGIN, 1, validatorSet(), 0);
        (, , uint256 excluded) = destination.epochInfo(ORIGIN, 2);
        vm.assertEq(excluded, 0, "a new set is a new decision");
    }

    /// @dev Two checkpoints of different places, or twice the same, are what honest validators sign all day.
    function test_whatDoesNotContradictIsNoProof() public {
        IInbox.Checkpoint memory first = checkpointAt(2);
        for (uint256 which = 0; which < 5; ++which) {
            IInbox.Checkpoint memory second = contradicting();
            if (which == 0) second.originChainId = 99;
            else if (which == 1) second.originGateway = STRANGER;
            else if (which == 2) second.generation = 1;
            else if (which == 3) second.nonce = 1;
            else (second.accumulator, second.epoch) = (first.accumulator, 2);
            refuse(reportCall(keys[0], second, 1), abi.encodeWithSelector(IRecovery.NoConflict.selector));
        }
    }

    function test_twoSignersContradictingEachOtherAreNoProof() public {
        (IInbox.Checkpoint memory first, IInbox.Checkpoint memory second) = (checkpointAt(2), contradicting());
        refuse(
            reportCall(first, sign(keys[0], first), second, sign(keys[1], second), 1),
            abi.encodeWithSelector(IRecovery.DifferentSigners.selector, vm.addr(keys[0]), vm.addr(keys[1]))
        );
    }

    function test_strangersOfTheSetCannotBeReported() public {
        uint256 stranger = uint256(keccak256("stranger")) >> 8;
        bytes memory why = abi.encodeWithSelector(IValidatorSet.UnknownSigner.selector, vm.addr(stranger));
        refuse(reportCall(stranger, contradicting(), 1), why);
    }

    /// @dev A signature over anything else recovers to an address that is not the other signature's.
    function test_signaturesOverSomethingElseAreNoProof() public {
        (IInbox.Checkpoint memory first, IInbox.Checkpoint memory second) = (checkpointAt(2), contradicting());
        bytes32[5] memory others;
        others[0] = destination.rotationDigest(ORIGIN, 1, second.accumulator);
        others[1] = keccak256("a header, or anything that a contract asks validators to sign");
        others[2] = origin.checkpointDigest(second);
        vm.chainId(99);
        others[3] = destination.checkpointDigest(second);
        vm.chainId(DESTINATION);
        second.nonce = 1;
        others[4] = destination.checkpointDigest(second);
        second.nonce = 2;
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory data = reportCall(first, sign(keys[0], first), second, signDigest(keys[0], others[i]), 1);
            (bool success, bytes memory returned) = address(destination).call(data);
            vm.assertTrue(!success && bytes4(returned) == IRecovery.DifferentSigners.selector, "no proof");
        }
    }

    function test_epochAndSetMustBeValid() public {
        bytes memory notValid = abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, 2);
        refuse(reportCall(keys[0], contradicting(), 2), notValid);
        bytes memory data = reportCall(keys[0], contradicting(), 1);
        keys = sortedKeys(2);
        bytes32 given = destination.setHashOf(ORIGIN, 1, validatorSet());
        bytes memory wrongSet = reportCall(keys[0], contradicting(), 1);
        refuse(wrongSet, abi.encodeWithSelector(IValidatorSet.WrongSet.selector, ORIGIN, 1, given));
        destination.revokeEpoch(ORIGIN, 1);
        refuse(data, abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, 1));
    }

    function test_excludedValidatorCannotRotateEither() public {
        report(keys[0]);
        QuorumSet memory set = validatorSet();
        bytes32 digest = destination.rotationDigest(ORIGIN, 1, destination.setHashOf(ORIGIN, 2, set));
        Signature[] memory two = new Signature[](2);
        (two[0], two[1]) = (signDigest(keys[0], digest), signDigest(keys[1], digest));
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 1, 2));
        destination.rotateValidators(ORIGIN, 1, set, two, set);
    }
}
