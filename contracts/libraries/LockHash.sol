// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IItemLocks} from "../interfaces/IItemLocks.sol";
import {IPaymentLocks} from "../interfaces/IPaymentLocks.sol";
import {LockId} from "../interfaces/ITimelock.sol";

/**
 * @dev The ids of locks: keccak256 of type hash, chain id, this contract and the terms, a word each; and the events
 * that show those terms. Both are blocks of the calldata as they are, so they are copied in one piece; Solidity encodes
 * word by word, for some 700 gas a lock. Nothing here checks what is copied; a word with dirty high bits gives another
 * id, and since only clean terms are ever locked ({isClean}), nothing is open under such an id.
 */
library LockHash {
    bytes32 private constant LOCK_TYPEHASH =
        keccak256(
            "Lock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)"
        );
    bytes32 private constant ITEM_LOCK_TYPEHASH =
        keccak256(
            "ItemLock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 tokenId,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)"
        );
    bytes32 private constant LEAF_TYPEHASH =
        keccak256(
            "BatchLeaf(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip,uint256 index)"
        );
    bytes32 private constant BATCH_TYPEHASH =
        keccak256("Batch(uint256 chainId,address timelockContract,bytes32 root)");

    /// @dev The words of a leaf in the order in which they are hashed, for making many that differ in a few.
    struct Leaf {
        bytes32 typehash;
        uint256 chainId;
        address timelockContract;
        address sender;
        address recipient;
        address token;
        uint256 amount;
        bytes32 hashlock;
        uint64 timelock;
        uint96 tip;
        uint256 index;
    }

    /// @dev The terms as words, which Solidity reads without checking that they fit their types.
    struct Words {
        uint256 sender;
        uint256 recipient;
        uint256 token;
        uint256 amount;
        bytes32 hashlock;
        uint256 timelock;
        uint256 tip;
    }

    /// @dev The same for the terms of an item.
    struct ItemWords {
        uint256 sender;
        uint256 recipient;
        uint256 token;
        uint256 tokenId;
        uint256 amount;
        bytes32 hashlock;
        uint256 timelock;
        uint256 tip;
    }

    function words(IPaymentLocks.Terms calldata terms) internal pure returns (Words calldata raw) {
        assembly ("memory-safe") {
            raw := terms
        }
    }

    function words(IItemLocks.ItemTerms calldata terms) internal pure returns (ItemWords calldata raw) {
        assembly ("memory-safe") {
            raw := terms
        }
    }

    /// @dev True when addresses, timelock and tip fit their types.
    function isClean(Words calldata raw) internal pure returns (bool) {
        return ((raw.sender | raw.recipient | raw.token) >> 160) | (raw.timelock >> 64) | (raw.tip >> 96) == 0;
    }

    /// @dev True when addresses, timelock and tip fit their types.
    function isClean(ItemWords calldata raw) internal pure returns (bool) {
        return ((raw.sender | raw.recipient | raw.token) >> 160) | (raw.timelock >> 64) | (raw.tip >> 96) == 0;
    }

    function id(IPaymentLocks.Terms calldata terms) internal view returns (LockId hashed) {
        bytes32 typehash = LOCK_TYPEHASH;
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, typehash)
            mstore(add(start, 0x20), chainid())
            mstore(add(start, 0x40), address())
            calldatacopy(add(start, 0x60), terms, 0xe0)
            hashed := keccak256(start, 0x140)
        }
    }

    function leafId(IPaymentLocks.Terms calldata terms, uint256 index) internal view returns (LockId hashed) {
        bytes32 typehash = LEAF_TYPEHASH;
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, typehash)
            mstore(add(start, 0x20), chainid())
            mstore(add(start, 0x40), address())
            calldatacopy(add(start, 0x60), terms, 0xe0)
            mstore(add(start, 0x140), index)
            hashed := keccak256(start, 0x160)
        }
    }

    function id(IItemLocks.ItemTerms calldata terms) internal view returns (LockId hashed) {
        bytes32 typehash = ITEM_LOCK_TYPEHASH;
        assembly ("memory-safe") {
            let start := mload(0x40)
            mstore(start, typehash)
            mstore(add(start, 0x20), chainid())
            mstore(add(start, 0x40), address())
            calldatacopy(add(start, 0x60), terms, 0x100)
            hashed := keccak256(start, 0x160)
        }
    }

    /// @dev The event's data are the last five words of the terms.
    function emitLocked(IPaymentLocks.Terms calldata terms, LockId hashed) internal {
        bytes32 topic = IPaymentLocks.Locked.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, add(terms, 0x40), 0xa0)
            log4(data, 0xa0, topic, hashed, calldataload(terms), calldataload(add(terms, 0x20)))
        }
    }

    /// @dev The event's data are the last six words of the terms.
    function emitLocked(IItemLocks.ItemTerms calldata terms, LockId hashed) internal {
        bytes32 topic = IItemLocks.ItemLocked.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, add(terms, 0x40), 0xc0)
            log4(data, 0xc0, topic, hashed, calldataload(terms), calldataload(add(terms, 0x20)))
        }
    }

    /// @dev A leaf with everything that the entries of a batch share.
    function newLeaf(address sender, address token, uint96 tip) internal view returns (Leaf memory leaf) {
        (leaf.typehash, leaf.chainId, leaf.timelockContract) = (LEAF_TYPEHASH, block.chainid, address(this));
        (leaf.sender, leaf.token, leaf.tip) = (sender, token, tip);
    }

    function hash(Leaf memory leaf) internal pure returns (bytes32 hashed) {
        assembly ("memory-safe") {
            hashed := keccak256(leaf, 0x160)
        }
    }

    function batchId(bytes32 root) internal view returns (LockId) {
        return LockId.wrap(keccak256(abi.encode(BATCH_TYPEHASH, block.chainid, address(this), root)));
    }

    /// @dev SHA-256 of the word alone, in scratch space: Solidity's own copies it to new memory first.
    function ofSecret(bytes32 secret) internal view returns (bytes32 hashed) {
        assembly ("memory-safe") {
            mstore(0x00, secret)
            // Without the check a precompile that ran out of gas would leave the secret as its own hash.
            if iszero(staticcall(gas(), 0x02, 0x00, 0x20, 0x00, 0x20)) { revert(0x00, 0x00) }
            hashed := mload(0x00)
        }
    }
}
