// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {MessageId} from "../../contracts/interfaces/MessageId.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IGateway} from "../../contracts/interfaces/IGateway.sol";
import {IStateOracle} from "../../contracts/interfaces/IStateOracle.sol";
import {Signature} from "../../contracts/interfaces/IValidatorSet.sol";
import {StateOracle} from "../../contracts/StateOracle.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @dev The destination's oracle, and blocks of the origin made by hand: so they can hold what no chain would.
abstract contract StateOracleFixture is GatewayFixture {
    using RLP for *;

    /// @dev A trie of two leaves, of which only one is known, and the proof of that one.
    struct Trie {
        bytes32 root;
        bytes[] proof;
    }

    uint64 internal constant NUMBER = 1_234_567;
    bytes32 internal constant STATE_ROOT = keccak256("some state");

    StateOracle internal oracle;

    function setUp() public virtual override {
        super.setUp();
        oracle = proxyOf(deployStateOracle());
    }

    function proxyOf(address implementation) internal returns (StateOracle) {
        bytes memory initialize = abi.encodeCall(
            IStateOracle.initialize,
            (address(manager), IGateway(address(destination)))
        );
        return StateOracle(address(new ERC1967Proxy(implementation, initialize)));
    }

    function headerFields(uint64 number, bytes32 stateRoot) internal pure returns (bytes[] memory fields) {
        fields = new bytes[](21);
        for (uint256 i = 0; i < fields.length; ++i) fields[i] = uint256(i).encode();
        fields[3] = stateRoot.encode();
        fields[8] = uint256(number).encode();
    }

    function rlpHeader(uint64 number, bytes32 stateRoot) internal pure returns (bytes memory) {
        return headerFields(number, stateRoot).encode();
    }

    function headerOf(bytes memory rlp, uint32 generation, uint64 epoch) internal pure returns (IStateOracle.Header memory) {
        return IStateOracle.Header(ORIGIN, generation, NUMBER, keccak256(rlp), epoch);
    }

    function signedBy(uint256 count, bytes32 digest) internal view returns (Signature[] memory signed) {
        signed = new Signature[](count);
        for (uint256 i = 0; i < count; ++i) signed[i] = signDigest(keys[i], digest);
    }

    function signatures(IStateOracle.Header memory header) internal view returns (Signature[] memory) {
        return signedBy(2, oracle.headerDigest(header));
    }

    function attest(IStateOracle.Header memory header, bytes memory rlp) internal {
        oracle.attestHeader(header, rlp, validatorSet(), signatures(header));
    }

    /// @dev Attests block NUMBER with this state.
    function attestState(bytes32 stateRoot) internal {
        bytes memory rlp = rlpHeader(NUMBER, stateRoot);
        attest(headerOf(rlp, 0, 1), rlp);
    }

    function expectAttestRevert(
        IStateOracle.Header memory header,
        bytes memory rlp,
        Signature[] memory signed,
        bytes memory reason
    ) internal {
        bytes memory data = abi.encodeCall(IStateOracle.attestHeader, (header, rlp, validatorSet(), signed));
        (bool success, bytes memory returned) = address(oracle).call(data);
        vm.assertTrue(!success, "attesting is refused");
        vm.assertEq(returned, reason, "reason");
    }

    function revoke(uint64 epoch) internal {
        destination.revokeEpoch(ORIGIN, epoch);
    }

    /// @dev As governance does after a deep reorganisation.
    function realign(uint32 generation) internal {
        ILanes.Head memory head = destination.inboundHead(ORIGIN);
        destination.realign(ORIGIN, generation - 1, head.nonce, head.accumulator, new MessageId[](0));
    }

    function trieOf(bytes memory key, bytes memory value) internal pure returns (Trie memory trie) {
        bytes32 path = keccak256(key);
        bytes[] memory leaf = new bytes[](2);
        // An odd number of nibbles is left below the branch: 3 marks a leaf with such a path.
        leaf[0] = bytes.concat(bytes1(0x30 | (uint8(path[0]) & 0x0f)), bytes31(path << 8)).encode();
        leaf[1] = value.encode();
        bytes[] memory branch = new bytes[](17);
        for (uint256 i = 0; i < 17; ++i) branch[i] = bytes("").encode();
        uint8 place = uint8(path[0]) >> 4;
        trie.proof = new bytes[](2);
        trie.proof[1] = leaf.encode();
        branch[place] = keccak256(trie.proof[1]).encode();
        branch[(place + 1) % 16] = keccak256("another leaf").encode();
        trie.proof[0] = branch.encode();
        trie.root = keccak256(trie.proof[0]);
    }

    function accountFields(
        uint256 nonce,
        uint256 balance,
        bytes32 storageRoot,
        bytes32 codeHash
    ) internal pure returns (bytes[] memory fields) {
        fields = new bytes[](4);
        (fields[0], fields[1], fields[2], fields[3]) = (
            nonce.encode(),
            balance.encode(),
            storageRoot.encode(),
            codeHash.encode()
        );
    }

    function accountTrie(address account, bytes memory value) internal pure returns (Trie memory) {
        return trieOf(abi.encodePacked(account), value);
    }

    function slotTrie(bytes32 slot, bytes memory value) internal pure returns (Trie memory) {
        return trieOf(abi.encode(slot), value);
    }
}
