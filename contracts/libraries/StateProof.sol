// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {TrieProof} from "@openzeppelin/contracts/utils/cryptography/TrieProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {IStateOracle} from "../interfaces/IStateOracle.sol";

/**
 * @dev From the hash of a block to its state root, on to an account, and to a slot of its storage. Tries are "secure"
 * ones: the path is the hash of the key. OpenZeppelin's RLP readers take numbers with leading zeros and ignore bytes
 * behind them; so whatever is read here is encoded again and has to give the same bytes.
 */
library StateProof {
    using BlockHeader for Memory.Slice[];
    using Memory for Memory.Slice;
    using RLP for *;

    /// @dev A hash in RLP: one byte that says so, then its 32.
    uint256 private constant RLP_HASH_LENGTH = 33;

    /// @dev The state root in a block's header, which must have this hash and this number.
    function stateRoot(
        bytes memory rlpHeader,
        bytes32 blockHash,
        uint64 number
    ) internal pure returns (bytes32) {
        bytes32 computed = keccak256(rlpHeader);
        require(computed == blockHash, IStateOracle.WrongBlockHash(blockHash, computed));
        Memory.Slice[] memory fields = BlockHeader.parseHeader(rlpHeader);
        uint256 found = fields.getNumber();
        require(found == number, IStateOracle.WrongBlockNumber(number, found));
        // A shorter field would be read as a number and come out as a root that nobody signed.
        Memory.Slice root = fields[uint8(BlockHeader.HeaderField.StateRoot)];
        require(root.length() == RLP_HASH_LENGTH, IStateOracle.MalformedHeader(blockHash));
        return root.readBytes32();
    }

    /// @dev The account at an address in the state trie with this root.
    function account(
        bytes32 root,
        address owner,
        bytes[] memory proof
    ) internal pure returns (IStateOracle.Account memory found) {
        bytes memory encoded = TrieProof.traverse(root, bytes.concat(keccak256(abi.encodePacked(owner))), proof);
        Memory.Slice[] memory fields = encoded.decodeList();
        require(fields.length == 4, IStateOracle.MalformedAccount(encoded));
        found = IStateOracle.Account({
            nonce: SafeCast.toUint64(fields[0].readUint256()),
            balance: fields[1].readUint256(),
            storageRoot: fields[2].readBytes32(),
            codeHash: fields[3].readBytes32()
        });
        require(Bytes.equal(_encode(found), encoded), IStateOracle.MalformedAccount(encoded));
    }

    /// @dev What a slot holds in the storage trie with this root.
    function storageSlot(bytes32 root, bytes32 slot, bytes[] memory proof) internal pure returns (bytes32) {
        bytes memory encoded = TrieProof.traverse(root, bytes.concat(keccak256(bytes.concat(slot))), proof);
        uint256 value = encoded.decodeUint256();
        require(value != 0 && Bytes.equal(value.encode(), encoded), IStateOracle.MalformedSlot(encoded));
        return bytes32(value);
    }

    function _encode(IStateOracle.Account memory some) private pure returns (bytes memory) {
        bytes[] memory fields = new bytes[](4);
        fields[0] = uint256(some.nonce).encode();
        fields[1] = some.balance.encode();
        fields[2] = some.storageRoot.encode();
        fields[3] = some.codeHash.encode();
        return fields.encode();
    }
}
