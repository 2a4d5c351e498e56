// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Inbox} from "./Inbox.sol";
import {Outbox} from "./Outbox.sol";

/**
 * @dev What it does and promises is said in {IGateway}. One per chain, behind an ERC-1967 proxy. Calls of functions
 * that are not here go to its other half, {GatewayControl}, which is bound to this code and changes only with it.
 */
contract Gateway is Outbox, Inbox, AccessManagedUpgradeable, UUPSUpgradeable {
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    address private immutable CONTROL;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(address control) {
        CONTROL = control;
        _disableInitializers();
    }

    /// @custom:oz-upgrades-unsafe-allow-reachable delegatecall
    fallback(bytes calldata data) external payable returns (bytes memory) {
        return Address.functionDelegateCall(CONTROL, data);
    }

    /// @notice Once per proxy: who decides about access (an OpenZeppelin AccessManager).
    function initialize(address authority) external initializer {
        __AccessManaged_init(authority);
    }

    function _authorizeUpgrade(address) internal override restricted {}
}
