// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchLocks} from "./IBatchLocks.sol";
import {IItemLocks} from "./IItemLocks.sol";
import {IPaymentLocks} from "./IPaymentLocks.sol";

/**
 * @title Hash-time-locked payments
 * @notice A sender locks native coin or tokens for a recipient. Until the timelock anyone who knows the secret can
 * claim for the recipient; from the timelock on anyone can refund to the sender. Funds go only to the addresses in
 * the terms, whoever sends the transaction. There is no owner, no proxy and no pause.
 * @dev A lock stores one word, in the storage slot that is its id: the time of the lock. Callers bring the terms along,
 * and the event of the lock keeps them for everybody else.
 */
interface IHashedTimelock is IPaymentLocks, IItemLocks, IBatchLocks {}
