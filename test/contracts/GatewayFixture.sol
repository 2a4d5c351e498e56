// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {IGateway} from "../../contracts/interfaces/IGateway.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {QuorumSet, Rule, Signature, Threshold, Validator} from "../../contracts/interfaces/IValidatorSet.sol";
import {MessageRecorder} from "../../contracts/mocks/MessageRecorder.sol";
import {TestBase} from "./Vm.sol";

struct Message {
    address sender;
    address recipient;
    uint256 gasLimit;
    bytes32 attributesHash;
    bytes payload;
}

/**
 * @dev A gateway as two chains have it: the origin's and the destination's proxy, three validators of weight 1 with a
 * simple majority. The chain id is switched between sending and delivering.
 */
abstract contract GatewayFixture is TestBase {
    uint256 internal constant ORIGIN = 3_133_701;
    uint256 internal constant DESTINATION = 3_133_702;
    uint64 internal constant NOW = 1_800_000_000;
    uint32 internal constant DEFAULT_GAS = 200_000;
    address internal constant SENDER = address(0x5E4D);
    address internal constant STRANGER = address(0x57A);

    AccessManager internal manager;
    IGateway internal origin;
    IGateway internal destination;
    MessageRecorder internal recorder;
    /// @dev Private keys in the order of their addresses.
    uint256[] internal keys;

    /// @dev The lane's messages so far; nonces are one more than the index.
    Message[] internal sent;
    bytes32[] internal accumulators;
    MessageId[] internal ids;

    function setUp() public virtual {
        vm.warp(NOW);
        manager = new AccessManager(address(this));
        address implementation = deployGateway();
        bytes memory initialize = abi.encodeCall(IGateway.initialize, (address(manager)));
        origin = IGateway(address(new ERC1967Proxy(implementation, initialize)));
        destination = IGateway(address(new ERC1967Proxy(implementation, initialize)));
        recorder = new MessageRecorder(address(destination));
        keys = sortedKeys(3);
        vm.chainId(ORIGIN);
        origin.setLane(DESTINATION, lane(address(destination)));
        vm.chainId(DESTINATION);
        destination.setLane(ORIGIN, lane(address(origin)));
        destination.setValidators(ORIGIN, 0, validatorSet(), 0);
    }

    function lane(address gateway) internal pure returns (ILanes.LaneConfig memory) {
        return ILanes.LaneConfig(gateway, 5_000_000, 16_384, DEFAULT_GAS);
    }

    function sortedKeys(uint256 count) internal pure returns (uint256[] memory sorted) {
        sorted = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 key = uint256(keccak256(abi.encode("validator", i))) >> 8;
            uint256 place = i;
            for (; place > 0 && vm.addr(sorted[place - 1]) > vm.addr(key); --place) sorted[place] = sorted[place - 1];
            sorted[place] = key;
        }
    }

    function validatorSet() internal view returns (QuorumSet memory set) {
        set.validators = new Validator[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) set.validators[i] = validator(vm.addr(keys[i]), 1);
        set.threshold = threshold(Rule.SimpleMajority, 0, 0);
    }

    function validator(address account, uint96 weight) internal pure returns (Validator) {
        return Validator.wrap((uint256(uint160(account)) << 96) | weight);
    }

    function threshold(Rule rule, uint256 value, uint256 outOf) internal pure returns (Threshold) {
        return Threshold.wrap((uint256(rule) << 240) | (value << 120) | outOf);
    }

    function interoperable(address account) internal pure returns (bytes memory) {
        return InteroperableAddress.formatEvmV1(DESTINATION, account);
    }

    function gasLimitAttribute(uint256 gasLimit) internal pure returns (bytes[] memory attributes) {
        attributes = new bytes[](1);
        attributes[0] = abi.encodeWithSignature("gasLimit(uint256)", gasLimit);
    }

    /// @dev Sends at the origin and remembers what a relayer would.
    function send(address recipient, bytes memory payload, uint256 gasLimit) internal returns (MessageId) {
        bytes[] memory attributes = gasLimitAttribute(gasLimit);
        vm.chainId(ORIGIN);
        vm.prank(SENDER);
        origin.sendMessage(interoperable(recipient), payload, attributes);
        vm.chainId(DESTINATION);
        bytes32 attributesHash = keccak256(abi.encodePacked(keccak256(attributes[0])));
        return remember(Message(SENDER, recipient, gasLimit, attributesHash, payload));
    }

    function send(address recipient) internal returns (MessageId) {
        return send(recipient, abi.encode(sent.length), DEFAULT_GAS);
    }

    function remember(Message memory message) internal returns (MessageId id) {
        sent.push(message);
        id = idOf(message, uint64(sent.length));
        bytes32 previous = sent.length == 1 ? bytes32(0) : accumulators[sent.length - 2];
        ids.push(id);
        accumulators.push(keccak256(abi.encodePacked(previous, id)));
    }

    /// @dev The formula of ids, written out once more.
    function idOf(Message memory message, uint64 nonce) internal view returns (MessageId) {
        bytes memory route = abi.encode(uint8(1), ORIGIN, address(origin), DESTINATION, address(destination));
        bytes memory rest = abi.encode(
            nonce,
            message.sender,
            message.recipient,
            message.gasLimit,
            message.attributesHash,
            keccak256(message.payload)
        );
        return MessageId.wrap(keccak256(bytes.concat(route, rest)));
    }

    function checkpointAt(uint64 nonce) internal view returns (IInbox.Checkpoint memory) {
        return IInbox.Checkpoint(ORIGIN, address(origin), 0, nonce, accumulators[nonce - 1], 1);
    }

    function sign(uint256 key, IInbox.Checkpoint memory checkpoint) internal view returns (Signature memory) {
        return signDigest(key, destination.checkpointDigest(checkpoint));
    }

    function signDigest(uint256 key, bytes32 digest) internal pure returns (Signature memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return Signature(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    /// @dev Two of the three validators.
    function quorum(IInbox.Checkpoint memory checkpoint) internal view returns (Signature[] memory signatures) {
        signatures = new Signature[](2);
        signatures[0] = sign(keys[0], checkpoint);
        signatures[1] = sign(keys[2], checkpoint);
    }

    function messagesFrom(uint64 first, uint64 last) internal view returns (bytes memory messages) {
        for (uint64 nonce = first; nonce <= last; ++nonce) messages = bytes.concat(messages, packed(sent[nonce - 1]));
    }

    /// @dev The encoding of deliveries, written out once more.
    function packed(Message memory message) internal pure returns (bytes memory) {
        bytes memory attributes = message.attributesHash == 0
            ? bytes(hex"00")
            : abi.encodePacked(uint8(1), message.attributesHash);
        return
            abi.encodePacked(
                message.sender,
                message.recipient,
                uint32(message.gasLimit),
                uint24(message.payload.length),
                attributes,
                message.payload
            );
    }

    function idsFrom(uint64 first, uint64 last) internal view returns (MessageId[] memory some) {
        some = new MessageId[](last + 1 - first);
        for (uint256 i = 0; i < some.length; ++i) some[i] = ids[first + i - 1];
    }

    /// @dev Calldata of a delivery of `first` to `last` under the checkpoint at `signedAt`.
    function deliveryCall(uint64 first, uint64 last, uint64 signedAt) internal view returns (bytes memory) {
        IInbox.Checkpoint memory checkpoint = checkpointAt(signedAt);
        return
            abi.encodeCall(
                destination.deliver,
                (
                    checkpoint,
                    validatorSet(),
                    quorum(checkpoint),
                    first,
                    messagesFrom(first, last),
                    idsFrom(last + 1, signedAt)
                )
            );
    }

    function deliver(uint64 first, uint64 last, uint64 signedAt) internal {
        call(deliveryCall(first, last, signedAt));
    }

    function deliver(uint64 first, uint64 last) internal {
        deliver(first, last, last);
    }

    /// @dev Calls the destination and passes a revert on.
    function call(bytes memory data) internal {
        (bool success, bytes memory returned) = address(destination).call(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 0x20), mload(returned))
            }
        }
    }

    /// @dev As an external call, for `expectRevert`: the prepared call is the next one, whatever it needs before.
    function expectDeliveryRevert(bytes memory data, bytes memory reason) internal {
        (bool success, bytes memory returned) = address(destination).call(data);
        vm.assertTrue(!success, "delivery is refused");
        vm.assertEq(returned, reason, "reason");
    }
}
