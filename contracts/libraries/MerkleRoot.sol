// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @dev The root of the tree that OpenZeppelin's `MerkleProof` proves leaves of.
library MerkleRoot {
    /// @dev Leaves must be hashes of something other than 64 bytes, and at least one. Overwrites them. Zero leaves fill
    /// the tree up to a power of two.
    function consume(bytes32[] memory leaves) internal pure returns (bytes32) {
        bytes32 padding = 0;
        uint256 count = leaves.length;
        while (count > 1) {
            for (uint256 i = 0; i < count; i += 2) {
                bytes32 right = i + 1 < count ? leaves[i + 1] : padding;
                leaves[i / 2] = Hashes.commutativeKeccak256(leaves[i], right);
            }
            count = (count + 1) / 2;
            // Whatever is missing to a power of two on this level has only zero leaves below it.
            padding = Hashes.commutativeKeccak256(padding, padding);
        }
        return leaves[0];
    }
}
