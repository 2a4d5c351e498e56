// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHashedTimelock} from "./interfaces/IHashedTimelock.sol";
import {BatchLocks} from "./timelock/BatchLocks.sol";
import {ItemLocks} from "./timelock/ItemLocks.sol";
import {PaymentLocks} from "./timelock/PaymentLocks.sol";

/// @dev What it does and promises is said in {IHashedTimelock}. One per chain, deployed as it is.
contract HashedTimelock is IHashedTimelock, PaymentLocks, ItemLocks, BatchLocks {}
