// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The id of a message: a hash of everything that must not change on its way.
type MessageId is bytes32;
