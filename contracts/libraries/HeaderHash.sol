// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStateOracle} from "../interfaces/IStateOracle.sol";
import {TypedData} from "./TypedData.sol";

/// @dev What validators sign of a header. Name and type differ from a checkpoint's, so neither passes for the other.
library HeaderHash {
    string internal constant NAME = "Lockstep State Oracle";
    bytes32 private constant NAME_HASH = keccak256("Lockstep State Oracle");
    bytes32 private constant HEADER_TYPEHASH =
        keccak256("Header(uint256 originChainId,uint32 generation,uint64 number,bytes32 blockHash,uint64 epoch)");

    /// @dev The EIP-712 digest of a header for the calling oracle.
    function digest(IStateOracle.Header calldata header) internal view returns (bytes32) {
        return TypedData.digest(NAME_HASH, keccak256(abi.encode(HEADER_TYPEHASH, header)));
    }
}
