// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {IFees} from "../../contracts/interfaces/IFees.sol";
import {IInbox} from "../../contracts/interfaces/IInbox.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {Signature} from "../../contracts/interfaces/IValidatorSet.sol";
import {
    GasBurner,
    MegabyteReturner,
    ReenteringRecipient,
    RevertingRecipient,
    ShortAnswerer,
    WrongAnswerer
} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture, Message} from "./GatewayFixture.sol";
import {Log, TestBase} from "./Vm.sol";

/// @dev Everyone who acts on a lane, at random. What must never happen is written down in `violation`.
contract GatewayHandler is GatewayFixture {
    error Unblocked(bool all);

    uint64 internal constant MOST_OUTSTANDING = 8;
    uint24 internal constant LONGEST_WINDOW = 1 hours;

    string internal violation;
    mapping(MessageId id => uint256) internal executions;

    address[3] internal actors = [address(0xA1), address(0xA2), address(0xA3)];
    address[] internal recipients;
    RevertingRecipient internal fickle = new RevertingRecipient();
    WrongAnswerer internal wrong = new WrongAnswerer();
    ReenteringRecipient internal reentering = new ReenteringRecipient();
    uint256 internal time = NOW;
    uint256 internal excluded;

    constructor() {
        super.setUp();
        recipients = [address(recorder), address(fickle), address(wrong), address(reentering), address(0xDEAD)];
        recipients.push(address(new GasBurner()));
        recipients.push(address(new MegabyteReturner(true)));
        recipients.push(address(new MegabyteReturner(false)));
        recipients.push(address(new ShortAnswerer()));
        recipients.push(address(destination));
        vm.recordLogs();
    }

    /// @dev The fixture's is done, and is none of the actions.
    function setUp() public override {}

    modifier acting() {
        vm.warp(time);
        vm.chainId(DESTINATION);
        // Logs of calls that were undone are recorded as well.
        vm.getRecordedLogs();
        uint64 before = head();
        _;
        vm.chainId(DESTINATION);
        if (head() < before) violation = "a head went back";
    }

    function head() internal view returns (uint64) {
        return destination.inboundHead(ORIGIN).nonce;
    }

    function total() internal view returns (uint64) {
        return uint64(sent.length);
    }

    /// @dev One or two messages, to anyone.
    function sendMessages(uint256 seed, uint32 gasLimit, uint16 value) external acting {
        vm.chainId(ORIGIN);
        for (uint256 i = 0; i <= seed % 2 && total() < head() + MOST_OUTSTANDING; ++i) {
            address recipient = recipients[(seed >> (8 + 8 * i)) % recipients.length];
            Message memory message = Message(actors[seed % 3], recipient, bound(gasLimit, 20_000, 120_000), 0, "");
            message.payload = new bytes((seed >> 32) % 70);
            bytes[] memory attributes = gasLimitAttribute(message.gasLimit);
            message.attributesHash = keccak256(abi.encodePacked(keccak256(attributes[0])));
            vm.deal(message.sender, value);
            bytes memory to = interoperable(recipient);
            vm.prank(message.sender);
            (bool success, ) = address(origin).call{value: value}(
                abi.encodeCall(origin.sendMessage, (to, message.payload, attributes))
            );
            if (success) remember(message);
            if (success && origin.isPaused(DESTINATION)) violation = "a paused lane grew";
        }
    }

    /// @dev Any part of the lane, known or not, under any checkpoint and any signatures.
    function deliverSome(uint256 seed, uint8 signers) external acting {
        if (total() == 0) return;
        uint64 before = head();
        uint64 first = 1 + uint64(bound(seed, before > 3 ? before - 3 : 0, before + (seed % 8 == 0 ? 1 : 0)));
        if (first > total()) first = total();
        uint64 last = uint64(bound(seed >> 64, first, total()));
        uint64 signedAt = uint64(bound(seed >> 128, last, total()));
        // Mostly all of them, or little would ever be delivered.
        uint256 bits = signers % 4 == 0 ? signers >> 2 : 7;
        bool expected = last <= before || (isQuorum(bits) && isOpen() && first <= before + 1);
        bytes memory data = deliverySignedBy(bits, first, last, signedAt);
        vm.prank(actors[seed % 3]);
        (bool success, ) = address(destination).call(data);
        if (success) account();
        if (success != expected) violation = success ? "a delivery too many" : "a delivery was refused";
    }

    /// @dev Whether the lane delivers at all at this moment.
    function isOpen() internal view returns (bool) {
        (, , , uint256 available) = destination.limitsOf(ORIGIN);
        return available > 0 && !destination.isPaused(ORIGIN);
    }

    function isQuorum(uint256 bits) internal view returns (bool) {
        uint256 weight = 0;
        uint256 all = 0;
        for (uint256 i = 0; i < 3; ++i) {
            if ((excluded >> i) & 1 == 1) continue;
            ++all;
            weight += (bits >> i) & 1;
        }
        return weight * 2 > all;
    }

    function deliverySignedBy(
        uint256 bits,
        uint64 first,
        uint64 last,
        uint64 signedAt
    ) internal view returns (bytes memory) {
        IInbox.Checkpoint memory checkpoint = checkpointAt(signedAt);
        Signature[] memory signatures = new Signature[]((bits & 1) + ((bits >> 1) & 1) + ((bits >> 2) & 1));
        uint256 count = 0;
        for (uint256 i = 0; i < 3; ++i) if ((bits >> i) & 1 == 1) signatures[count++] = sign(keys[i], checkpoint);
        return
            abi.encodeCall(
                destination.deliver,
                (
                    checkpoint,
                    validatorSet(),
                    signatures,
                    first,
                    messagesFrom(first, last),
                    idsFrom(last + 1, signedAt)
                )
            );
    }

    /// @dev Counts executions by the events of the gateway.
    function account() internal {
        Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IInbox.MessageExecuted.selector) continue;
            if (++executions[MessageId.wrap(logs[i].topics[1])] > 1) violation = "a message ran twice";
        }
    }

    function retrySome(uint256 seed) external acting {
        if (total() == 0) return;
        uint64 nonce = uint64(bound(seed, 1, total()));
        bool retryable = destination.isRetryable(ORIGIN, ids[nonce - 1]);
        (bool success, ) = address(destination).call(
            abi.encodeCall(destination.retry, (ORIGIN, address(origin), nonce, packed(sent[nonce - 1])))
        );
        if (success) account();
        if (success && (!retryable || destination.isPaused(ORIGIN))) violation = "a retry too many";
    }

    function deferSome(uint256 seed, bool value) external acting {
        if (total() == 0) return;
        MessageId[] memory some = new MessageId[](1);
        some[0] = ids[seed % total()];
        if ((destination.deferredAt(some[0]) != 0) == value) return;
        if (value) destination.defer(ORIGIN, some);
        else destination.undefer(ORIGIN, some);
    }

    function pauseSome(uint256 seed) external acting {
        if (seed % 8 == 0) destination.pause(ORIGIN);
        else if (seed % 8 == 1) destination.pauseAll();
        else destination.unpause(ORIGIN);
        vm.chainId(ORIGIN);
        if (seed % 8 == 2) origin.pause(DESTINATION);
        else origin.unpause(DESTINATION);
    }

    function limitSome(uint256 seed, uint16 window) external acting {
        ILanes.Limit memory none;
        ILanes.Limit memory limit = ILanes.Limit(uint32(1 + (seed % 6)), uint24(1 + (window % LONGEST_WINDOW)));
        destination.setLimits(ORIGIN, none, seed % 3 == 0 ? none : limit);
        vm.chainId(ORIGIN);
        origin.setLimits(DESTINATION, seed % 2 == 0 ? none : limit, none);
    }

    function letTimePass(uint16 passed) external {
        time += passed;
    }

    /// @dev Credit comes and goes, fees are collected, prices change.
    function moveMoney(uint256 seed, uint16 amount) external acting {
        vm.chainId(ORIGIN);
        address actor = actors[seed % 3];
        vm.deal(actor, amount);
        bytes memory data = abi.encodeCall(origin.depositFor, (actors[(seed >> 8) % 3]));
        if (seed % 4 == 1) data = abi.encodeCall(origin.withdrawCredit, (actor, amount));
        if (seed % 4 == 2) origin.collectFees(actor);
        if (seed % 16 == 3) origin.setPrice(DESTINATION, IFees.Price(0, 0, 0, 0));
        else if (seed % 4 == 3) origin.setPrice(DESTINATION, IFees.Price(1, 1e14, 9, type(uint40).max));
        else if (seed % 4 < 2) {
            vm.prank(actor);
            (bool success, ) = address(origin).call{value: seed % 4 == 0 ? amount : 0}(data);
            if (!success && seed % 4 == 0) violation = "a deposit was refused";
        }
    }

    /// @dev Recipients change their mind, and what they call back with.
    function moveRecipients(uint256 seed) external acting {
        fickle.setAccepting(seed % 2 == 0);
        wrong.setRight(seed % 3 == 0);
        if (total() == 0) return;
        uint64 nonce = uint64(bound(seed >> 8, 1, total()));
        bytes memory data = deliverySignedBy(7, nonce, total(), total());
        if (seed % 4 == 1) data = abi.encodeCall(destination.retry, (ORIGIN, address(origin), nonce, packed(sent[nonce - 1])));
        if (seed % 4 >= 2) {
            bytes memory back = InteroperableAddress.formatEvmV1(ORIGIN, address(this));
            data = abi.encodeCall(destination.sendMessage, (back, "answer", new bytes[](0)));
        }
        reentering.prepare(address(destination), data);
    }

    /// @dev The first liar loses its weight; the next one pauses the lane.
    function reportLiar(uint256 seed) external acting {
        if (total() == 0 || seed % 4 != 0) return;
        uint256 who = (seed >> 8) % 3;
        IInbox.Checkpoint memory first = checkpointAt(total());
        IInbox.Checkpoint memory second = checkpointAt(total());
        second.accumulator = keccak256("another history");
        Signature memory signature = sign(keys[who], first);
        (bool success, ) = address(destination).call(
            abi.encodeCall(
                destination.reportEquivocation,
                (first, signature, second, sign(keys[who], second), 1, validatorSet())
            )
        );
        if (success && excluded == 0) excluded = 1 << who;
        else if (success && !destination.isPaused(ORIGIN)) violation = "too many liars and no pause";
    }

    /**
     * @dev An honest relayer, once the lane runs again and its bucket had time to fill, gets everything through,
     * whatever others did before. Everything is undone, so that it can be asked at any moment.
     */
    function unblock() external {
        vm.chainId(DESTINATION);
        destination.unpause(ORIGIN);
        bool all = true;
        for (uint256 moment = time + LONGEST_WINDOW; all && head() < total(); moment += LONGEST_WINDOW) {
            vm.warp(moment);
            (all, ) = address(destination).call(deliverySignedBy(7, head() + 1, total(), total()));
        }
        revert Unblocked(all);
    }

    /// @dev What holds at any moment; answers what does not.
    function check() external view returns (string memory) {
        ILanes.Head memory inbound = destination.inboundHead(ORIGIN);
        if (inbound.nonce > total()) return "the head is ahead of the lane";
        bytes32 expected = inbound.nonce == 0 ? bytes32(0) : accumulators[inbound.nonce - 1];
        if (inbound.accumulator != expected) return "the ends differ";
        uint256 recorded = 0;
        uint256 answered = 0;
        for (uint64 nonce = 1; nonce <= total(); ++nonce) {
            bool executed = executions[ids[nonce - 1]] > 0;
            bool retryable = destination.isRetryable(ORIGIN, ids[nonce - 1]);
            if (nonce > inbound.nonce && (executed || retryable)) return "a message ran ahead";
            if (nonce <= inbound.nonce && executed == retryable) return "a message was lost";
            if (executed && sent[nonce - 1].recipient == address(recorder)) ++recorded;
            if (executed && sent[nonce - 1].recipient == address(wrong)) ++answered;
        }
        if (recorder.count() != recorded || wrong.count() != answered) return "the recipients know better";
        uint256 credit = 0;
        for (uint256 i = 0; i < actors.length; ++i) credit += origin.creditOf(actors[i]);
        if (address(origin).balance < credit) return "credit is not covered";
        return violation;
    }
}

contract GatewayInvariantTest is TestBase {
    GatewayHandler internal handler;

    function setUp() public {
        handler = new GatewayHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev Each message runs at most once, none is lost, both ends agree, and credit is covered.
    function invariant_lanesAndBooksAreRight() public view {
        vm.assertEq(bytes(handler.check()), "", "violation");
    }

    function invariant_nothingBlocksTheLane() public {
        (, bytes memory answer) = address(handler).call(abi.encodeCall(handler.unblock, ()));
        vm.assertEq(answer, abi.encodeWithSelector(GatewayHandler.Unblocked.selector, true), "everything is delivered");
    }
}
