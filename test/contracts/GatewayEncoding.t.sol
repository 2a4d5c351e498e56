// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {Interoperable} from "../../contracts/libraries/Interoperable.sol";
import {PackedMessages} from "../../contracts/libraries/PackedMessages.sol";
import {MessageCounter} from "../../contracts/mocks/MessageCounter.sol";
import {GatewayFixture, Message} from "./GatewayFixture.sol";

/// @dev Libraries that read and write bytes by hand, against others that do it slowly.
contract GatewayEncodingTest is GatewayFixture {
    struct Unpacked {
        address sender;
        address recipient;
        uint256 gasLimit;
        bytes32 attributesHash;
        bytes payload;
        uint256 next;
    }

    function read(bytes calldata list, uint256 position) external pure returns (Unpacked memory one) {
        bytes calldata payload;
        (one.sender, one.recipient, one.gasLimit, one.attributesHash, payload, one.next) = PackedMessages.read(
            list,
            position
        );
        one.payload = payload;
    }

    /// @dev As {IInbox-deliver} describes it, by slices; reverts by a panic beyond the end.
    function readSlowly(bytes calldata list, uint256 position) external pure returns (Unpacked memory one) {
        one.sender = address(bytes20(list[position:position + 20]));
        one.recipient = address(bytes20(list[position + 20:position + 40]));
        one.gasLimit = uint32(bytes4(list[position + 40:position + 44]));
        uint256 length = uint24(bytes3(list[position + 44:position + 47]));
        one.next = position + 48;
        if (list[position + 47] != 0) {
            one.attributesHash = bytes32(list[one.next:one.next + 32]);
            one.next += 32;
        }
        one.payload = list[one.next:one.next + length];
        one.next += length;
    }

    function testFuzz_packedMessagesAreReadBack(Message memory message, bytes memory before, bytes memory behind) public view {
        message.gasLimit = uint32(message.gasLimit);
        Unpacked memory one = this.read(bytes.concat(before, packed(message), behind), before.length);
        vm.assertEq(one.sender, message.sender, "sender");
        vm.assertEq(one.recipient, message.recipient, "recipient");
        vm.assertEq(one.gasLimit, message.gasLimit, "gas limit");
        vm.assertEq(one.attributesHash, message.attributesHash, "attributes");
        vm.assertEq(one.payload, message.payload, "payload");
        vm.assertEq(one.next, before.length + packed(message).length, "next");
    }

    /// @dev Any bytes at all, mostly with a short payload, from any position: both agree or both refuse.
    function testFuzz_anyBytesAreReadAsDescribed(bytes memory list, uint256 position, uint256 cut) public {
        list = bytes.concat(list, new bytes(120), list);
        position = bound(position, 0, list.length);
        uint256 size = list.length - bound(cut, 0, list.length) / 2;
        if (list.length > position + 47) {
            list[position + 44] = 0;
            list[position + 45] = 0;
        }
        assembly ("memory-safe") {
            mstore(list, size)
        }
        (bool success, bytes memory returned) = address(this).call(abi.encodeCall(this.read, (list, position)));
        (bool expected, bytes memory slowly) = address(this).call(abi.encodeCall(this.readSlowly, (list, position)));
        vm.assertTrue(success == expected, "both or none");
        if (!success) slowly = abi.encodeWithSelector(IInbox.TruncatedMessage.selector, position);
        vm.assertEq(returned, slowly, "same");
    }

    /// @dev Cut off anywhere, by one byte or all of them.
    function testFuzz_truncatedMessageIsRefused(Message memory message, uint256 cut) public {
        message.gasLimit = uint32(message.gasLimit);
        bytes memory list = packed(message);
        uint256 left = bound(cut, 0, list.length - 1);
        assembly ("memory-safe") {
            mstore(list, left)
        }
        vm.expectRevert(abi.encodeWithSelector(IInbox.TruncatedMessage.selector, 0));
        this.read(list, 0);
    }

    function test_highestValuesOfTheFieldsAreRead() public {
        bytes memory all = abi.encodePacked(type(uint160).max, type(uint160).max, type(uint32).max, type(uint24).max, uint8(1));
        Message memory message = Message(SENDER, STRANGER, type(uint32).max, bytes32(type(uint256).max), new bytes(65_536));
        Unpacked memory one = this.read(packed(message), 0);
        vm.assertTrue(one.gasLimit == type(uint32).max && one.payload.length == 65_536, "as they are");
        // A length that is never there in full: refused, and nothing wraps around.
        vm.expectRevert(abi.encodeWithSelector(IInbox.TruncatedMessage.selector, 0));
        this.read(bytes.concat(all, new bytes(1_000)), 0);
    }

    function test_attributesFollowExactlyWhenFlagged() public view {
        Message memory message = Message(SENDER, STRANGER, 1, 0, "payload");
        vm.assertEq(packed(message).length, 48 + 7, "none");
        vm.assertEq(this.read(packed(message), 0).attributesHash, 0, "zero");
        message.attributesHash = keccak256("some");
        vm.assertEq(packed(message).length, 48 + 32 + 7, "a hash");
        vm.assertEq(this.read(packed(message), 0).payload, "payload", "behind it");
    }

    function test_messageAtTheCapsOfTheCapsIsDelivered() public {
        MessageCounter counter = new MessageCounter();
        destination.setLane(ORIGIN, ILanes.LaneConfig(address(origin), 13_000_000, 65_536, DEFAULT_GAS));
        vm.chainId(ORIGIN);
        origin.setLane(DESTINATION, ILanes.LaneConfig(address(destination), 13_000_000, 65_536, DEFAULT_GAS));
        vm.chainId(DESTINATION);
        bytes memory payload = new bytes(65_536);
        for (uint256 i = 0; i < payload.length; i += 32) payload[i] = 0xff;
        send(address(counter), payload, 13_000_000);
        bytes memory data = deliveryCall(1, 1, 1);
        (bool success, ) = address(destination).call{gas: 1 << 24}(data);
        vm.assertTrue(success && counter.count() == 1, "within a transaction's gas");
    }

    function testFuzz_interoperableAddressIsOpenZeppelins(uint256 chainId, uint8 size, address account) public pure {
        chainId >>= uint256(size) % 33 * 8 % 256;
        vm.assertEq(
            Interoperable.formatEvm(chainId, account),
            InteroperableAddress.formatEvmV1(chainId, account),
            "bytes"
        );
    }

    function test_interoperableAddressesOfTheSmallestAndTheLargestChainId() public pure {
        uint256[4] memory chainIds = [0, 1, 0xff, type(uint256).max];
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory expected = InteroperableAddress.formatEvmV1(chainIds[i], STRANGER);
            vm.assertEq(Interoperable.formatEvm(chainIds[i], STRANGER), expected, "bytes");
        }
    }

    /// @dev The call is written by hand, over memory that was used before: it is what the compiler would have made.
    function testFuzz_recipientIsCalledAsTheAbiHasIt(uint256 originId, uint8 size, bytes memory payload) public {
        CallKeeper keeper = new CallKeeper();
        originId >>= uint256(size) % 32 * 8;
        if (originId == 0 || originId == DESTINATION) originId = 1;
        destination.setLane(originId, lane(address(origin)));
        destination.setValidators(originId, 0, validatorSet(), 0);
        payload = bytes.concat(payload, hex"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
        bytes32 id = keccak256(
            bytes.concat(
                abi.encode(uint8(1), originId, origin, DESTINATION, destination, uint64(1)),
                abi.encode(SENDER, keeper, uint256(4_000_000), bytes32(0), keccak256(payload))
            )
        );
        bytes32 accumulator = keccak256(abi.encodePacked(bytes32(0), id));
        IInbox.Checkpoint memory checkpoint = IInbox.Checkpoint(originId, address(origin), 0, 1, accumulator, 1);
        bytes memory list = packed(Message(SENDER, address(keeper), 4_000_000, 0, payload));
        destination.deliver(checkpoint, validatorSet(), quorum(checkpoint), 1, list, new MessageId[](0));
        bytes memory sender = InteroperableAddress.formatEvmV1(originId, SENDER);
        bytes memory expected = abi.encodeCall(IERC7786Recipient.receiveMessage, (id, sender, payload));
        vm.assertEq(keeper.hash(), keccak256(expected), "call");
    }

    /// @dev One prepared call serves all messages of a delivery: nothing of a longer one is left behind a shorter one.
    function test_callsOfADeliveryLeaveNothingInEachOther() public {
        for (uint256 size = 1; size <= 32; ++size) checkCalls((uint256(keccak256("id")) | (1 << 255)) >> (256 - 8 * size));
    }

    function checkCalls(uint256 originId) internal {
        uint8[8] memory lengths = [200, 33, 32, 31, 0, 63, 1, 64];
        CallKeeper keeper = new CallKeeper();
        destination.setLane(originId, lane(address(origin)));
        destination.setValidators(originId, 0, validatorSet(), 0);
        bytes32 accumulator = 0;
        bytes32 expected = 0;
        bytes memory list = "";
        for (uint64 nonce = 1; nonce <= 8; ++nonce) {
            Message memory message = Message(address(type(uint160).max), address(keeper), 100_000, 0, "");
            if (nonce % 2 == 0) (message.sender, message.attributesHash) = (SENDER, keccak256("some"));
            for (uint256 i = 0; i < lengths[nonce - 1]; ++i) message.payload = bytes.concat(message.payload, hex"ff");
            bytes32 id = keccak256(
                bytes.concat(
                    abi.encode(uint8(1), originId, origin, DESTINATION, destination, nonce),
                    abi.encode(message.sender, keeper, 100_000, message.attributesHash, keccak256(message.payload))
                )
            );
            accumulator = keccak256(bytes.concat(accumulator, id));
            list = bytes.concat(list, packed(message));
            bytes memory sender = InteroperableAddress.formatEvmV1(originId, message.sender);
            bytes memory call = abi.encodeCall(IERC7786Recipient.receiveMessage, (id, sender, message.payload));
            expected = keccak256(bytes.concat(expected, keccak256(call)));
        }
        IInbox.Checkpoint memory checkpoint = IInbox.Checkpoint(originId, address(origin), 0, 8, accumulator, 1);
        destination.deliver(checkpoint, validatorSet(), quorum(checkpoint), 1, list, new MessageId[](0));
        vm.assertEq(keeper.chain(), expected, "calls");
    }
}

/// @dev Accepts everything and keeps the hash of what it was called with, the last time and ever since.
contract CallKeeper {
    bytes32 public hash;
    bytes32 public chain;

    fallback() external {
        hash = keccak256(msg.data);
        chain = keccak256(bytes.concat(chain, hash));
        bytes4 answer = IERC7786Recipient.receiveMessage.selector;
        assembly {
            mstore(0, answer)
            return(0, 0x20)
        }
    }
}
