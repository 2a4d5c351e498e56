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

    /// @dev Calls without value; all that is returned can be read right after by {returned}.
    function callWith(address target, uint256 gasLimit, bytes memory data) internal returns (bool success) {
        assembly ("memory-safe") {
            success := call(gasLimit, target, 0, add(data, 0x20), mload(data), 0x00, 0x00)
        }
    }

    /**
     * @dev The same with call data that came in; it is copied behind the memory that is in use and left there. `answer`
     * is the first word of what is returned, zero if that is less.
     */
    function forward(
        address target,
        uint256 gasLimit,
        bytes calldata data
    ) internal returns (bool success, bytes32 answer) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, data.offset, data.length)
            success := call(gasLimit, target, 0, free, data.length, 0x00, 0x20)
            if gt(returndatasize(), 0x1f) { answer := mload(0x00) }
        }
    }

    /// @dev At most the first `longest` bytes that the last call returned.
    function returned(uint256 longest) internal pure returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := returndatasize()
            if gt(size, longest) { size := longest }
            data := mload(0x40)
            mstore(data, size)
            returndatacopy(add(data, 0x20), 0x00, size)
            mstore(0x40, and(add(add(data, size), 0x3f), not(0x1f)))
        }
    }

    /// @dev Reverts with these bytes as they are.
    function revertWith(bytes memory data) internal pure {
        assembly ("memory-safe") {
            revert(add(data, 0x20), mload(data))
        }
    }
}
