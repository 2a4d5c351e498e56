// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {StorageSlot} from "@openzeppelin/contracts/utils/StorageSlot.sol";
import {IItemLocks} from "../interfaces/IItemLocks.sol";
import {LockId} from "../interfaces/ITimelock.sol";
import {LockHash} from "../libraries/LockHash.sol";
import {LockSignatures} from "../libraries/LockSignatures.sol";
import {LockStore} from "./LockStore.sol";

/// @dev Locks of ERC-721 and ERC-1155 tokens.
abstract contract ItemLocks is IItemLocks, IERC1155Receiver, LockStore {
    using LockHash for ItemTerms;
    using LockHash for LockHash.ItemWords;
    using LockSignatures for ItemTerms;

    /// @inheritdoc IItemLocks
    function lockItem(ItemTerms calldata terms) external payable returns (LockId) {
        _requireSender(terms.words().sender);
        return _lockItem(terms);
    }

    /// @inheritdoc IItemLocks
    function lockItemSigned(
        ItemTerms calldata terms,
        Authorization calldata authorization
    ) external payable returns (LockId) {
        _authorize(terms.sender, terms.itemLockDigest(authorization.nonce, authorization.deadline), authorization);
        return _lockItem(terms);
    }

    /// @inheritdoc IItemLocks
    function claimItem(ItemTerms calldata terms, bytes32 secret) external {
        LockId id = terms.id();
        _close(id);
        LockHash.ItemWords calldata raw = terms.words();
        _requireClaimable(raw.hashlock, raw.timelock, secret);
        emit Claimed(id, secret);
        _handOver(raw, raw.recipient);
    }

    /// @inheritdoc IItemLocks
    function refundItem(ItemTerms calldata terms) external {
        LockId id = terms.id();
        _close(id);
        LockHash.ItemWords calldata raw = terms.words();
        _requireExpired(raw.timelock);
        emit Refunded(id);
        _handOver(raw, raw.sender);
    }

    /// @inheritdoc IItemLocks
    function refundItemEarly(ItemTerms calldata terms, Authorization calldata authorization) external {
        LockId id = terms.id();
        _authorizeRefund(id, _close(id), terms.recipient, authorization);
        LockHash.ItemWords calldata raw = terms.words();
        _handOver(raw, raw.sender);
    }

    /// @inheritdoc IERC1155Receiver
    /// @dev The operator of a transfer is whoever called the token: ourselves exactly while we pull.
    function onERC1155Received(
        address operator,
        address,
        uint256,
        uint256,
        bytes calldata
    ) external view returns (bytes4) {
        require(operator == address(this), UnsolicitedToken(msg.sender, operator));
        return IERC1155Receiver.onERC1155Received.selector;
    }

    /// @inheritdoc IERC1155Receiver
    /// @dev Nothing is pulled in batches.
    function onERC1155BatchReceived(
        address operator,
        address,
        uint256[] calldata,
        uint256[] calldata,
        bytes calldata
    ) external view returns (bytes4) {
        revert UnsolicitedToken(msg.sender, operator);
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC1155Receiver).interfaceId || interfaceId == type(IERC165).interfaceId;
    }

    /// @inheritdoc IItemLocks
    function itemLockId(ItemTerms calldata terms) external view returns (LockId) {
        return terms.id();
    }

    /// @inheritdoc IItemLocks
    function itemLockDigest(
        ItemTerms calldata terms,
        uint256 nonce,
        uint256 deadline
    ) external view returns (bytes32) {
        return LockSignatures.itemLockDigest(terms, nonce, deadline);
    }

    /// @dev What is locked is clean, so whoever closes a lock with a dirty word finds that there is no such lock.
    function _lockItem(ItemTerms calldata terms) private returns (LockId id) {
        id = terms.id();
        LockHash.ItemWords calldata raw = terms.words();
        if (!raw.isClean()) revert DirtyTerms();
        _requirePayable(raw.recipient, raw.timelock);
        StorageSlot.Uint256Slot storage slot = _newSlot(id, raw.tip);
        _pullItem(address(uint160(raw.token)), address(uint160(raw.sender)), raw.tokenId, raw.amount);
        slot.value = block.timestamp;
        terms.emitLocked(id);
    }

    /// @dev As exact as with an ERC-20: what is here before does not count as received.
    function _pullItem(address token, address from, uint256 tokenId, uint256 amount) private nonReentrant {
        require(token.code.length > 0, TokenWithoutCode(token));
        uint256 before = _held(token, tokenId, amount);
        if (amount == 0) IERC721(token).transferFrom(from, address(this), tokenId);
        else IERC1155(token).safeTransferFrom(from, address(this), tokenId, amount, "");
        uint256 received = _held(token, tokenId, amount) - before;
        uint256 expected = amount == 0 ? 1 : amount;
        require(received == expected, WrongReceipt(token, expected, received));
    }

    function _held(address token, uint256 tokenId, uint256 amount) private view returns (uint256) {
        if (amount == 0) return IERC721(token).ownerOf(tokenId) == address(this) ? 1 : 0;
        return IERC1155(token).balanceOf(address(this), tokenId);
    }

    function _handOver(LockHash.ItemWords calldata raw, uint256 to) private {
        (address token, address receiver) = (address(uint160(raw.token)), address(uint160(to)));
        (uint256 tokenId, uint256 amount) = (raw.tokenId, raw.amount);
        if (amount == 0) IERC721(token).transferFrom(address(this), receiver, tokenId);
        else IERC1155(token).safeTransferFrom(address(this), receiver, tokenId, amount, "");
        _payTip(raw.tip);
    }
}
