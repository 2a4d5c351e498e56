// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {IGateway} from "../../contracts/interfaces/IGateway.sol";
import {IStateOracle} from "../../contracts/interfaces/IStateOracle.sol";
import {IValidatorSet, QuorumSet, Signature} from "../../contracts/interfaces/IValidatorSet.sol";
import {StateOracle} from "../../contracts/StateOracle.sol";
import {StateOracleFixture} from "./StateOracleFixture.sol";

/// @dev Which headers are taken, and for how long they count.
contract StateOracleTest is StateOracleFixture {
    using RLP for *;

    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    function expectState(bytes32 stateRoot) private view {
        vm.assertEq(oracle.stateRootAt(ORIGIN, NUMBER), stateRoot, "state root");
    }

    function expectStateRevert(bytes memory reason) private {
        vm.expectRevert(reason);
        oracle.stateRootAt(ORIGIN, NUMBER);
        // Proofs ask the same question first.
        vm.expectRevert(reason);
        oracle.accountAt(ORIGIN, NUMBER, SENDER, new bytes[](0));
        vm.expectRevert(reason);
        oracle.storageAt(ORIGIN, NUMBER, SENDER, 0, new bytes[](0), new bytes[](0));
    }

    function conflict(bytes32 attested, bytes32 given) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStateOracle.HeaderConflict.selector, ORIGIN, NUMBER, attested, given);
    }

    function wrongGeneration(uint32 expected, uint32 given) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStateOracle.WrongGeneration.selector, expected, given);
    }

    function unknownHeader() private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStateOracle.UnknownHeader.selector, ORIGIN, NUMBER);
    }

    function test_attestedHeaderIsKept() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        Signature[] memory signed = signatures(header);
        expectStateRevert(unknownHeader());
        vm.expectEmit(address(oracle));
        emit IStateOracle.HeaderAttested(ORIGIN, NUMBER, header.blockHash, STATE_ROOT, 0, 1);
        vm.prank(STRANGER);
        oracle.attestHeader(header, rlp, validatorSet(), signed);
        expectState(STATE_ROOT);
        IStateOracle.AttestedHeader memory kept = oracle.headerOf(ORIGIN, NUMBER);
        vm.assertEq(kept.blockHash, header.blockHash, "hash");
        vm.assertTrue(kept.epoch == 1 && kept.generation == 0, "epoch and generation");
    }

    function test_sameHeaderAgainChangesAndChecksNothing() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        attest(headerOf(rlp, 0, 1), rlp);
        oracle.attestHeader(headerOf(rlp, 0, 1), "", validatorSet(), new Signature[](0));
        expectState(STATE_ROOT);
    }

    function test_anotherHeaderOfTheSameNumberIsRefused() public {
        attestState(STATE_ROOT);
        bytes memory rlp = rlpHeader(NUMBER, keccak256("another state"));
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        bytes32 first = keccak256(rlpHeader(NUMBER, STATE_ROOT));
        expectAttestRevert(header, rlp, signatures(header), conflict(first, header.blockHash));
        // Neither does a younger epoch outvote it, nor the end of its own.
        destination.setValidators(ORIGIN, 1, validatorSet(), 0);
        vm.warp(NOW + 365 days);
        header.epoch = 2;
        expectAttestRevert(header, rlp, signatures(header), conflict(first, header.blockHash));
        expectState(STATE_ROOT);
    }

    function test_headersOutliveTheirEpochButNoneFollow() public {
        attestState(STATE_ROOT);
        destination.setValidators(ORIGIN, 1, validatorSet(), 1 days);
        vm.warp(NOW + 1 days);
        expectState(STATE_ROOT);
        bytes[] memory fields = headerFields(NUMBER + 1, STATE_ROOT);
        bytes memory rlp = fields.encode();
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        header.number = NUMBER + 1;
        bytes memory expired = abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, uint64(1));
        expectAttestRevert(header, rlp, signatures(header), expired);
    }

    function test_revokedEpochTakesItsHeadersAlong() public {
        attestState(STATE_ROOT);
        destination.setValidators(ORIGIN, 1, validatorSet(), 1 days);
        revoke(1);
        expectStateRevert(abi.encodeWithSelector(IStateOracle.EpochRevoked.selector, ORIGIN, uint64(1)));
        bytes memory rlp = rlpHeader(NUMBER, keccak256("the true state"));
        attest(headerOf(rlp, 0, 2), rlp);
        expectState(keccak256("the true state"));
        vm.assertEq(oracle.headerOf(ORIGIN, NUMBER).epoch, 2, "epoch");
    }

    function test_sameHeaderOfARevokedEpochIsAttestedAnew() public {
        attestState(STATE_ROOT);
        destination.setValidators(ORIGIN, 1, validatorSet(), 1 days);
        revoke(1);
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 0, 2);
        bytes memory none = abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 0, 3);
        expectAttestRevert(header, rlp, new Signature[](0), none);
        attest(header, rlp);
        expectState(STATE_ROOT);
    }

    function test_realignedLaneDropsHeadersOfTheDeadBranch() public {
        attestState(STATE_ROOT);
        realign(1);
        expectStateRevert(wrongGeneration(1, 0));
        bytes memory dead = rlpHeader(NUMBER, STATE_ROOT);
        expectAttestRevert(headerOf(dead, 0, 1), dead, signatures(headerOf(dead, 0, 1)), wrongGeneration(1, 0));
        bytes memory rlp = rlpHeader(NUMBER, keccak256("the branch that lives"));
        attest(headerOf(rlp, 1, 1), rlp);
        expectState(keccak256("the branch that lives"));
        realign(2);
        expectStateRevert(wrongGeneration(2, 1));
    }

    function test_headerOfAGenerationToComeIsRefused() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 1, 1);
        expectAttestRevert(header, rlp, signatures(header), wrongGeneration(0, 1));
    }

    /// @dev The signed words are all checked: change any, and the signatures are of somebody unknown.
    function test_signaturesOverAnythingElseAreRefused() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        bytes32 digest = oracle.headerDigest(header);
        StateOracle elsewhere = proxyOf(deployStateOracle());
        expectUnknown(header, rlp, elsewhere.headerDigest(header));
        vm.chainId(ORIGIN);
        bytes32 onOtherChain = oracle.headerDigest(header);
        vm.chainId(DESTINATION);
        expectUnknown(header, rlp, onOtherChain);
        IStateOracle.Header[5] memory others;
        for (uint256 i = 0; i < 5; ++i) others[i] = headerOf(rlp, 0, 1);
        others[0].originChainId = DESTINATION;
        others[1].generation = 1;
        others[2].number = NUMBER + 1;
        others[3].blockHash = keccak256("a fork");
        others[4].epoch = 2;
        for (uint256 i = 0; i < 5; ++i) expectUnknown(header, rlp, oracle.headerDigest(others[i]));
        oracle.attestHeader(header, rlp, validatorSet(), signedBy(2, digest));
    }

    function test_checkpointsAndRotationsAreNoHeaders() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        IInbox.Checkpoint memory checkpoint = IInbox.Checkpoint(
            ORIGIN,
            address(origin),
            0,
            NUMBER,
            header.blockHash,
            1
        );
        expectUnknown(header, rlp, destination.checkpointDigest(checkpoint));
        bytes32 ofGateway = domain("Lockstep Gateway", address(destination));
        bytes32 ofOracle = domain("Lockstep State Oracle", address(oracle));
        bytes32 asCheckpoint = keccak256(
            abi.encode(
                keccak256(
                    "Checkpoint(uint256 originChainId,address originGateway,uint32 generation,uint64 nonce,bytes32 accumulator,uint64 epoch)"
                ),
                checkpoint
            )
        );
        expectUnknown(header, rlp, MessageHashUtils.toTypedDataHash(ofOracle, asCheckpoint));
        bytes32 asRotation = keccak256(
            abi.encode(
                keccak256("Rotation(uint256 originChainId,uint64 oldEpoch,uint64 newEpoch,bytes32 newSetHash)"),
                ORIGIN,
                uint64(1),
                uint64(2),
                header.blockHash
            )
        );
        expectUnknown(header, rlp, MessageHashUtils.toTypedDataHash(ofGateway, asRotation));
        expectUnknown(header, rlp, MessageHashUtils.toTypedDataHash(ofOracle, asRotation));
        bytes32 asHeader = keccak256(
            abi.encode(
                keccak256("Header(uint256 originChainId,uint32 generation,uint64 number,bytes32 blockHash,uint64 epoch)"),
                header
            )
        );
        expectUnknown(header, rlp, MessageHashUtils.toTypedDataHash(ofGateway, asHeader));
        vm.assertEq(oracle.headerDigest(header), MessageHashUtils.toTypedDataHash(ofOracle, asHeader), "digest");
    }

    function domain(string memory name, address verifier) private pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, keccak256(bytes(name)), keccak256("1"), DESTINATION, verifier));
    }

    /// @dev With one signature, so that its signer is the one named.
    function expectUnknown(IStateOracle.Header memory header, bytes memory rlp, bytes32 signedDigest) private {
        Signature[] memory signed = signedBy(1, signedDigest);
        address signer = ECDSA.recover(oracle.headerDigest(header), signed[0].r, signed[0].vs);
        bytes memory unknown = abi.encodeWithSelector(IValidatorSet.UnknownSigner.selector, signer);
        expectAttestRevert(header, rlp, signed, unknown);
    }

    function test_tooLittleWeightIsRefused() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        bytes memory few = abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 1, 3);
        expectAttestRevert(header, rlp, signedBy(1, oracle.headerDigest(header)), few);
    }

    function test_anotherSetThanTheEpochsIsRefused() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        Signature[] memory signed = signatures(header);
        QuorumSet memory set = validatorSet();
        set.validators[0] = validator(vm.addr(keys[0]), 3);
        bytes32 wrong = destination.setHashOf(ORIGIN, 1, set);
        bytes memory reason = abi.encodeWithSelector(IValidatorSet.WrongSet.selector, ORIGIN, uint64(1), wrong);
        vm.expectRevert(reason);
        oracle.attestHeader(header, rlp, set, signed);
    }

    /// @dev What the oracle asks of the gateway, anyone may ask.
    function test_gatewayAnswersWhetherADigestHasAQuorum() public {
        bytes32 digest = keccak256("anything");
        vm.prank(STRANGER);
        destination.requireQuorum(ORIGIN, 1, validatorSet(), signedBy(2, digest), digest);
        Signature[] memory few = signedBy(1, digest);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.NoQuorum.selector, 1, 3));
        destination.requireQuorum(ORIGIN, 1, validatorSet(), few, digest);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, uint64(2)));
        destination.requireQuorum(ORIGIN, 2, validatorSet(), few, digest);
    }

    function test_unknownEpochsAndOriginsAreRefused() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 0, 2);
        bytes memory unknown = abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, ORIGIN, uint64(2));
        expectAttestRevert(header, rlp, signatures(header), unknown);
        header = headerOf(rlp, 0, 1);
        header.originChainId = DESTINATION;
        unknown = abi.encodeWithSelector(IValidatorSet.EpochNotValid.selector, DESTINATION, uint64(1));
        expectAttestRevert(header, rlp, signatures(header), unknown);
    }

    function test_headerMustBeTheSignedOne() public {
        bytes memory rlp = rlpHeader(NUMBER, STATE_ROOT);
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        bytes memory other = rlpHeader(NUMBER, keccak256("another state"));
        bytes4 wrongHash = IStateOracle.WrongBlockHash.selector;
        expectAttestRevert(
            header,
            other,
            signatures(header),
            abi.encodeWithSelector(wrongHash, header.blockHash, keccak256(other))
        );
        expectAttestRevert(
            header,
            "",
            signatures(header),
            abi.encodeWithSelector(wrongHash, header.blockHash, keccak256(""))
        );
        header.number = NUMBER + 1;
        bytes memory wrongNumber = abi.encodeWithSelector(
            IStateOracle.WrongBlockNumber.selector,
            NUMBER + 1,
            uint256(NUMBER)
        );
        expectAttestRevert(header, rlp, signatures(header), wrongNumber);
    }

    /// @dev Even a quorum cannot make the oracle read a root out of something else.
    function test_whatIsNoHeaderIsRefused() public {
        bytes[] memory fields = headerFields(NUMBER, STATE_ROOT);
        fields[3] = abi.encodePacked(bytes31(STATE_ROOT)).encode();
        bytes memory rlp = fields.encode();
        bytes4 malformed = IStateOracle.MalformedHeader.selector;
        expectMalformed(rlp, abi.encodeWithSelector(malformed, keccak256(rlp)));
        fields[3] = new bytes[](1).encode();
        rlp = fields.encode();
        expectMalformed(rlp, abi.encodeWithSelector(malformed, keccak256(rlp)));
        expectMalformed(hex"c0", missing(BlockHeader.HeaderField.Number));
        expectMalformed(hex"05", abi.encodeWithSelector(RLP.RLPInvalidEncoding.selector));
        rlp = bytes.concat(rlpHeader(NUMBER, STATE_ROOT), hex"00");
        expectMalformed(rlp, abi.encodeWithSelector(RLP.RLPInvalidEncoding.selector));
    }

    function missing(BlockHeader.HeaderField field) private pure returns (bytes memory) {
        return abi.encodeWithSelector(BlockHeader.FieldNotPresentInBlockHeader.selector, field);
    }

    function expectMalformed(bytes memory rlp, bytes memory reason) private {
        IStateOracle.Header memory header = headerOf(rlp, 0, 1);
        expectAttestRevert(header, rlp, signatures(header), reason);
    }

    function test_onlyTheAuthorityUpgradesAndHeadersStay() public {
        attestState(STATE_ROOT);
        address next = deployStateOracle();
        vm.prank(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, STRANGER));
        oracle.upgradeToAndCall(next, "");
        oracle.upgradeToAndCall(next, "");
        expectState(STATE_ROOT);
        vm.assertEq(address(oracle.gateway()), address(destination), "gateway");
    }

    function test_initializedOnceAndNeverTheImplementation() public {
        StateOracle implementation = StateOracle(deployStateOracle());
        bytes memory again = abi.encodeWithSelector(Initializable.InvalidInitialization.selector);
        vm.expectRevert(again);
        implementation.initialize(address(manager), destination);
        vm.expectRevert(again);
        oracle.initialize(address(manager), destination);
    }

    function test_gatewayMustBeAContract() public {
        address implementation = deployStateOracle();
        bytes memory data = abi.encodeCall(IStateOracle.initialize, (address(manager), IGateway(STRANGER)));
        vm.expectRevert(abi.encodeWithSelector(IStateOracle.InvalidGateway.selector, STRANGER));
        new ERC1967Proxy(implementation, data);
    }

    function test_domainIsPublished() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifier, , ) = oracle
            .eip712Domain();
        vm.assertTrue(fields == 0x0f && chainId == DESTINATION && verifier == address(oracle), "domain");
        vm.assertEq(bytes(name), "Lockstep State Oracle", "name");
        vm.assertEq(bytes(version), "1", "version");
    }

    function test_storageLiesWhereItsNameSays() public view {
        bytes32 base = keccak256(abi.encode(uint256(keccak256("lockstep.storage.StateOracle")) - 1)) &
            ~bytes32(uint256(0xff));
        vm.assertEq(vm.load(address(oracle), base), bytes32(uint256(uint160(address(destination)))), "gateway");
    }
}
