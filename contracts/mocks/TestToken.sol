// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/**
 * @dev An ERC-20 that anyone can mint, with an issuer who freezes accounts as issuers of dollar tokens do: a frozen one
 * neither sends nor receives. For tests and local networks only.
 */
contract TestToken is ERC20 {
    uint8 private immutable _decimals;
    mapping(address account => bool) public isFrozen;

    error AccountFrozen(address account);

    constructor(string memory name, string memory symbol, uint8 decimals_) ERC20(name, symbol) {
        _decimals = decimals_;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFrozen(address account, bool frozen) external {
        isFrozen[account] = frozen;
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!isFrozen[from], AccountFrozen(from));
        require(!isFrozen[to], AccountFrozen(to));
        super._update(from, to, value);
    }
}
