// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageId} from "../interfaces/IGateway.sol";

/// @dev How messages are identified and chained; the same on both ends and off chain.
library LaneMessage {
    /// @dev Rises whenever an id is made of something else; a new gateway then understands both.
    uint8 internal constant VERSION = 1;

    /// @dev What the ids of a delivery have in common.
    struct Route {
        uint256 originChainId;
        address originGateway;
        uint256 destinationChainId;
        address destinationGateway;
    }

    struct Content {
        address sender;
        address recipient;
        uint256 gasLimit;
        bytes32 attributesHash;
        bytes32 payloadHash;
    }

    /**
     * @dev The generation of a lane is no part of the id: realigning a lane changes what the destination counts from,
     * not what the origin has sent.
     */
    function id(Route memory route, uint64 nonce, Content memory content) internal pure returns (MessageId) {
        return MessageId.wrap(keccak256(abi.encode(VERSION, route, nonce, content)));
    }

    /// @dev The accumulator after one more message.
    function extend(bytes32 accumulator, MessageId added) internal pure returns (bytes32) {
        return keccak256(abi.encode(accumulator, added));
    }
}
