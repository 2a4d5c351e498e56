// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BridgeERC1155} from "@openzeppelin/contracts/crosschain/bridges/BridgeERC1155.sol";
import {BridgeERC20} from "@openzeppelin/contracts/crosschain/bridges/BridgeERC20.sol";
import {BridgeERC721} from "@openzeppelin/contracts/crosschain/bridges/BridgeERC721.sol";
import {BridgeERC7802} from "@openzeppelin/contracts/crosschain/bridges/BridgeERC7802.sol";
import {CrosschainLinked} from "@openzeppelin/contracts/crosschain/CrosschainLinked.sol";
import {IERC7802} from "@openzeppelin/contracts/interfaces/draft-IERC7802.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {ERC1155Crosschain} from "@openzeppelin/contracts/token/ERC1155/extensions/ERC1155Crosschain.sol";
import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {ERC1155Holder} from "@openzeppelin/contracts/token/ERC1155/utils/ERC1155Holder.sol";
import {ERC20, ERC20Bridgeable} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC20Bridgeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721Crosschain} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721Crosschain.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

// OpenZeppelin's crosschain contracts as they are: nothing here but what they leave to whoever derives from them.

contract CustodyERC20 is BridgeERC20 {
    constructor(Link[] memory links, IERC20 token) CrosschainLinked(links) BridgeERC20(token) {}
}

contract CustodyERC721 is BridgeERC721 {
    constructor(Link[] memory links, IERC721 token) CrosschainLinked(links) BridgeERC721(token) {}
}

contract CustodyERC1155 is BridgeERC1155 {
    constructor(Link[] memory links, IERC1155 token) CrosschainLinked(links) BridgeERC1155(token) {}
}

contract BurnAndMint is BridgeERC7802 {
    constructor(Link[] memory links, IERC7802 token) CrosschainLinked(links) BridgeERC7802(token) {}
}

/// @dev What {BurnAndMint} burns and mints.
contract WrappedERC20 is ERC20Bridgeable {
    address private immutable _bridge;

    error OnlyBridge(address caller);

    constructor(address bridge) ERC20("Wrapped", "W20") {
        _bridge = bridge;
    }

    function _checkTokenBridge(address caller) internal view override {
        require(caller == _bridge, OnlyBridge(caller));
    }
}

/// @dev Token and bridge in one.
contract WrappedERC721 is ERC721Crosschain {
    constructor(Link[] memory links) CrosschainLinked(links) ERC721("Wrapped", "W721") {}
}

/// @dev Token and bridge in one.
contract WrappedERC1155 is ERC1155Crosschain {
    constructor(Link[] memory links) CrosschainLinked(links) ERC1155("") {}
}

contract TestERC721 is ERC721("Test", "T721") {
    function mint(address to, uint256 id) external {
        _mint(to, id);
    }
}

contract TestERC1155 is ERC1155("") {
    function mint(address to, uint256 id, uint256 value) external {
        _mint(to, id, value, "");
    }
}

/// @dev Takes ERC-1155 tokens only once it is told to.
contract ReluctantHolder is ERC1155Holder {
    bool private _willing;

    error NotYet();

    function setWilling(bool willing) external {
        _willing = willing;
    }

    function onERC1155BatchReceived(
        address operator,
        address from,
        uint256[] memory ids,
        uint256[] memory values,
        bytes memory data
    ) public override returns (bytes4) {
        require(_willing, NotYet());
        return super.onERC1155BatchReceived(operator, from, ids, values, data);
    }
}
