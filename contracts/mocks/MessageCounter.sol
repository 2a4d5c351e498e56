// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";

/// @dev Accepts every message from anyone and counts it: the least that a recipient that matters does.
contract MessageCounter is IERC7786Recipient {
    uint256 public count;

    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        ++count;
        return IERC7786Recipient.receiveMessage.selector;
    }
}
