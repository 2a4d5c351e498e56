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
    using LockSignatures for ItemTerms;

    /// @inheritdoc IItemLocks
    function lockItem(ItemTerms calldata terms) external payable returns (LockId) {
        LockId id = terms.id();
        require(msg.sender == terms.sender, NotSender(terms.sender, msg.sender));
        return _lockItem(id, terms);
    }

    /// @inheritdoc IItemLocks
    function lockItemSigned(
        ItemTerms calldata terms,
        Authorization calldata authorization
    ) external payable returns (LockId) {
        LockId id = terms.id();
        _authorize(terms.sender, terms.itemLockDigest(authorization.nonce, authorization.deadline), authorization);
        return _lockItem(id, terms);
    }

    /// @inheritdoc IItemLocks
    function claimItem(ItemTerms calldata terms, bytes32 secret) external {
        LockId id = terms.id();
        _close(id);
        _requireClaimable(terms.hashlock, terms.timelock, secret);
        emit Claimed(id, secret);
        _handOver(terms, terms.recipient);
    }

    /// @inheritdoc IItemLocks
    function refundItem(ItemTerms calldata terms) external {
        LockId id = terms.id();
        _close(id);
        _requireExpired(terms.timelock);
        emit Refunded(id);
        _handOver(terms, terms.sender);
    }

    /// @inheritdoc IItemLocks
    function refundItemEarly(ItemTerms calldata terms, Authorization calldata authorization) external {
        LockId id = terms.id();
        _authorizeRefund(id, _close(id), terms.recipient, authorization);
        _handOver(terms, terms.sender);
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

    /// @dev Reads every term that has dirty bits to hide; see {PaymentLocks}.
    function _lockItem(LockId id, ItemTerms calldata terms) private returns (LockId) {
        _requirePayable(uint160(terms.recipient), terms.timelock);
        StorageSlot.Uint256Slot storage slot = _newSlot(id, terms.tip);
        _pullItem(terms);
        slot.value = block.timestamp;
        terms.emitLocked(id);
        return id;
    }

    /// @dev As exact as with an ERC-20: what is here before does not count as received.
    function _pullItem(ItemTerms calldata terms) private nonReentrant {
        (address token, uint256 tokenId, uint256 amount) = (terms.token, terms.tokenId, terms.amount);
        require(token.code.length > 0, TokenWithoutCode(token));
        uint256 before = _held(token, tokenId, amount);
        if (amount == 0) IERC721(token).transferFrom(terms.sender, address(this), tokenId);
        else IERC1155(token).safeTransferFrom(terms.sender, address(this), tokenId, amount, "");
        uint256 received = _held(token, tokenId, amount) - before;
        uint256 expected = amount == 0 ? 1 : amount;
        require(received == expected, WrongReceipt(token, expected, received));
    }

    function _held(address token, uint256 tokenId, uint256 amount) private view returns (uint256) {
        if (amount == 0) return IERC721(token).ownerOf(tokenId) == address(this) ? 1 : 0;
        return IERC1155(token).balanceOf(address(this), tokenId);
    }

    function _handOver(ItemTerms calldata terms, address receiver) private {
        if (terms.amount == 0) IERC721(terms.token).transferFrom(address(this), receiver, terms.tokenId);
        else IERC1155(terms.token).safeTransferFrom(address(this), receiver, terms.tokenId, terms.amount, "");
        _payTip(terms.tip);
    }
}
