// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IGateway} from "../interfaces/IGateway.sol";

/**
 * @dev What validators sign. The domain is made anew every time: a proxy's address differs from its implementation's,
 * and reading the name from storage costs more than hashing.
 */
library CheckpointHash {
    string internal constant NAME = "Lockstep Gateway";
    string internal constant VERSION = "1";

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant CHECKPOINT_TYPEHASH =
        keccak256(
            "Checkpoint(uint256 originChainId,address originGateway,uint32 generation,uint64 nonce,bytes32 accumulator,uint64 epoch)"
        );

    /// @dev The EIP-712 digest of a checkpoint for the calling gateway as destination.
    function digest(IGateway.Checkpoint calldata checkpoint) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN_TYPEHASH,
                keccak256(bytes(NAME)),
                keccak256(bytes(VERSION)),
                block.chainid,
                address(this)
            )
        );
        return MessageHashUtils.toTypedDataHash(domain, keccak256(abi.encode(CHECKPOINT_TYPEHASH, checkpoint)));
    }
}
