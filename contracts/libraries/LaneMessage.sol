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

    /// @dev Zero for none, which is the cheapest thing to bring along in a delivery.
    function hashAttributes(bytes[] calldata attributes) internal pure returns (bytes32) {
        if (attributes.length == 0) return 0;
        bytes32[] memory hashes = new bytes32[](attributes.length);
        for (uint256 i = 0; i < attributes.length; ++i) hashes[i] = keccak256(attributes[i]);
        return keccak256(abi.encodePacked(hashes));
    }
}
