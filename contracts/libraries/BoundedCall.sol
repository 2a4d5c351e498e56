// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/**
 * @dev Calls to code that nobody vouches for: bounded gas, and bounded return data, because copying what a callee
 * returns is paid by the caller. OpenZeppelin's `LowLevelCall` bounds the return data but always forwards all gas.
 */
library BoundedCall {
    /// @dev Sends native coin and ignores what is returned.
    function sendValue(address target, uint256 value, uint256 gasLimit) internal returns (bool success) {
        assembly ("memory-safe") {
            success := call(gasLimit, target, value, 0x00, 0x00, 0x00, 0x00)
        }
    }

    /// @dev Calls without value and keeps at most the first `maxReturn` bytes of what is returned.
    function callWith(
        address target,
        uint256 gasLimit,
        bytes memory data,
        uint256 maxReturn
    ) internal returns (bool success, bytes memory returned) {
        assembly ("memory-safe") {
            success := call(gasLimit, target, 0, add(data, 0x20), mload(data), 0x00, 0x00)
            let size := returndatasize()
            if gt(size, maxReturn) { size := maxReturn }
            returned := mload(0x40)
            mstore(returned, size)
            returndatacopy(add(returned, 0x20), 0x00, size)
            mstore(0x40, and(add(add(returned, size), 0x3f), not(0x1f)))
        }
    }
}
