// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInbox} from "../interfaces/IInbox.sol";

/// @dev Messages as deliveries bring them, packed because every byte of calldata is paid for; see {IInbox-deliver}.
library PackedMessages {
    /// @dev Sender, recipient, gas limit, length of the payload, and whether a hash of attributes follows.
    uint256 private constant HEAD_SIZE = 20 + 20 + 4 + 3 + 1;

    /// @dev The message that begins at `position`, and the position after it. Reverts if the list ends before it does.
    function read(
        bytes calldata list,
        uint256 position
    )
        internal
        pure
        returns (
            address sender,
            address recipient,
            uint256 gasLimit,
            bytes32 attributesHash,
            bytes calldata payload,
            uint256 next
        )
    {
        // What is read beyond the list is refused below, before anyone sees it.
        assembly ("memory-safe") {
            let place := add(list.offset, position)
            sender := shr(96, calldataload(place))
            recipient := shr(96, calldataload(add(place, 20)))
            let rest := calldataload(add(place, 40))
            gasLimit := shr(224, rest)
            payload.length := and(shr(200, rest), 0xffffff)
            payload.offset := add(place, HEAD_SIZE)
            if byte(7, rest) {
                attributesHash := calldataload(payload.offset)
                payload.offset := add(payload.offset, 32)
            }
            next := sub(add(payload.offset, payload.length), list.offset)
        }
        require(next <= list.length, IInbox.TruncatedMessage(position));
    }
}
