// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev OpenZeppelin's ERC-20 that anyone can mint and nothing else: what the others spoil, and what gas is measured on.
contract PlainToken is ERC20 {
    constructor(string memory name, string memory symbol) ERC20(name, symbol) {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Keeps one percent of every transfer.
contract FeeToken is PlainToken("Fee", "FEE") {
    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0)) return super._update(from, to, value);
        super._update(from, to, value - value / 100);
        super._update(from, address(0), value / 100);
    }
}

/// @dev Says true and moves nothing.
contract LyingToken is PlainToken("Lying", "LIE") {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }
}

/// @dev Moves nothing and says so by false, without a revert.
contract FalseToken is PlainToken("False", "NO") {
    bool public refusing = true;

    function setRefusing(bool refusing_) external {
        refusing = refusing_;
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        return !refusing && super.transfer(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        return !refusing && super.transferFrom(from, to, value);
    }
}

/// @dev Its transfers return nothing, as those of some old tokens do.
contract SilentToken {
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) public virtual {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Makes a prepared call once, before it moves anything, as a token with hooks lets its owner do.
contract HookToken is PlainToken("Hook", "HOOK") {
    address public target;
    bytes public data;

    function prepare(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        if (target != address(0)) {
            address called = target;
            delete target;
            (bool success, bytes memory returned) = called.call(data);
            if (!success) {
                assembly ("memory-safe") {
                    revert(add(returned, 0x20), mload(returned))
                }
            }
        }
        return super.transferFrom(from, to, value);
    }
}

/// @dev Pays out as it is told to: not at all, never ending, with as long an answer as its gas in a batch allows, while
/// it says that it does not, or after a prepared call.
contract MoodyToken is PlainToken("Moody", "MOOD") {
    enum Mood {
        Kind,
        Revert,
        ReturnFalse,
        BurnGas,
        RevertAtLength,
        ReturnAtLength,
        MoveThenFalse,
        CallThenFalse
    }

    Mood public mood;
    address public target;
    bytes public data;
    bool public called;

    function setMood(Mood mood_) external {
        mood = mood_;
    }

    function prepare(address target_, bytes calldata data_) external {
        (mood, target, data) = (Mood.CallThenFalse, target_, data_);
    }

    function transfer(address to, uint256 value) public override returns (bool) {
        if (mood == Mood.Kind) return super.transfer(to, value);
        if (mood == Mood.Revert) revert("not today");
        if (mood == Mood.ReturnFalse) return false;
        if (mood == Mood.MoveThenFalse) {
            super.transfer(to, value);
            return false;
        }
        if (mood == Mood.CallThenFalse) {
            (called, ) = target.call(data);
            return false;
        }
        if (mood == Mood.RevertAtLength) {
            assembly {
                revert(0, 294912)
            }
        }
        if (mood == Mood.ReturnAtLength) {
            assembly {
                return(0, 294912)
            }
        }
        assembly {
            invalid()
        }
    }
}
