// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

interface IStateOracle {
    function storageAt(
        uint256 originChainId,
        uint64 number,
        address account,
        bytes32 slot,
        bytes[] calldata accountProof,
        bytes[] calldata storageProof
    ) external view returns (bytes32 value);
}
