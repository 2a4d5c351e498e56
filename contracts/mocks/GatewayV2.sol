// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Gateway} from "../Gateway.sol";

/// @dev A later gateway: one more field, in a namespace of its own, and functions for it. Whatever was there stays.
contract GatewayV2 is Gateway {
    /// @custom:storage-location erc7201:lockstep.storage.GatewayV2
    struct GatewayV2Storage {
        uint256 motto;
    }

    // keccak256(abi.encode(uint256(keccak256("lockstep.storage.GatewayV2")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant GATEWAY_V2_STORAGE = 0xeb930122f7b8f06283756276189faeefae963040dccbfe4bc20d45d51c086900;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(address control) Gateway(control) {}

    function initializeV2(uint256 motto_) external reinitializer(2) {
        _gatewayV2Storage().motto = motto_;
    }

    function motto() external view returns (uint256) {
        return _gatewayV2Storage().motto;
    }

    function _gatewayV2Storage() private pure returns (GatewayV2Storage storage $) {
        assembly {
            $.slot := GATEWAY_V2_STORAGE
        }
    }
}
