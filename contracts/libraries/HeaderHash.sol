// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IStateOracle} from "../interfaces/IStateOracle.sol";

/// @dev What validators sign of a header. Name and type differ from a checkpoint's, so neither passes for the other.
library HeaderHash {
    string internal constant NAME = "Lockstep State Oracle";
    string internal constant VERSION = "1";

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant HEADER_TYPEHASH =
        keccak256("Header(uint256 originChainId,uint32 generation,uint64 number,bytes32 blockHash,uint64 epoch)");

    /// @dev The EIP-712 digest of a header for the calling oracle. Its domain is that of the proxy, so made every time.
    function digest(IStateOracle.Header calldata header) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN_TYPEHASH,
                keccak256(bytes(NAME)),
                keccak256(bytes(VERSION)),
                block.chainid,
                address(this)
            )
        );
        return MessageHashUtils.toTypedDataHash(domain, keccak256(abi.encode(HEADER_TYPEHASH, header)));
    }
}
