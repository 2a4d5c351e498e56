// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {
    IValidatorSet,
    QuorumSet,
    Rule,
    Signature,
    Validator
} from "../../contracts/interfaces/IValidatorSet.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev Validators that hand over to the next epoch by their own signatures, and epochs that a guardian ends.
contract ValidatorRotationTest is GatewayFixture {
    bytes32 internal constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant ROTATION =
        keccak256("Rotation(uint256 originChainId,uint64 oldEpoch,uint64 newEpoch,bytes32 newSetHash)");

    uint256[] internal oldKeys;

    function setUp() public override {
        super.setUp();
        send(address(recorder));
        oldKeys = keys;
    }

    /// @dev A set in which everyone weighs `weight`.
    function setOf(uint256[] memory some, uint96 weight) internal pure returns (QuorumSet memory set) {
        set.validators = new Validator[](some.length);
        for (uint256 i = 0; i < some.length; ++i) set.validators[i] = validator(vm.addr(some[i]), weight);
        set.threshold = threshold(Rule.SimpleMajority, 0, 0);
    }

    function nextSet() internal pure returns (QuorumSet memory) {
        return setOf(sortedKeys(5), 2);
    }

    function signedBy(uint256 count, bytes32 digest) internal view returns (Signature[] memory signatures) {
        signatures = new Signature[](count);
        for (uint256 i = 0; i < count; ++i) signatures[i] = signDigest(oldKeys[i], digest);
    }

    function digestOf(uint64 epoch, QuorumSet memory next) internal view returns (bytes32) {
        return destination.rotationDigest(ORIGIN, epoch, destination.setHashOf(ORIGIN, epoch + 1, next));
    }

    function rotation(
        uint64 epoch,
        Signature[] memory signatures,
        QuorumSet memory next
    ) internal view returns (bytes memory) {
        return
            abi.encodeCall(
                destination.rotateValidators,
                (ORIGIN, epoch, setOf(oldKeys, 1), signatures, next)
            );
    }

    function rotate(uint64 epoch, QuorumSet memory next) internal {
        call(rotation(epoch, signedBy(2, digestOf(epoch, next)), next));
    }

    function refuse(bytes memory data, bytes memory why) internal {
        (bool success, bytes memory returned) = address(destination).call(data);
        vm.assertTrue(!success, "refused");
        vm.assertEq(returned, why, "reason");
    }

    /// @dev With one signature, so that whoever it would recover to is not in the set.
    function refuseForeign(bytes32 digest) internal {
        (bool success, bytes memory returned) = address(destination).call(
            rotation(1, signedBy(1, digest), nextSet())
        );
        vm.assertTrue(!success && bytes4(returned) == IValidatorSet.UnknownSigner.selector, "somebody else");
        vm.assertEq(destination.newestEpoch(ORIGIN), 1, "no new epoch");
    }

    function notValid(uint64 epoch) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, epoch);
    }

    /// @dev Tries the lane's one message under an epoch and its set.
    function deliverUnder(uint64 epoch, uint256[] memory some, uint96 weight) internal returns (bool) {
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        checkpoint.epoch = epoch;
        Signature[] memory signatures = new Signature[](some.length);
        for (uint256 i = 0; i < some.length; ++i) signatures[i] = sign(some[i], checkpoint);
        (bool success, ) = address(destination).call(
            abi.encodeCall(
                destination.deliver,
                (checkpoint, setOf(some, weight), signatures, 1, messagesFrom(1, 1), new MessageId[](0))
            )
        );
        return success;
    }

    function test_quorumHandsOverToTheNextEpoch() public {
        QuorumSet memory next = nextSet();
        bytes memory data = rotation(1, signedBy(2, digestOf(1, next)), next);
        vm.expectEmit(address(destination));
        emit IValidatorSet.ValidatorsSet(
            ORIGIN,
            2,
            destination.setHashOf(ORIGIN, 2, next),
            next,
            uint256(NOW) + 1 days
        );
        vm.prank(STRANGER);
        call(data);
        vm.assertEq(destination.newestEpoch(ORIGIN), 2, "newest");
        (, uint64 validUntil, ) = destination.epochInfo(ORIGIN, 2);
        vm.assertEq(validUntil, type(uint40).max, "until it is succeeded");
        vm.assertTrue(deliverUnder(2, sortedKeys(5), 2), "the new set signs");
    }

    function test_oldEpochStaysValidForExactlyADay() public {
        rotate(1, nextSet());
        (, uint64 validUntil, ) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(validUntil, uint256(NOW) + 1 days, "a day");
        vm.warp(uint256(NOW) + 1 days);
        vm.assertTrue(!deliverUnder(1, oldKeys, 1), "expired");
        vm.warp(uint256(NOW) + 1 days - 1);
        vm.assertTrue(deliverUnder(1, oldKeys, 1), "the last second");
    }

    function test_lessThanAQuorumCannotRotate() public {
        QuorumSet memory next = nextSet();
        refuse(
            rotation(1, signedBy(1, digestOf(1, next)), next),
            abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 1, 3)
        );
    }

    function test_rotationIsNotReplayed() public {
        QuorumSet memory same = setOf(oldKeys, 1);
        bytes memory data = rotation(1, signedBy(2, digestOf(1, same)), same);
        call(data);
        refuse(data, abi.encodeWithSelector(IValidatorSet.UnexpectedEpoch.selector, ORIGIN, 1, 2));
        data = rotation(2, signedBy(2, digestOf(1, same)), same);
        (bool success, ) = address(destination).call(data);
        vm.assertTrue(!success, "signed for another epoch");
        rotate(2, same);
        vm.assertEq(destination.newestEpoch(ORIGIN), 3, "signed again");
    }

    /// @dev It still signs checkpoints for a day, but its validators have left office.
    function test_succeededEpochCannotRotate() public {
        rotate(1, nextSet());
        QuorumSet memory another = setOf(oldKeys, 9);
        refuse(
            rotation(1, signedBy(3, digestOf(1, another)), another),
            abi.encodeWithSelector(IValidatorSet.UnexpectedEpoch.selector, ORIGIN, 1, 2)
        );
    }

    function test_digestIsTypedDataOfItsFields() public view {
        bytes32 setHash = keccak256("set");
        bytes32 domain = keccak256(
            abi.encode(DOMAIN, keccak256("Lockstep Gateway"), keccak256("1"), DESTINATION, address(destination))
        );
        bytes32 expected = MessageHashUtils.toTypedDataHash(
            domain,
            keccak256(abi.encode(ROTATION, ORIGIN, uint64(7), uint64(8), setHash))
        );
        vm.assertEq(destination.rotationDigest(ORIGIN, 7, setHash), expected, "digest");
    }

    function test_rotationOfAnotherOriginIsRefused() public {
        bytes32 setHash = destination.setHashOf(ORIGIN, 2, nextSet());
        refuseForeign(destination.rotationDigest(99, 1, setHash));
        refuseForeign(destination.rotationDigest(ORIGIN, 1, destination.setHashOf(99, 2, nextSet())));
    }

    function test_rotationOfAnotherEpochIsRefused() public {
        refuseForeign(destination.rotationDigest(ORIGIN, 2, destination.setHashOf(ORIGIN, 2, nextSet())));
        refuseForeign(destination.rotationDigest(ORIGIN, 1, destination.setHashOf(ORIGIN, 3, nextSet())));
    }

    function test_rotationToAnotherSetIsRefused() public {
        QuorumSet memory other = nextSet();
        other.validators[0] = validator(vm.addr(sortedKeys(5)[0]), 3);
        refuseForeign(digestOf(1, other));
        other = nextSet();
        other.threshold = threshold(Rule.SuperMajority, 2, 3);
        refuseForeign(digestOf(1, other));
    }

    function test_rotationForAnotherGatewayIsRefused() public {
        refuseForeign(origin.rotationDigest(ORIGIN, 1, destination.setHashOf(ORIGIN, 2, nextSet())));
    }

    function test_rotationForAnotherChainIsRefused() public {
        vm.chainId(99);
        bytes32 elsewhere = digestOf(1, nextSet());
        vm.chainId(DESTINATION);
        refuseForeign(elsewhere);
    }

    /// @dev After a fork of this chain the same gateway has another chain id: nothing signed before is good there.
    function test_rotationFromBeforeAForkOfThisChainIsRefused() public {
        bytes32 before = digestOf(1, nextSet());
        vm.chainId(99);
        refuseForeign(before);
    }

    function test_checkpointIsNoRotation() public {
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        checkpoint.accumulator = destination.setHashOf(ORIGIN, 2, nextSet());
        refuseForeign(destination.checkpointDigest(checkpoint));
    }

    function test_malformedNextSetIsRefused() public {
        QuorumSet memory next = nextSet();
        next.validators[1] = next.validators[0];
        address first = vm.addr(sortedKeys(5)[0]);
        bytes memory why = abi.encodeWithSelector(IValidatorSet.ValidatorsNotSorted.selector, first, first);
        refuse(rotation(1, signedBy(2, digestOf(1, next)), next), why);
        next = nextSet();
        next.threshold = threshold(Rule.AbsoluteWeight, 11, 0);
        why = abi.encodeWithSelector(IValidatorSet.InvalidThreshold.selector, next.threshold, 10);
        refuse(rotation(1, signedBy(2, digestOf(1, next)), next), why);
        next.validators = new Validator[](129);
        why = abi.encodeWithSelector(IValidatorSet.TooManyValidators.selector, 129, 128);
        refuse(rotation(1, signedBy(2, digestOf(1, next)), next), why);
    }

    function test_revokedEpochSignsNothingAnyMore() public {
        vm.expectEmit(address(destination));
        emit IValidatorSet.EpochRevoked(ORIGIN, 1);
        destination.revokeEpoch(ORIGIN, 1);
        (, uint64 validUntil, ) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(validUntil, 0, "at once");
        vm.assertTrue(!deliverUnder(1, oldKeys, 1), "no deliveries");
        QuorumSet memory next = nextSet();
        refuse(rotation(1, signedBy(3, digestOf(1, next)), next), notValid(1));
        vm.expectRevert(notValid(1));
        destination.revokeEpoch(ORIGIN, 1);
        vm.expectRevert(notValid(2));
        destination.revokeEpoch(ORIGIN, 2);
    }

    /// @dev A succession gives the epoch before it a new expiry: a revoked one must not come back to life by that.
    function test_revokedEpochStaysRevokedWhenSucceeded() public {
        destination.revokeEpoch(ORIGIN, 1);
        QuorumSet memory next = nextSet();
        vm.expectEmit(address(destination));
        emit IValidatorSet.ValidatorsSet(ORIGIN, 2, destination.setHashOf(ORIGIN, 2, next), next, 0);
        destination.setValidators(ORIGIN, 1, next, 30 days);
        vm.assertTrue(!deliverUnder(1, oldKeys, 1), "still revoked");
        vm.assertTrue(deliverUnder(2, sortedKeys(5), 2), "the new one signs");
    }

    function test_succeededEpochIsRevokedAndTheNewestStays() public {
        rotate(1, nextSet());
        destination.revokeEpoch(ORIGIN, 1);
        vm.assertTrue(!deliverUnder(1, oldKeys, 1), "revoked");
        vm.assertTrue(deliverUnder(2, sortedKeys(5), 2), "the newest signs");
    }

    function test_expiredEpochCanBeRevokedToo() public {
        rotate(1, nextSet());
        vm.warp(uint256(NOW) + 2 days);
        destination.revokeEpoch(ORIGIN, 1);
        (, uint64 validUntil, ) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(validUntil, 0, "its headers count for nothing either");
    }
}
