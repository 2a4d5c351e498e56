// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// @dev OpenZeppelin's ERC-721 that anyone can mint.
contract PlainNft is ERC721("Nft", "NFT") {
    function mint(address to, uint256 tokenId) external {
        _mint(to, tokenId);
    }
}

/// @dev Moves nothing and says nothing.
contract LyingNft is PlainNft {
    bool public lying;

    function setLying(bool lying_) external {
        lying = lying_;
    }

    function transferFrom(address from, address to, uint256 tokenId) public override {
        if (!lying) super.transferFrom(from, to, tokenId);
    }
}

/// @dev OpenZeppelin's ERC-1155 that anyone can mint.
contract PlainMultiToken is ERC1155("") {
    function mint(address to, uint256 tokenId, uint256 amount) external {
        _mint(to, tokenId, amount, "");
    }
}

/// @dev Makes a prepared call in place of its next transfer, and says nothing of what it left out.
contract NestingMultiToken is PlainMultiToken {
    address public target;
    bytes public data;

    function prepare(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function safeTransferFrom(address from, address to, uint256 id, uint256 value, bytes memory extra) public override {
        if (target == address(0)) return super.safeTransferFrom(from, to, id, value, extra);
        address called = target;
        delete target;
        (bool success, bytes memory returned) = called.call(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 0x20), mload(returned))
            }
        }
    }
}

/// @dev Delivers one less than it was told to.
contract ShortMultiToken is PlainMultiToken {
    function safeTransferFrom(address from, address to, uint256 id, uint256 value, bytes memory data) public override {
        super.safeTransferFrom(from, to, id, value - 1, data);
    }
}
