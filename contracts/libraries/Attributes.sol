// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IOutbox} from "../interfaces/IOutbox.sol";
import {ILanes} from "../interfaces/ILanes.sol";
import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";

/// @dev The attributes of ERC-7786 messages: what senders may ask for, each a selector with its arguments.
library Attributes {
    bytes4 internal constant GAS_LIMIT = bytes4(keccak256("gasLimit(uint256)"));

    /**
     * @dev The gas limit that is asked for, or the default. Reverts for any other attribute, whatever else is wrong
     * (ERC-7786 has an error for that alone), and over the cap.
     */
    function gasLimit(
        bytes[] calldata attributes,
        uint256 fallbackLimit,
        uint256 highest
    ) internal pure returns (uint256 limit) {
        for (uint256 i = 0; i < attributes.length; ++i) {
            bytes4 selector = bytes4(attributes[i]);
            require(selector == GAS_LIMIT, IERC7786GatewaySource.UnsupportedAttribute(selector));
        }
        if (attributes.length == 0) return fallbackLimit;
        require(attributes.length == 1, IOutbox.DuplicateAttribute(GAS_LIMIT));
        bytes calldata attribute = attributes[0];
        require(attribute.length == 36, IOutbox.InvalidAttribute(attribute));
        limit = uint256(bytes32(attribute[4:]));
        require(limit > 0 && limit <= highest, ILanes.GasLimitOutOfRange(limit, highest));
    }

    /// @dev Zero for none, which is the cheapest thing to bring along in a delivery.
    function hash(bytes[] calldata attributes) internal pure returns (bytes32) {
        if (attributes.length == 0) return 0;
        bytes32[] memory hashes = new bytes32[](attributes.length);
        for (uint256 i = 0; i < attributes.length; ++i) hashes[i] = keccak256(attributes[i]);
        return keccak256(abi.encodePacked(hashes));
    }
}
