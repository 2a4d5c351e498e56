// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {
    IValidatorSet,
    QuorumSet,
    Rule,
    Signature,
    Threshold,
    Validator
} from "../../contracts/interfaces/IValidatorSet.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev Epochs, rules and signatures.
contract ValidatorSetTest is GatewayFixture {
    function setUp() public override {
        super.setUp();
        send(address(recorder));
    }

    /// @dev Delivers under another set, which becomes the next epoch, with the signatures of the given validators.
    function tryQuorum(QuorumSet memory set, uint256[] memory signers) internal returns (bool, bytes memory) {
        uint64 newest = destination.newestEpoch(ORIGIN);
        destination.setValidators(ORIGIN, newest, set, 0);
        return attempt(set, newest + 1, signers);
    }

    function attempt(QuorumSet memory set, uint64 epoch, uint256[] memory signers) internal returns (bool, bytes memory) {
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        checkpoint.epoch = epoch;
        Signature[] memory signatures = new Signature[](signers.length);
        for (uint256 i = 0; i < signers.length; ++i) signatures[i] = sign(keys[signers[i]], checkpoint);
        return attempt(checkpoint, set, signatures);
    }

    function attempt(
        IInbox.Checkpoint memory checkpoint,
        QuorumSet memory set,
        Signature[] memory signatures
    ) internal returns (bool, bytes memory) {
        bytes memory data = abi.encodeCall(
            destination.deliver,
            (checkpoint, set, signatures, 1, messagesFrom(1, 1), new MessageId[](0))
        );
        return address(destination).call(data);
    }

    function list(uint256 a) internal pure returns (uint256[] memory some) {
        some = new uint256[](1);
        some[0] = a;
    }

    function list(uint256 a, uint256 b) internal pure returns (uint256[] memory some) {
        some = new uint256[](2);
        (some[0], some[1]) = (a, b);
    }

    function reweighed(Validator some, uint96 weight) internal pure returns (Validator) {
        return validator(accountOf(some), weight);
    }

    function accountOf(Validator some) internal pure returns (address) {
        return address(uint160(Validator.unwrap(some) >> 96));
    }

    function weighted(
        uint96 a,
        uint96 b,
        uint96 c,
        Threshold rule
    ) internal view returns (QuorumSet memory set) {
        set = validatorSet();
        set.validators[0] = reweighed(set.validators[0], a);
        set.validators[1] = reweighed(set.validators[1], b);
        set.validators[2] = reweighed(set.validators[2], c);
        set.threshold = rule;
    }

    function expectAccepted(QuorumSet memory set, uint256[] memory signers) internal {
        (bool success, ) = tryQuorum(set, signers);
        vm.assertTrue(success, "accepted");
        vm.assertEq(recorder.count(), 1, "ran");
    }

    function expectRefused(QuorumSet memory set, uint256[] memory signers, bytes memory why) internal {
        (bool success, bytes memory returned) = tryQuorum(set, signers);
        vm.assertTrue(!success, "refused");
        vm.assertEq(returned, why, "reason");
        vm.assertEq(recorder.count(), 0, "nothing ran");
    }

    function noQuorum(uint256 weight, uint256 total) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, weight, total);
    }

    function test_absoluteWeightExactlyAndOneBelow() public {
        Threshold five = threshold(Rule.AbsoluteWeight, 5, 0);
        expectRefused(weighted(2, 3, 2, five), list(0, 2), noQuorum(4, 7));
        expectAccepted(weighted(2, 3, 2, five), list(0, 1));
    }

    function test_simpleMajorityIsMoreThanHalf() public {
        Threshold majority = threshold(Rule.SimpleMajority, 0, 0);
        expectRefused(weighted(3, 2, 1, majority), list(0), noQuorum(3, 6));
        expectAccepted(weighted(3, 2, 1, majority), list(0, 2));
    }

    function test_superMajorityIsStrictlyMoreThanTheFraction() public {
        Threshold twoThirds = threshold(Rule.SuperMajority, 2, 3);
        expectRefused(weighted(1, 1, 1, twoThirds), list(0, 2), noQuorum(2, 3));
        expectRefused(weighted(300, 101, 100, twoThirds), list(1, 2), noQuorum(201, 501));
        expectAccepted(weighted(201, 100, 99, twoThirds), list(0, 1));
    }

    /// @dev The contract's decision is the rule's definition, at any weights and for any signers.
    function testFuzz_quorumIsTheRule(uint96[3] memory weights, uint8 rule, uint128 value, uint8 signerBits) public {
        uint256 total = 0;
        uint256 weight = 0;
        QuorumSet memory set = validatorSet();
        for (uint256 i = 0; i < 3; ++i) {
            weights[i] = uint96(bound(weights[i], 1, type(uint96).max));
            set.validators[i] = reweighed(set.validators[i], weights[i]);
            total += weights[i];
            if ((signerBits >> i) & 1 == 1) weight += weights[i];
        }
        bool expected;
        (set.threshold, expected) = someThreshold(Rule(rule % 3), value, weight, total);
        (bool success, ) = tryQuorum(set, signersOf(signerBits));
        vm.assertTrue(success == expected, "as the rule says");
    }

    /// @dev A threshold of the rule that is valid for the total, and whether the weight reaches it.
    function someThreshold(
        Rule rule,
        uint256 random,
        uint256 weight,
        uint256 total
    ) internal pure returns (Threshold, bool) {
        if (rule == Rule.SimpleMajority) return (threshold(rule, 0, 0), weight * 2 > total);
        if (rule == Rule.AbsoluteWeight) {
            uint256 least = bound(random, total / 2 + 1, total);
            return (threshold(rule, least, 0), weight >= least);
        }
        uint256 outOf = bound(random, 3, type(uint120).max);
        uint256 value = bound(random >> 7, (outOf + 1) / 2, outOf - 1);
        return (threshold(rule, value, outOf), weight * outOf > total * value);
    }

    function signersOf(uint8 bits) internal pure returns (uint256[] memory signers) {
        signers = new uint256[]((bits & 1) + ((bits >> 1) & 1) + ((bits >> 2) & 1));
        uint256 count = 0;
        for (uint256 i = 0; i < 3; ++i) if ((bits >> i) & 1 == 1) signers[count++] = i;
    }

    function test_noSignaturesAreNoQuorum() public {
        expectRefused(validatorSet(), new uint256[](0), noQuorum(0, 3));
    }

    function test_signersTwiceOrOutOfOrderAreRefused() public {
        address first = vm.addr(keys[0]);
        address last = vm.addr(keys[2]);
        bytes4 selector = IValidatorSet.SignersNotSorted.selector;
        expectRefused(validatorSet(), list(2, 2), abi.encodeWithSelector(selector, last, last));
        expectRefused(validatorSet(), list(2, 0), abi.encodeWithSelector(selector, last, first));
    }

    function test_unknownSignersAreRefused() public {
        uint256[] memory six = sortedKeys(6);
        QuorumSet memory set = validatorSet();
        for (uint256 i = 0; i < 6; ++i) {
            address signer = vm.addr(six[i]);
            if (signer == vm.addr(keys[0]) || signer == vm.addr(keys[1]) || signer == vm.addr(keys[2])) continue;
            Signature[] memory signatures = new Signature[](1);
            IInbox.Checkpoint memory checkpoint = checkpointAt(1);
            signatures[0] = sign(six[i], checkpoint);
            (, bytes memory returned) = attempt(checkpoint, set, signatures);
            vm.assertEq(returned, abi.encodeWithSelector(IValidatorSet.UnknownSigner.selector, signer), "unknown");
        }
    }

    /// @dev A signature over anything but this checkpoint recovers to somebody else.
    function testFuzz_signatureBindsEveryField(uint8 which) public {
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        IInbox.Checkpoint memory other = checkpointAt(1);
        which = uint8(bound(which, 0, 5));
        if (which == 0) other.originChainId ^= 1;
        else if (which == 1) other.originGateway = STRANGER;
        else if (which == 2) other.generation = 1;
        else if (which == 3) other.nonce = 2;
        else if (which == 4) other.accumulator = 0;
        else other.epoch = 2;
        refuseForeign(checkpoint, destination.checkpointDigest(other));
    }

    function test_signatureBindsChainAndGateway() public {
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        refuseForeign(checkpoint, origin.checkpointDigest(checkpoint));
        vm.chainId(99);
        bytes32 elsewhere = destination.checkpointDigest(checkpoint);
        vm.chainId(DESTINATION);
        refuseForeign(checkpoint, elsewhere);
    }

    /// @dev After a fork of this chain the same gateway has another chain id: nothing signed before is good there.
    function test_checkpointFromBeforeAForkOfThisChainIsRefused() public {
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        bytes32 before = destination.checkpointDigest(checkpoint);
        vm.chainId(99);
        refuseForeign(checkpoint, before);
    }

    /// @dev Nor is anything with the same words in it that validators sign as another type, or for another contract.
    function test_otherSignedDataIsNoCheckpoint() public {
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        refuseForeign(checkpoint, destination.rotationDigest(ORIGIN, 1, checkpoint.accumulator));
        bytes32 asHeader = keccak256("Header(uint256 originChainId,uint32 generation,uint64 number,bytes32 blockHash,uint64 epoch)");
        bytes32 asCheckpoint = keccak256(
            "Checkpoint(uint256 originChainId,address originGateway,uint32 generation,uint64 nonce,bytes32 accumulator,uint64 epoch)"
        );
        bytes32 ofGateway = domain("Lockstep Gateway");
        bytes32 right = MessageHashUtils.toTypedDataHash(ofGateway, keccak256(abi.encode(asCheckpoint, checkpoint)));
        vm.assertEq(destination.checkpointDigest(checkpoint), right, "digest");
        bytes32 wrong = MessageHashUtils.toTypedDataHash(ofGateway, keccak256(abi.encode(asHeader, checkpoint)));
        refuseForeign(checkpoint, wrong);
        wrong = keccak256(abi.encode(asCheckpoint, checkpoint));
        refuseForeign(checkpoint, MessageHashUtils.toTypedDataHash(domain("Lockstep State Oracle"), wrong));
        refuseForeign(checkpoint, wrong);
    }

    function domain(string memory name) internal view returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256(bytes(name)), keccak256("1"), DESTINATION, destination));
    }

    function refuseForeign(IInbox.Checkpoint memory checkpoint, bytes32 digest) internal {
        Signature[] memory signatures = new Signature[](1);
        signatures[0] = signDigest(keys[0], digest);
        (bool success, bytes memory returned) = attempt(checkpoint, validatorSet(), signatures);
        vm.assertTrue(!success && bytes4(returned) == IValidatorSet.UnknownSigner.selector, "somebody else");
    }

    function test_malformedSignaturesAreRefused() public {
        IInbox.Checkpoint memory checkpoint = checkpointAt(1);
        Signature[] memory signatures = new Signature[](1);
        (, bytes memory returned) = attempt(checkpoint, validatorSet(), signatures);
        vm.assertTrue(bytes4(returned) == ECDSA.ECDSAInvalidSignature.selector, "zero");
        signatures[0] = sign(keys[0], checkpoint);
        signatures[0].vs |= bytes32(uint256(type(int256).max));
        (, returned) = attempt(checkpoint, validatorSet(), signatures);
        vm.assertTrue(bytes4(returned) == ECDSA.ECDSAInvalidSignatureS.selector, "high s");
    }

    function test_setMustBeTheStoredOne() public {
        QuorumSet memory other = validatorSet();
        other.validators[0] = reweighed(other.validators[0], 100);
        (bool success, bytes memory returned) = attempt(other, 1, list(0));
        vm.assertTrue(!success, "refused");
        (bytes26 stored, , ) = destination.epochInfo(ORIGIN, 1);
        bytes32 given = destination.setHashOf(ORIGIN, 1, other);
        vm.assertEq(
            returned,
            abi.encodeWithSelector(IValidatorSet.WrongSet.selector, ORIGIN, 1, given),
            "reason"
        );
        vm.assertEq(bytes32(stored), bytes26(destination.setHashOf(ORIGIN, 1, validatorSet())), "stored");
        vm.assertEq(given, keccak256(abi.encode(ORIGIN, uint64(1), other)), "formula");
        vm.assertTrue(given != destination.setHashOf(ORIGIN, 2, other), "epoch is part of it");
        vm.assertTrue(given != destination.setHashOf(99, 1, other), "origin is part of it");
    }

    function test_replacedEpochIsValidUntilItsExpiry() public {
        QuorumSet memory set = validatorSet();
        uint256 expiry = uint256(NOW) + 1 days;
        vm.expectEmit(address(destination));
        emit IValidatorSet.ValidatorsSet(ORIGIN, 2, destination.setHashOf(ORIGIN, 2, set), set, expiry);
        destination.setValidators(ORIGIN, 1, set, 1 days);
        vm.assertEq(destination.newestEpoch(ORIGIN), 2, "newest");
        (, uint64 validUntil, ) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(validUntil, expiry, "fixed");

        vm.warp(expiry);
        (bool success, bytes memory returned) = attempt(set, 1, list(0, 1));
        vm.assertEq(returned, abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, 1), "expired");
        vm.warp(expiry - 1);
        (success, ) = attempt(set, 1, list(0, 1));
        vm.assertTrue(success, "the last second");
    }

    function test_laterSuccessionsDoNotProlongAnExpiry() public {
        destination.setValidators(ORIGIN, 1, validatorSet(), 1 days);
        destination.setValidators(ORIGIN, 2, validatorSet(), 30 days);
        (, uint64 validUntil, ) = destination.epochInfo(ORIGIN, 1);
        vm.assertEq(validUntil, uint256(NOW) + 1 days, "as it was fixed");
    }

    function test_unknownEpochIsNotValid() public {
        (, bytes memory returned) = attempt(validatorSet(), 2, list(0, 1));
        vm.assertEq(returned, abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, 2), "reason");
    }

    function test_succeedingAnEpochThatIsNotTheNewestIsRefused() public {
        QuorumSet memory set = validatorSet();
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.UnexpectedEpoch.selector, ORIGIN, 0, 1));
        destination.setValidators(ORIGIN, 0, set, 0);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.OverlapTooLong.selector, 30 days + 1, 30 days));
        destination.setValidators(ORIGIN, 1, set, 30 days + 1);
    }

    function refuseSet(QuorumSet memory set, bytes memory why) internal {
        vm.expectRevert(why);
        destination.setValidators(ORIGIN, 1, set, 0);
    }

    function test_malformedSetsAreRefused() public {
        QuorumSet memory set = validatorSet();
        set.validators = new Validator[](0);
        refuseSet(set, abi.encodeWithSelector(IValidatorSet.EmptySet.selector));

        bytes4 notSorted = IValidatorSet.ValidatorsNotSorted.selector;
        set = validatorSet();
        set.validators[1] = set.validators[0];
        address first = accountOf(set.validators[0]);
        refuseSet(set, abi.encodeWithSelector(notSorted, first, first));
        set = validatorSet();
        (set.validators[0], set.validators[1]) = (set.validators[1], set.validators[0]);
        refuseSet(set, abi.encodeWithSelector(notSorted, accountOf(set.validators[0]), first));
        set = validatorSet();
        set.validators[0] = validator(address(0), 1);
        refuseSet(set, abi.encodeWithSelector(notSorted, address(0), address(0)));
        set = validatorSet();
        set.validators[1] = reweighed(set.validators[1], 0);
        refuseSet(set, abi.encodeWithSelector(IValidatorSet.ZeroWeight.selector, accountOf(set.validators[1])));
    }

    function test_thresholdsThatCannotBeMetOrMeanNothingAreRefused() public {
        refuseThreshold(threshold(Rule.AbsoluteWeight, 0, 0));
        refuseThreshold(threshold(Rule.AbsoluteWeight, 4, 0));
        // Under one half, two disjoint quorums could sign two histories.
        keys = sortedKeys(4);
        refuseThreshold(threshold(Rule.AbsoluteWeight, 2, 0), 4);
        keys = sortedKeys(3);
        refuseThreshold(threshold(Rule.AbsoluteWeight, 2, 1));
        refuseThreshold(threshold(Rule.SimpleMajority, 1, 0));
        refuseThreshold(threshold(Rule.SimpleMajority, 0, 1));
        refuseThreshold(threshold(Rule.SuperMajority, 3, 3));
        refuseThreshold(threshold(Rule.SuperMajority, 49, 100));
        refuseThreshold(threshold(Rule.SuperMajority, 0, 0));
        refuseThreshold(Threshold.wrap(3 << 240));
    }

    function refuseThreshold(Threshold rule) internal {
        refuseThreshold(rule, 3);
    }

    function refuseThreshold(Threshold rule, uint256 total) internal {
        QuorumSet memory set = validatorSet();
        set.threshold = rule;
        refuseSet(set, abi.encodeWithSelector(IValidatorSet.InvalidThreshold.selector, rule, total));
    }
}
