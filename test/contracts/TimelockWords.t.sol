// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IItemLocks} from "../../contracts/interfaces/IItemLocks.sol";
import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {PlainNft} from "../../contracts/mocks/Items.sol";
import {TimelockFixture} from "./TimelockFixture.sol";

/// @dev The assembly that hashes terms, against Solidity's own encoding, and with words that do not fit their types.
contract TimelockWordsTest is TimelockFixture {
    string private constant FIELDS =
        "(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip";

    function testFuzz_idsAreHashesOfTheTerms(IPaymentLocks.Terms memory terms, uint256 index, uint64 chain) public {
        vm.chainId(uint256(chain) % (1 << 62) + 1);
        bytes memory head = abi.encode(block.chainid, address(timelock));
        bytes32 typehash = keccak256(abi.encodePacked("Lock", FIELDS, ")"));
        bytes32 expected = keccak256(abi.encodePacked(typehash, head, abi.encode(terms)));
        vm.assertEq(LockId.unwrap(timelock.lockId(terms)), expected, "lock");

        typehash = keccak256(abi.encodePacked("BatchLeaf", FIELDS, ",uint256 index)"));
        expected = keccak256(abi.encodePacked(typehash, head, abi.encode(terms, index)));
        vm.assertEq(LockId.unwrap(timelock.leafId(terms, index)), expected, "leaf");

        typehash = keccak256("Batch(uint256 chainId,address timelockContract,bytes32 root)");
        expected = keccak256(abi.encodePacked(typehash, head, expected));
        vm.assertEq(LockId.unwrap(timelock.batchId(LockId.unwrap(timelock.leafId(terms, index)))), expected, "batch");
    }

    function testFuzz_idsOfItemsAreHashesOfTheTerms(IItemLocks.ItemTerms memory terms) public view {
        bytes32 typehash = keccak256(
            "ItemLock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 tokenId,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)"
        );
        bytes32 expected = keccak256(abi.encode(typehash, block.chainid, address(timelock), terms));
        vm.assertEq(LockId.unwrap(timelock.itemLockId(terms)), expected, "item lock");
    }

    /// @dev Words that are narrower than 256 bits: sender, recipient, token, timelock and tip.
    function testFuzz_dirtyTermsAreNeitherLockedNorClosed(uint8 which, uint256 dirt) public {
        uint8[5] memory words = [0, 1, 2, 5, 6];
        uint256 word = words[which % 5];
        dirt = 1 << bound(dirt, word == 5 ? 64 : word == 6 ? 96 : 160, 255);
        IPaymentLocks.Terms memory terms = nativeTerms(1 ether, 0);
        vm.deal(ALICE, 2 ether);
        vm.assertTrue(!call(abi.encodeCall(timelock.createLock, (terms)), word, dirt, 1 ether), "lock");
        lockNative(terms);
        vm.assertTrue(!call(abi.encodeCall(timelock.claim, (terms, SECRET)), word, dirt, 0), "claim");
        vm.assertTrue(!call(abi.encodeCall(timelock.refund, (terms)), word, dirt, 0), "refund, early");
        vm.warp(TIMELOCK);
        vm.assertTrue(!call(abi.encodeCall(timelock.refund, (terms)), word, dirt, 0), "refund");
        vm.assertTrue(timelock.isOpen(timelock.lockId(terms)), "still open");
        vm.assertTrue(call(abi.encodeCall(timelock.refund, (terms)), word, 0, 0), "clean");
    }

    function testFuzz_dirtyItemsAreNeitherLockedNorClosed(uint8 which, uint256 dirt) public {
        PlainNft nft = new PlainNft();
        nft.mint(ALICE, 1);
        vm.prank(ALICE);
        nft.approve(address(timelock), 1);
        uint8[5] memory words = [0, 1, 2, 6, 7];
        uint256 word = words[which % 5];
        dirt = 1 << bound(dirt, word == 6 ? 64 : word == 7 ? 96 : 160, 255);
        IItemLocks.ItemTerms memory terms = IItemLocks.ItemTerms({
            sender: ALICE,
            recipient: BOB,
            token: address(nft),
            tokenId: 1,
            amount: 0,
            hashlock: sha256(abi.encode(SECRET)),
            timelock: TIMELOCK,
            tip: 0
        });
        vm.assertTrue(!call(abi.encodeCall(timelock.lockItem, (terms)), word, dirt, 0), "lock");
        vm.assertTrue(call(abi.encodeCall(timelock.lockItem, (terms)), word, 0, 0), "clean lock");
        vm.assertTrue(!call(abi.encodeCall(timelock.claimItem, (terms, SECRET)), word, dirt, 0), "claim");
        vm.warp(TIMELOCK);
        vm.assertTrue(!call(abi.encodeCall(timelock.refundItem, (terms)), word, dirt, 0), "refund");
        vm.assertTrue(call(abi.encodeCall(timelock.refundItem, (terms)), word, 0, 0), "clean refund");
    }

    function test_dirtyTermsSayWhatIsWrong() public {
        bytes memory data = dirty(abi.encodeCall(timelock.createLock, (nativeTerms(1, 0))), 6, 1 << 96);
        vm.deal(ALICE, 1);
        vm.prank(ALICE);
        (, bytes memory returned) = address(timelock).call{value: 1}(data);
        vm.assertEq(returned, abi.encodeWithSelector(ITimelock.DirtyTerms.selector), "reason");
    }

    function call(bytes memory data, uint256 word, uint256 dirt, uint256 value) private returns (bool success) {
        vm.prank(ALICE);
        (success, ) = address(timelock).call{value: value}(dirty(data, word, dirt));
    }

    /// @dev Sets bits of one word of the first argument.
    function dirty(bytes memory data, uint256 word, uint256 dirt) private pure returns (bytes memory) {
        assembly ("memory-safe") {
            let at := add(data, add(0x24, mul(word, 0x20)))
            mstore(at, or(mload(at), dirt))
        }
        return data;
    }
}
