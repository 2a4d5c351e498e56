// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TrieProof} from "@openzeppelin/contracts/utils/cryptography/TrieProof.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {IStateOracle} from "../../contracts/interfaces/IStateOracle.sol";
import {StateOracleFixture} from "./StateOracleFixture.sol";

/// @dev What is proven against an attested root, with tries made by hand. Those of a real chain are in stateOracle.test.ts.
contract StateOracleProofTest is StateOracleFixture {
    using RLP for *;

    bytes32 private constant SLOT = keccak256("some slot");
    bytes32 private constant CODE = keccak256("some code");
    address private constant OWNER = address(0x0123456789012345678901234567890123456789);

    Trie private state;
    Trie private slots;

    /// @dev An account with one known slot, in an attested block.
    function attestSlot(bytes32 slot, bytes memory value) private {
        slots = slotTrie(slot, value);
        attestAccount(accountFields(1, 2 ether, slots.root, CODE).encode());
    }

    function attestAccount(bytes memory value) private {
        state = accountTrie(OWNER, value);
        attestState(state.root);
    }

    function storageAt(bytes32 slot) private view returns (bytes32) {
        return oracle.storageAt(ORIGIN, NUMBER, OWNER, slot, state.proof, slots.proof);
    }

    function expectSlotRevert(bytes memory reason) private {
        vm.expectRevert(reason);
        oracle.storageAt(ORIGIN, NUMBER, OWNER, SLOT, state.proof, slots.proof);
    }

    function expectAccountRevert(bytes memory reason) private {
        vm.expectRevert(reason);
        oracle.accountAt(ORIGIN, NUMBER, OWNER, state.proof);
    }

    function traversal(TrieProof.ProofError why) private pure returns (bytes memory) {
        return abi.encodeWithSelector(TrieProof.TrieProofTraversalError.selector, why);
    }

    function malformedSlot(bytes memory found) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStateOracle.MalformedSlot.selector, found);
    }

    function malformedAccount(bytes memory found) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStateOracle.MalformedAccount.selector, found);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_accountIsRead(uint64 nonce, uint256 balance, bytes32 storageRoot, bytes32 codeHash) public {
        attestAccount(accountFields(nonce, balance, storageRoot, codeHash).encode());
        IStateOracle.Account memory found = oracle.accountAt(ORIGIN, NUMBER, OWNER, state.proof);
        vm.assertEq(found.nonce, nonce, "nonce");
        vm.assertEq(found.balance, balance, "balance");
        vm.assertEq(found.storageRoot, storageRoot, "storage root");
        vm.assertEq(found.codeHash, codeHash, "code hash");
    }

    /**
     * @dev Of every length: a random number is nearly always a long one.
     * forge-config: default.fuzz.runs = 64
     */
    function testFuzz_slotIsRead(bytes32 slot, uint256 random, uint8 shift) public {
        uint256 value = random >> shift;
        vm.assume(value != 0);
        attestSlot(slot, value.encode());
        vm.assertEq(storageAt(slot), bytes32(value), "value");
    }

    function test_shortValuesAreAlignedAsNumbers() public {
        attestSlot(SLOT, hex"7f");
        vm.assertEq(storageAt(SLOT), bytes32(uint256(0x7f)), "one byte stands for itself");
    }

    function test_firstByteOfTheLongKind() public {
        attestSlot(SLOT, hex"8180");
        vm.assertEq(storageAt(SLOT), bytes32(uint256(0x80)), "one byte with its length");
    }

    /// @dev A quorum can vouch for a false state; it cannot make two readers read different values out of one.
    function test_valuesHaveOneEncoding() public {
        bytes[7] memory malformed = [
            bytes(hex"80"), // zero
            hex"00", // zero, as a byte
            hex"820005", // leading zero
            bytes.concat(hex"a000", bytes31(CODE)), // leading zero in a full word
            hex"0505", // something behind it
            hex"8305060708", // something behind it
            bytes.concat(hex"a0", CODE, hex"00") // longer than any number
        ];
        for (uint256 i = 0; i < 6; ++i) {
            setUp();
            attestSlot(SLOT, malformed[i]);
            expectSlotRevert(malformedSlot(malformed[i]));
        }
        bytes[5] memory unreadable = [
            malformed[6],
            bytes.concat(hex"a1", CODE, hex"01"), // 33 bytes
            hex"8105", // a length where none belongs
            hex"c105", // a list
            hex"a0ff" // less than it says
        ];
        for (uint256 i = 0; i < 5; ++i) {
            setUp();
            attestSlot(SLOT, unreadable[i]);
            expectSlotRevert(abi.encodeWithSelector(RLP.RLPInvalidEncoding.selector));
        }
    }

    function test_accountsHaveOneEncoding() public {
        bytes[6] memory malformed = [
            fieldReplaced(0, hex"820001"), // leading zero
            fieldReplaced(1, hex"00"), // zero, as a byte
            fieldReplaced(2, hex"05"), // a short root
            fieldReplaced(3, hex"80"), // no code hash
            hex"c20101", // too few
            hex"c50101010101" // too many
        ];
        for (uint256 i = 0; i < 6; ++i) {
            setUp();
            attestAccount(malformed[i]);
            expectAccountRevert(malformedAccount(malformed[i]));
        }
        bytes[3] memory unreadable = [
            bytes(hex"05"), // no list
            fieldReplaced(0, hex"c101"), // a list for a number
            bytes.concat(fieldReplaced(0, hex"01"), hex"00") // something behind it
        ];
        for (uint256 i = 0; i < 3; ++i) {
            setUp();
            attestAccount(unreadable[i]);
            expectAccountRevert(abi.encodeWithSelector(RLP.RLPInvalidEncoding.selector));
        }
    }

    function fieldReplaced(uint256 index, bytes memory encoded) private pure returns (bytes memory) {
        bytes[] memory fields = accountFields(1, 2 ether, CODE, CODE);
        fields[index] = encoded;
        return fields.encode();
    }

    function test_proofOfAnotherAccountOrSlotIsRefused() public {
        attestSlot(SLOT, hex"2a");
        // Another path leaves the branch by another child: by none, or by one that the next node is not.
        bytes32 other = keccak256("another slot");
        (bool success, ) = address(oracle).call(
            abi.encodeCall(IStateOracle.storageAt, (ORIGIN, NUMBER, OWNER, other, state.proof, slots.proof))
        );
        vm.assertTrue(!success, "another slot");
        (success, ) = address(oracle).call(
            abi.encodeCall(IStateOracle.storageAt, (ORIGIN, NUMBER, SENDER, SLOT, state.proof, slots.proof))
        );
        vm.assertTrue(!success, "another account");
        vm.expectRevert(traversal(TrieProof.ProofError.INVALID_ROOT));
        oracle.storageAt(ORIGIN, NUMBER, OWNER, SLOT, slots.proof, slots.proof);
        vm.expectRevert(traversal(TrieProof.ProofError.INVALID_ROOT));
        oracle.storageAt(ORIGIN, NUMBER, OWNER, SLOT, state.proof, state.proof);
        vm.expectRevert(abi.encodeWithSelector(IStateOracle.UnknownHeader.selector, ORIGIN, NUMBER + 1));
        oracle.storageAt(ORIGIN, NUMBER + 1, OWNER, SLOT, state.proof, slots.proof);
        vm.expectRevert(abi.encodeWithSelector(IStateOracle.UnknownHeader.selector, DESTINATION, NUMBER));
        oracle.storageAt(DESTINATION, NUMBER, OWNER, SLOT, state.proof, slots.proof);
    }

    function test_proofsEndWhereTheyShould() public {
        attestSlot(SLOT, hex"2a");
        Trie memory whole = slots;
        slots.proof.pop();
        expectSlotRevert(traversal(TrieProof.ProofError.INVALID_PROOF));
        slots.proof.pop();
        expectSlotRevert(traversal(TrieProof.ProofError.INVALID_PROOF));
        slots = whole;
        slots.proof.push(whole.proof[1]);
        expectSlotRevert(traversal(TrieProof.ProofError.INVALID_EXTRA_PROOF_ELEMENT));
        slots.proof = whole.proof;
        slots.proof[0] = whole.proof[1];
        expectSlotRevert(traversal(TrieProof.ProofError.INVALID_ROOT));
    }

    /// @dev The root of an empty trie is a hash that everybody knows the content of.
    function test_emptyTrieProvesNothing() public {
        slots.proof = new bytes[](1);
        slots.proof[0] = hex"80";
        attestAccount(accountFields(1, 0, keccak256(hex"80"), CODE).encode());
        expectSlotRevert(abi.encodeWithSelector(RLP.RLPInvalidEncoding.selector));
        delete slots.proof;
        expectSlotRevert(traversal(TrieProof.ProofError.INVALID_PROOF));
    }

    /// forge-config: default.fuzz.runs = 128
    function testFuzz_tamperedNodesProveNothing(uint8 list, uint8 node, uint16 position, uint8 change) public {
        vm.assume(change != 0);
        attestSlot(SLOT, uint256(CODE).encode());
        bytes[] storage nodes = list % 2 == 0 ? state.proof : slots.proof;
        bytes memory tampered = nodes[node % 2];
        uint256 place = position % tampered.length;
        tampered[place] = bytes1(uint8(tampered[place]) ^ change);
        nodes[node % 2] = tampered;
        (bool success, ) = address(oracle).call(
            abi.encodeCall(IStateOracle.storageAt, (ORIGIN, NUMBER, OWNER, SLOT, state.proof, slots.proof))
        );
        vm.assertTrue(!success, "a proof that was tampered with");
    }
}
