// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";

/// @dev Rejects every message until it is told not to.
contract RevertingRecipient is IERC7786Recipient {
    bool public accepting;
    string public complaint = "no thanks";

    error Rejected(string complaint);

    function setAccepting(bool accepting_) external {
        accepting = accepting_;
    }

    function setComplaint(string calldata complaint_) external {
        complaint = complaint_;
    }

    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        require(accepting, Rejected(complaint));
        return IERC7786Recipient.receiveMessage.selector;
    }
}

/// @dev Uses up whatever gas it gets.
contract GasBurner is IERC7786Recipient {
    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        assembly {
            invalid()
        }
    }
}

/// @dev Keeps how much gas it got.
contract GasRecorder is IERC7786Recipient {
    uint256 public gasReceived;

    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        gasReceived = gasleft();
        return IERC7786Recipient.receiveMessage.selector;
    }
}

/// @dev Returns, or reverts with, a megabyte, for which a naive caller would pay.
contract MegabyteReturner is IERC7786Recipient {
    bool public immutable reverting;

    constructor(bool reverting_) {
        reverting = reverting_;
    }

    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        if (reverting) {
            assembly {
                revert(0x10000, 1048576)
            }
        }
        assembly {
            return(0x10000, 1048576)
        }
    }
}

/// @dev Calls back with prepared calldata, and fails if that fails.
contract ReenteringRecipient is IERC7786Recipient {
    address public target;
    bytes public data;

    function prepare(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        (bool success, bytes memory returned) = target.call(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 0x20), mload(returned))
            }
        }
        return IERC7786Recipient.receiveMessage.selector;
    }
}

/// @dev Succeeds, but with another answer than the standard's.
contract WrongAnswerer is IERC7786Recipient {
    uint256 public count;
    bool private _right;

    function setRight(bool right) external {
        _right = right;
    }

    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        ++count;
        return _right ? IERC7786Recipient.receiveMessage.selector : bytes4(0xdeadbeef);
    }
}

/// @dev Gives the right answer in four bytes where the ABI wants thirty-two.
contract ShortAnswerer is IERC7786Recipient {
    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        bytes4 answer = IERC7786Recipient.receiveMessage.selector;
        assembly {
            mstore(0, answer)
            return(0, 4)
        }
    }
}

/// @dev Rejects native coin until it is told not to, burning gas or returning a lot on the way if asked.
contract CoinRejecter {
    enum Manner {
        Accept,
        Revert,
        BurnGas,
        RevertWithMegabyte
    }

    Manner public manner = Manner.Revert;

    function setManner(Manner manner_) external {
        manner = manner_;
    }

    /// @dev Makes any call, so that the contract can lock, claim and withdraw.
    function execute(address target, bytes calldata data, uint256 value) external payable {
        (bool success, bytes memory returned) = target.call{value: value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 0x20), mload(returned))
            }
        }
    }

    receive() external payable {
        if (manner == Manner.Revert) revert("no coins");
        if (manner == Manner.BurnGas) {
            assembly {
                invalid()
            }
        }
        if (manner == Manner.RevertWithMegabyte) {
            assembly {
                revert(0x10000, 1048576)
            }
        }
    }
}

/// @dev Needs most of a payout's gas behind one more call, as a wallet behind a proxy does.
contract ThirstyWallet {
    mapping(uint256 index => uint256) private _written;
    uint256 private _count;

    receive() external payable {
        this.note();
    }

    function note() external {
        for (uint256 i = 0; i < 3; ++i) _written[++_count] = 1;
    }
}

/// @dev Takes coin only when it comes with nearly all of the gas that a payout has.
contract PickyWallet {
    receive() external payable {
        require(gasleft() > 102_000, "more gas");
    }
}

/// @dev Tries to claim or refund a second time while it is being paid.
contract ReenteringReceiver {
    address public target;
    bytes public data;
    bool public succeeded;

    function prepare(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    receive() external payable {
        (succeeded, ) = target.call(data);
    }
}
