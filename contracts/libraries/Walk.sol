// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInbox} from "../interfaces/IInbox.sol";
import {MessageId} from "../interfaces/MessageId.sol";
import {LaneMessage} from "./LaneMessage.sol";
import {PackedMessages} from "./PackedMessages.sol";

/// @dev From a lane's head along the messages of a delivery to the accumulator that validators signed.
library Walk {
    using LaneMessage for LaneMessage.Preimage;
    using LaneMessage for bytes32;
    using PackedMessages for bytes;

    /// @dev The position after `count` messages.
    function skip(bytes calldata messages, uint256 count) internal pure returns (uint256 position) {
        for (uint256 i = 0; i < count; ++i) (, , , , , position) = messages.read(position);
    }

    /**
     * @dev Walks the messages from `position` on, then `laterIds`, and reverts unless they lead from `head` to the
     * signed accumulator. The preimage has the route and the nonce of the message before.
     * @param fresh how many messages there are from `position` on; fewer or more revert
     * @param count how many of them are to be executed
     * @return ids of those to be executed
     * @return newHead the accumulator after the last of them
     * @return longest the length of their longest payload
     */
    function run(
        LaneMessage.Preimage memory preimage,
        bytes32 head,
        bytes calldata messages,
        uint256 position,
        uint256 fresh,
        uint256 count,
        MessageId[] calldata laterIds,
        bytes32 signed
    ) internal pure returns (MessageId[] memory ids, bytes32 newHead, uint256 longest) {
        ids = new MessageId[](count);
        bytes32 end = head;
        unchecked {
            for (uint256 i = 0; i < fresh; ++i) {
                (MessageId id, uint256 length, uint256 next) = nextId(preimage, messages, position);
                end = end.extend(id);
                position = next;
                if (i < count) {
                    ids[i] = id;
                    newHead = end;
                    if (length > longest) longest = length;
                }
            }
            require(position == messages.length, IInbox.TrailingBytes(position, messages.length));
            for (uint256 i = 0; i < laterIds.length; ++i) end = end.extend(laterIds[i]);
        }
        require(end == signed, IInbox.WrongAccumulator(signed, end));
    }

    /// @dev The id of the message after the preimage's, the length of its payload, and the position after it.
    function nextId(
        LaneMessage.Preimage memory preimage,
        bytes calldata messages,
        uint256 position
    ) internal pure returns (MessageId id, uint256 length, uint256 next) {
        bytes calldata payload;
        (preimage.sender, preimage.recipient, preimage.gasLimit, preimage.attributesHash, payload, next) = messages.read(
            position
        );
        length = payload.length;
        unchecked {
            ++preimage.nonce;
        }
        preimage.payloadHash = LaneMessage.payloadHash(payload);
        id = preimage.id();
    }
}
