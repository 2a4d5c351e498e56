// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC7786Recipient} from "@openzeppelin/contracts/crosschain/ERC7786Recipient.sol";

/// @dev Counts the messages of one gateway and keeps the last one. For tests and local networks only.
contract MessageRecorder is ERC7786Recipient {
    address public immutable gateway;
    uint256 public count;
    bytes32 public lastId;
    bytes public lastSender;
    bytes public lastPayload;

    event MessageRecorded(bytes32 indexed id, bytes sender, bytes payload);

    constructor(address gateway_) {
        gateway = gateway_;
    }

    function _isAuthorizedGateway(address caller, bytes calldata) internal view override returns (bool) {
        return caller == gateway;
    }

    function _processMessage(
        address,
        bytes32 receiveId,
        bytes calldata sender,
        bytes calldata payload
    ) internal override {
        ++count;
        lastId = receiveId;
        lastSender = sender;
        lastPayload = payload;
        emit MessageRecorded(receiveId, sender, payload);
    }
}
