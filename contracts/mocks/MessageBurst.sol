// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";

/// @dev Sends many messages in one transaction, as a busy application does. Each payload is its number, 32 bytes.
contract MessageBurst {
    uint256 public sent;

    function send(
        IERC7786GatewaySource gateway,
        bytes calldata recipient,
        bytes[] calldata attributes,
        uint256 count
    ) external {
        uint256 number = sent;
        for (uint256 end = number + count; number < end; ++number) {
            gateway.sendMessage(recipient, abi.encode(number), attributes);
        }
        sent = number;
    }
}
