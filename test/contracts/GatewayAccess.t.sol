// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IERC1967} from "@openzeppelin/contracts/interfaces/IERC1967.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IGateway} from "../../contracts/interfaces/IGateway.sol";
import {QuorumSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev Who may change what, and that an upgrade loses nothing.
contract GatewayAccessTest is GatewayFixture {
    function expectUnauthorized() internal {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, STRANGER));
        vm.prank(STRANGER);
    }

    function test_onlyTheAuthorityConfigures() public {
        ILanes.LaneConfig memory config = lane(STRANGER);
        QuorumSet memory set = validatorSet();
        expectUnauthorized();
        destination.setLane(99, config);
        expectUnauthorized();
        destination.setValidators(ORIGIN, 1, set, 0);
        vm.assertEq(IAccessManaged(address(destination)).authority(), address(manager), "authority");
    }

    /// @dev Another gateway under the nonces of the old one would block the lane for good.
    function test_gatewayOfALaneInUseStays() public {
        destination.setLane(ORIGIN, lane(STRANGER));
        destination.setLane(ORIGIN, lane(address(origin)));
        send(address(recorder));
        deliver(1, 1);
        bytes memory refusal = abi.encodeWithSelector(ILanes.LaneInUse.selector, ORIGIN, address(origin));
        vm.expectRevert(refusal);
        destination.setLane(ORIGIN, lane(STRANGER));
        vm.chainId(ORIGIN);
        vm.expectRevert(abi.encodeWithSelector(ILanes.LaneInUse.selector, DESTINATION, address(destination)));
        origin.setLane(DESTINATION, lane(STRANGER));
        vm.chainId(DESTINATION);
        ILanes.LaneConfig memory config = lane(address(origin));
        config.maxPayload = 4;
        destination.setLane(ORIGIN, config);
        vm.assertEq(destination.laneConfig(ORIGIN).maxPayload, 4, "caps may change");
    }

    function test_delayedRoleHasToScheduleFirst() public {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = ILanes.setLane.selector;
        manager.setTargetFunctionRole(address(destination), selectors, 7);
        manager.grantRole(7, STRANGER, 1 days);
        bytes memory data = abi.encodeCall(ILanes.setLane, (99, lane(STRANGER)));
        vm.prank(STRANGER);
        (bool success, ) = address(destination).call(data);
        vm.assertTrue(!success, "not at once");
        vm.prank(STRANGER);
        manager.schedule(address(destination), data, 0);
        vm.warp(uint256(NOW) + 1 days);
        vm.prank(STRANGER);
        (success, ) = address(destination).call(data);
        vm.assertTrue(success, "after the delay");
    }

    function test_onlyTheAuthorityUpgrades() public {
        address next = deployGateway();
        expectUnauthorized();
        UUPSUpgradeable(address(destination)).upgradeToAndCall(next, "");
    }

    function test_upgradeKeepsLanesAndValidators() public {
        send(address(recorder));
        deliver(1, 1);
        send(address(recorder));
        address next = deployGateway();
        vm.expectEmit(address(destination));
        emit IERC1967.Upgraded(next);
        UUPSUpgradeable(address(destination)).upgradeToAndCall(next, "");
        vm.assertEq(destination.inboundHead(ORIGIN).nonce, 1, "head");
        deliver(1, 2);
        vm.assertEq(recorder.count(), 2, "the lane goes on");
    }

    function test_implementationIsLocked() public {
        address implementation = deployGateway();
        vm.expectRevert(abi.encodeWithSelector(Initializable.InvalidInitialization.selector));
        IGateway(implementation).initialize(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(UUPSUpgradeable.UUPSUnauthorizedCallContext.selector));
        UUPSUpgradeable(implementation).upgradeToAndCall(implementation, "");
    }

    function test_proxyIsInitializedOnce() public {
        vm.expectRevert(abi.encodeWithSelector(Initializable.InvalidInitialization.selector));
        destination.initialize(STRANGER);
    }

    function test_upgradeNeedsAnUpgradeableImplementation() public {
        vm.expectRevert(abi.encodeWithSelector(ERC1967Utils.ERC1967InvalidImplementation.selector, address(recorder)));
        UUPSUpgradeable(address(destination)).upgradeToAndCall(address(recorder), "");
    }

    function test_domainIsPublished() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifier, , ) = destination
            .eip712Domain();
        vm.assertTrue(fields == 0x0f && chainId == DESTINATION && verifier == address(destination), "domain");
        vm.assertEq(bytes(name), "Lockstep Gateway", "name");
        vm.assertEq(bytes(version), "1", "version");
    }

}
