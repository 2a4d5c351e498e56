// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {GasRecorder} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev Whoever delivers decides how much gas there is: never enough to run a message with less than its gas limit.
contract GatewayGasTest is GatewayFixture {
    error Tried(bool success, uint256 gasReceived);

    uint256 internal constant HIGHEST = 13_000_000;
    /// @dev What the recipient uses, compiled as tests are, before it looks at what it has.
    uint256 internal constant OVERHEAD = 650;

    /// @dev Made here and not in the tests, which find its account cold.
    GasRecorder internal recipient;
    /// @dev An account that delegated to the recipient's code (EIP-7702): two accounts that are cold.
    address internal delegating = address(0x7702);

    function setUp() public override {
        super.setUp();
        recipient = new GasRecorder();
        vm.etch(delegating, abi.encodePacked(hex"ef0100", address(recipient)));
        destination.setLane(ORIGIN, ILanes.LaneConfig(address(origin), uint32(HIGHEST), 65_536, DEFAULT_GAS));
        vm.chainId(ORIGIN);
        origin.setLane(DESTINATION, ILanes.LaneConfig(address(destination), uint32(HIGHEST), 65_536, DEFAULT_GAS));
        vm.chainId(DESTINATION);
    }

    /// @dev Makes a call and undoes everything it did, the warming of accounts included.
    function attempt(address to, bytes calldata data, uint256 gasGiven) external {
        vm.cool(address(recipient));
        vm.cool(delegating);
        (bool success, ) = address(destination).call{gas: gasGiven}(data);
        revert Tried(success, GasRecorder(to).gasReceived());
    }

    function tryWith(address to, bytes memory data, uint256 gasGiven) internal returns (bool, uint256) {
        (, bytes memory returned) = address(this).call(abi.encodeCall(this.attempt, (to, data, gasGiven)));
        vm.assertTrue(bytes4(returned) == Tried.selector, "tried");
        assembly ("memory-safe") {
            mstore(add(returned, 4), sub(mload(returned), 4))
            returned := add(returned, 4)
        }
        return abi.decode(returned, (bool, uint256));
    }

    /// @dev With the least gas that a call succeeds with, the recipient gets as much as with plenty of it.
    function checkLeastGas(address to, bytes memory data, uint256 gasLimit) internal {
        (uint256 low, uint256 high) = (gasLimit, gasLimit + gasLimit / 10 + 1_000_000);
        (bool success, uint256 full) = tryWith(to, data, high);
        vm.assertTrue(success && full > 0 && full <= gasLimit && full + OVERHEAD > gasLimit, "plenty");
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            (success, ) = tryWith(to, data, middle);
            if (success) high = middle;
            else low = middle;
        }
        uint256 received;
        (, received) = tryWith(to, data, high);
        vm.assertEq(received, full, "as much as with plenty");
    }

    function checkDelivery(address to, uint256 gasLimit, uint256 payload) internal {
        send(to, new bytes(payload), gasLimit);
        checkLeastGas(to, deliveryCall(1, 1, 1), gasLimit);
    }

    function test_smallestGasLimitIsNotStarved() public {
        checkDelivery(address(recipient), 30_000, 0);
    }

    function test_defaultGasLimitIsNotStarved() public {
        checkDelivery(address(recipient), DEFAULT_GAS, 32);
    }

    function test_highestGasLimitIsNotStarved() public {
        checkDelivery(address(recipient), HIGHEST, 0);
    }

    function test_longestPayloadIsNotStarved() public {
        checkDelivery(address(recipient), 100_000, 65_536);
    }

    function test_longestPayloadWithTheHighestGasLimitIsNotStarved() public {
        checkDelivery(address(recipient), HIGHEST, 65_536);
    }

    function test_delegatedAccountIsNotStarved() public {
        checkDelivery(delegating, 30_000, 16_384);
    }

    /// @dev A retry gives all there is: at the least as much as a first attempt has.
    function test_retryIsNotStarved() public {
        uint256 gasLimit = 100_000;
        send(delegating, new bytes(65_536), gasLimit);
        destination.setLane(ORIGIN, ILanes.LaneConfig(address(origin), 1, 1, 1));
        deliver(1, 1);
        vm.assertTrue(destination.isRetryable(ORIGIN, ids[0]), "failed");
        bytes memory data = abi.encodeCall(destination.retry, (ORIGIN, address(origin), 1, packed(sent[0])));
        uint256 low = gasLimit;
        uint256 high = gasLimit + 1_000_000;
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            (bool success, uint256 received) = tryWith(delegating, data, middle);
            if (success) high = middle;
            else low = middle;
            vm.assertTrue(!success || received + OVERHEAD > gasLimit, "at least its gas limit");
        }
    }
}
