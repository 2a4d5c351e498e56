// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MessageId} from "../interfaces/MessageId.sol";

/// @dev How messages are identified and chained; the same on both ends and off chain.
library LaneMessage {
    /// @dev Rises whenever an id is made of something else; a new gateway then understands both.
    uint8 private constant VERSION = 1;

    /**
     * @dev What an id is the hash of, in memory exactly as `abi.encode` has it: every member is one word. The members
     * up to the nonce are the same for a whole delivery, which fills in the others message by message.
     */
    struct Preimage {
        uint8 version;
        uint256 originChainId;
        address originGateway;
        uint256 destinationChainId;
        address destinationGateway;
        uint64 nonce;
        address sender;
        address recipient;
        uint256 gasLimit;
        bytes32 attributesHash;
        bytes32 payloadHash;
    }

    uint256 private constant PREIMAGE_SIZE = 11 * 32;

    /// @dev A preimage with the route of a lane, a nonce and nothing else.
    function route(
        uint256 originChainId,
        address originGateway,
        uint256 destinationChainId,
        address destinationGateway,
        uint64 nonce
    ) internal pure returns (Preimage memory preimage) {
        preimage.version = VERSION;
        preimage.originChainId = originChainId;
        preimage.originGateway = originGateway;
        preimage.destinationChainId = destinationChainId;
        preimage.destinationGateway = destinationGateway;
        preimage.nonce = nonce;
    }

    /**
     * @dev The generation of a lane is no part of the id: realigning a lane changes what the destination counts from,
     * not what the origin has sent.
     */
    function id(Preimage memory preimage) internal pure returns (MessageId hash) {
        assembly ("memory-safe") {
            hash := keccak256(preimage, PREIMAGE_SIZE)
        }
    }

    /// @dev keccak256 of the payload; Solidity's own would keep a copy of it in memory.
    function payloadHash(bytes calldata payload) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, payload.offset, payload.length)
            hash := keccak256(free, payload.length)
        }
    }

    /// @dev The accumulator after one more message.
    function extend(bytes32 accumulator, MessageId added) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(accumulator, MessageId.unwrap(added));
    }
}
