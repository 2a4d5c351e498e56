// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {MessageId} from "./MessageId.sol";

/// @title The origin half of a gateway: ERC-7786, every message appended to the lane to its destination
interface IOutbox is IERC7786GatewaySource {
    /// @dev Follows the `MessageSent` of the same message as the very next log.
    event LaneAppended(
        uint256 indexed destination,
        uint64 indexed nonce,
        MessageId indexed id,
        bytes32 accumulator,
        uint256 gasLimit
    );

    error UnknownDestination(uint256 chainId);
    error InvalidRecipient(bytes recipient);
    error InvalidAttribute(bytes attribute);
    error DuplicateAttribute(bytes4 selector);

    /**
     * @notice What `sendMessage` with the same arguments costs, in wei of this chain's coin: rounded up,
     * (overhead + gas limit + 40 · payload bytes) · gasPrice · exchangeRate / 10^18, where 40 is the highest price of
     * a byte of calldata (EIP-7623). It is taken from the value sent along, then from the sender's credit; what is
     * left of the value becomes credit of the sender.
     */
    function quote(
        bytes calldata recipient,
        bytes calldata payload,
        bytes[] calldata attributes
    ) external view returns (uint256 fee);
}
