// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOutbox} from "../../contracts/interfaces/IOutbox.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {GatewayFixture, Message} from "./GatewayFixture.sol";

/// @dev The origin's side: what enters a lane and what does not.
contract GatewaySendTest is GatewayFixture {
    bytes[] internal none;

    function setUp() public override {
        super.setUp();
        vm.chainId(ORIGIN);
    }

    function refuse(bytes memory recipient, bytes memory payload, bytes[] memory attributes, bytes memory why) internal {
        vm.expectRevert(why);
        origin.sendMessage(recipient, payload, attributes);
        vm.assertEq(origin.outboundHead(DESTINATION).nonce, 0, "nothing was appended");
    }

    function test_sendAppendsToTheLane() public {
        bytes memory recipient = interoperable(address(recorder));
        MessageId id = remember(Message(SENDER, address(recorder), DEFAULT_GAS, 0, "hello"));
        vm.expectEmit(address(origin));
        emit IERC7786GatewaySource.MessageSent(
            0,
            InteroperableAddress.formatEvmV1(ORIGIN, SENDER),
            recipient,
            "hello",
            0,
            none
        );
        vm.expectEmit(address(origin));
        emit IOutbox.LaneAppended(DESTINATION, 1, id, accumulators[0], DEFAULT_GAS);
        vm.prank(SENDER);
        bytes32 sendId = origin.sendMessage(recipient, "hello", none);
        vm.assertEq(sendId, 0, "nothing further is required");
        vm.assertEq(origin.outboundHead(DESTINATION).nonce, 1, "nonce");
        vm.assertEq(origin.outboundHead(DESTINATION).accumulator, accumulators[0], "accumulator");
    }

    function testFuzz_headChainsAllIds(uint8 count, uint32 gasLimit, bytes calldata payload) public {
        vm.assume(payload.length <= 16_384);
        uint256 total = bound(count, 1, 8);
        for (uint256 i = 0; i < total; ++i) send(address(recorder), payload, bound(gasLimit, 1, 5_000_000));
        ILanes.Head memory head = origin.outboundHead(DESTINATION);
        vm.assertEq(head.nonce, total, "nonce");
        vm.assertEq(head.accumulator, accumulators[total - 1], "accumulator");
        vm.assertEq(head.generation, 0, "generation");
    }

    /// @dev Slots are part of the interface, for storage proofs.
    function test_headIsAtItsPromisedSlot() public {
        send(address(recorder));
        send(address(recorder));
        bytes32 base = keccak256(abi.encode(uint256(keccak256("lockstep.storage.Gateway")) - 1)) & ~bytes32(uint256(0xff));
        uint256 slot = uint256(keccak256(abi.encode(DESTINATION, base)));
        vm.assertEq(vm.load(address(origin), bytes32(slot)), accumulators[1], "accumulator");
        vm.assertEq(uint64(uint256(vm.load(address(origin), bytes32(slot + 1)))), 2, "nonce");
        deliver(1, 2);
        slot = uint256(keccak256(abi.encode(ORIGIN, uint256(base) + 1)));
        vm.assertEq(vm.load(address(destination), bytes32(slot)), accumulators[1], "inbound accumulator");
        vm.assertEq(uint64(uint256(vm.load(address(destination), bytes32(slot + 1)))), 2, "inbound nonce");
    }

    function test_onlyTheGasLimitAttributeIsSupported() public {
        vm.assertTrue(origin.supportsAttribute(bytes4(keccak256("gasLimit(uint256)"))), "gas limit");
        vm.assertTrue(!origin.supportsAttribute(0xdeadbeef), "another");
        bytes[] memory attributes = new bytes[](1);
        attributes[0] = hex"deadbeef00";
        bytes memory why = abi.encodeWithSelector(
            IERC7786GatewaySource.UnsupportedAttribute.selector,
            bytes4(0xdeadbeef)
        );
        refuse(interoperable(address(recorder)), "", attributes, why);
        attributes[0] = hex"de";
        why = abi.encodeWithSelector(IERC7786GatewaySource.UnsupportedAttribute.selector, bytes4(0xde000000));
        refuse(interoperable(address(recorder)), "", attributes, why);
    }

    /// @dev ERC-7786 names one error for it, so it comes before whatever is wrong with the others.
    function test_unsupportedAttributeIsNamedAmongOtherFlaws() public {
        bytes memory unknown = abi.encodeWithSignature("unknown()");
        bytes memory why = abi.encodeWithSelector(IERC7786GatewaySource.UnsupportedAttribute.selector, bytes4(unknown));
        bytes[] memory attributes = new bytes[](2);
        attributes[1] = unknown;
        attributes[0] = gasLimitAttribute(type(uint256).max)[0];
        refuse(interoperable(address(recorder)), "", attributes, why);
        attributes[0] = abi.encodePacked(bytes4(attributes[0]));
        refuse(interoperable(address(recorder)), "", attributes, why);
        attributes = new bytes[](3);
        (attributes[0], attributes[1], attributes[2]) = (gasLimitAttribute(1)[0], gasLimitAttribute(1)[0], unknown);
        refuse(interoperable(address(recorder)), "", attributes, why);
    }

    function test_gasLimitAttributeMustBeWellFormedAndGivenOnce() public {
        bytes[] memory attributes = new bytes[](1);
        attributes[0] = abi.encodePacked(bytes4(keccak256("gasLimit(uint256)")), uint248(1));
        bytes memory why = abi.encodeWithSelector(IOutbox.InvalidAttribute.selector, attributes[0]);
        refuse(interoperable(address(recorder)), "", attributes, why);
        attributes[0] = bytes.concat(gasLimitAttribute(100_000)[0], hex"00");
        why = abi.encodeWithSelector(IOutbox.InvalidAttribute.selector, attributes[0]);
        refuse(interoperable(address(recorder)), "", attributes, why);

        attributes = new bytes[](2);
        attributes[0] = gasLimitAttribute(100_000)[0];
        attributes[1] = gasLimitAttribute(100_000)[0];
        why = abi.encodeWithSelector(IOutbox.DuplicateAttribute.selector, bytes4(keccak256("gasLimit(uint256)")));
        refuse(interoperable(address(recorder)), "", attributes, why);
    }

    function test_capsOfTheLaneHold() public {
        send(address(recorder), new bytes(16_384), 5_000_000);
        bytes memory recipient = interoperable(address(recorder));
        vm.chainId(ORIGIN);
        vm.expectRevert(abi.encodeWithSelector(ILanes.GasLimitOutOfRange.selector, 5_000_001, 5_000_000));
        origin.sendMessage(recipient, "", gasLimitAttribute(5_000_001));
        vm.expectRevert(abi.encodeWithSelector(ILanes.GasLimitOutOfRange.selector, 0, 5_000_000));
        origin.sendMessage(recipient, "", gasLimitAttribute(0));
        vm.expectRevert(abi.encodeWithSelector(ILanes.PayloadTooLong.selector, 16_385, 16_384));
        origin.sendMessage(recipient, new bytes(16_385), none);
    }

    function test_unknownChainsAndTheOwnAreRefused() public {
        bytes memory recipient = InteroperableAddress.formatEvmV1(99, address(recorder));
        refuse(recipient, "", none, abi.encodeWithSelector(IOutbox.UnknownDestination.selector, 99));
        recipient = InteroperableAddress.formatEvmV1(ORIGIN, address(recorder));
        refuse(recipient, "", none, abi.encodeWithSelector(IOutbox.UnknownDestination.selector, ORIGIN));
    }

    function test_recipientsMustNameOneAccount() public {
        bytes memory recipient = InteroperableAddress.formatEvmV1(DESTINATION);
        refuse(recipient, "", none, abi.encodeWithSelector(IOutbox.InvalidRecipient.selector, recipient));
        recipient = interoperable(address(0));
        refuse(recipient, "", none, abi.encodeWithSelector(IOutbox.InvalidRecipient.selector, recipient));
        recipient = abi.encodePacked(interoperable(address(recorder)), uint8(0));
        refuse(recipient, "", none, abi.encodeWithSelector(IOutbox.InvalidRecipient.selector, recipient));
        recipient = InteroperableAddress.formatV1(0x0002, hex"01", hex"02");
        bytes4 parsing = InteroperableAddress.InteroperableAddressParsingError.selector;
        refuse(recipient, "", none, abi.encodeWithSelector(parsing, recipient));
    }

    /// @dev A chain id with zeros before it is another spelling of the same account.
    function test_recipientsHaveOneSpelling() public {
        bytes memory recipient = abi.encodePacked(hex"0001000004", uint32(DESTINATION), uint8(20), address(recorder));
        refuse(recipient, "", none, abi.encodeWithSelector(IOutbox.InvalidRecipient.selector, recipient));
    }

    function test_valueOnAFreeLaneBecomesCredit() public {
        vm.deal(address(this), 1);
        origin.sendMessage{value: 1}(interoperable(address(recorder)), "", none);
        vm.assertEq(origin.creditOf(address(this)), 1, "credit");
    }

    function test_lanesThatCannotWorkAreRefused() public {
        ILanes.LaneConfig memory good = lane(address(destination));
        refuseLane(0, good);
        refuseLane(ORIGIN, good);
        ILanes.LaneConfig memory bad = lane(address(0));
        refuseLane(DESTINATION, bad);
        bad = lane(address(destination));
        bad.defaultGasLimit = 0;
        refuseLane(DESTINATION, bad);
        bad.defaultGasLimit = bad.maxGasLimit + 1;
        refuseLane(DESTINATION, bad);
        bad = lane(address(destination));
        bad.maxGasLimit = 13_000_001;
        refuseLane(DESTINATION, bad);
        bad = lane(address(destination));
        bad.maxPayload = 65_537;
        refuseLane(DESTINATION, bad);
    }

    function refuseLane(uint256 chainId, ILanes.LaneConfig memory config) internal {
        vm.expectRevert(abi.encodeWithSelector(ILanes.InvalidLane.selector, chainId, config));
        origin.setLane(chainId, config);
    }

    function test_laneIsConfiguredAndAnnounced() public {
        ILanes.LaneConfig memory config = ILanes.LaneConfig(STRANGER, 13_000_000, 65_536, 1);
        vm.expectEmit(address(origin));
        emit ILanes.LaneConfigured(99, config);
        origin.setLane(99, config);
        vm.assertEq(abi.encode(origin.laneConfig(99)), abi.encode(config), "stored");
    }
}
