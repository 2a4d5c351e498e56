// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IItemLocks} from "../interfaces/IItemLocks.sol";
import {IPaymentLocks} from "../interfaces/IPaymentLocks.sol";
import {LockId} from "../interfaces/ITimelock.sol";

/// @dev What senders and recipients sign, as EIP-712 data. The domain is made anew every time: it costs less than
/// reading it would, and needs no constructor.
library LockSignatures {
    string internal constant NAME = "Lockstep HashedTimelock";
    string internal constant VERSION = "1";

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    string private constant TERMS_TYPE =
        "Terms(address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)";
    string private constant ITEM_TERMS_TYPE =
        "ItemTerms(address sender,address recipient,address token,uint256 tokenId,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)";

    bytes32 private constant TERMS_TYPEHASH = keccak256(bytes(TERMS_TYPE));
    bytes32 private constant ITEM_TERMS_TYPEHASH = keccak256(bytes(ITEM_TERMS_TYPE));
    bytes32 private constant SIGNED_LOCK_TYPEHASH =
        keccak256(abi.encodePacked("SignedLock(Terms terms,uint256 nonce,uint256 deadline)", TERMS_TYPE));
    bytes32 private constant SIGNED_ITEM_LOCK_TYPEHASH =
        keccak256(abi.encodePacked("SignedItemLock(ItemTerms terms,uint256 nonce,uint256 deadline)", ITEM_TERMS_TYPE));
    bytes32 private constant EARLY_REFUND_TYPEHASH =
        keccak256("EarlyRefund(bytes32 id,uint256 lockedAt,uint256 nonce,uint256 deadline)");

    /// @dev The end of `PermitWitnessTransferFrom(…)`, as Permit2 wants it: our member, then all structs by name.
    string internal constant PERMIT2_WITNESS =
        "Terms witness)Terms(address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)TokenPermissions(address token,uint256 amount)";

    function termsHash(IPaymentLocks.Terms calldata terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(TERMS_TYPEHASH, terms));
    }

    function lockDigest(
        IPaymentLocks.Terms calldata terms,
        uint256 nonce,
        uint256 deadline
    ) internal view returns (bytes32) {
        return _digest(keccak256(abi.encode(SIGNED_LOCK_TYPEHASH, termsHash(terms), nonce, deadline)));
    }

    function itemLockDigest(
        IItemLocks.ItemTerms calldata terms,
        uint256 nonce,
        uint256 deadline
    ) internal view returns (bytes32) {
        bytes32 hashed = keccak256(abi.encode(ITEM_TERMS_TYPEHASH, terms));
        return _digest(keccak256(abi.encode(SIGNED_ITEM_LOCK_TYPEHASH, hashed, nonce, deadline)));
    }

    function earlyRefundDigest(
        LockId id,
        uint256 lockedAt,
        uint256 nonce,
        uint256 deadline
    ) internal view returns (bytes32) {
        return _digest(keccak256(abi.encode(EARLY_REFUND_TYPEHASH, id, lockedAt, nonce, deadline)));
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN_TYPEHASH,
                keccak256(bytes(NAME)),
                keccak256(bytes(VERSION)),
                block.chainid,
                address(this)
            )
        );
        return MessageHashUtils.toTypedDataHash(domain, structHash);
    }
}
