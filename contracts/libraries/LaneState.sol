// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/**
 * @dev What one end of a lane needs besides the accumulator, in one word, so that a message reads and writes it once.
 * From the lowest bit: nonce (64), generation (32), paused (8), priced (8), deferrals (16), and a token bucket over
 * messages: used (32), usedAt (40, Unix seconds), capacity (32, zero for no limit), window (24, seconds in which an
 * empty bucket is full again).
 */
type LaneState is uint256;

using LaneStates for LaneState global;

library LaneStates {
    uint256 private constant GENERATION = 64;
    uint256 private constant PAUSED = 96;
    uint256 private constant PRICED = 104;
    uint256 private constant DEFERRALS = 112;
    uint256 private constant USED = 128;
    uint256 private constant USED_AT = 160;
    uint256 private constant CAPACITY = 200;
    uint256 private constant WINDOW = 232;

    function nonce(LaneState self) internal pure returns (uint64) {
        return uint64(LaneState.unwrap(self));
    }

    function generation(LaneState self) internal pure returns (uint32) {
        return uint32(LaneState.unwrap(self) >> GENERATION);
    }

    function isPaused(LaneState self) internal pure returns (bool) {
        return uint8(LaneState.unwrap(self) >> PAUSED) != 0;
    }

    function isPriced(LaneState self) internal pure returns (bool) {
        return uint8(LaneState.unwrap(self) >> PRICED) != 0;
    }

    /// @dev How many ids are deferred and have not been met in a delivery yet.
    function deferrals(LaneState self) internal pure returns (uint16) {
        return uint16(LaneState.unwrap(self) >> DEFERRALS);
    }

    function capacity(LaneState self) internal pure returns (uint32) {
        return uint32(LaneState.unwrap(self) >> CAPACITY);
    }

    function window(LaneState self) internal pure returns (uint24) {
        return uint24(LaneState.unwrap(self) >> WINDOW);
    }

    /// @dev Messages that the bucket still lets through now.
    function available(LaneState self) internal view returns (uint256) {
        uint256 size = self.capacity();
        if (size == 0) return type(uint64).max;
        (uint256 used, ) = _drained(self);
        return used < size ? size - used : 0;
    }

    /// @dev The state after `count` more messages, which the bucket must have let through.
    function advance(LaneState self, uint256 count) internal view returns (LaneState) {
        // The nonce cannot overflow: 2^64 messages are never sent.
        LaneState moved = LaneState.wrap(LaneState.unwrap(self) + count);
        if (self.capacity() == 0) return moved;
        (uint256 used, uint256 since) = _drained(self);
        moved = _with(moved, USED, type(uint32).max, used + count);
        return _with(moved, USED_AT, type(uint40).max, since);
    }

    function withNonce(LaneState self, uint64 value) internal pure returns (LaneState) {
        return _with(self, 0, type(uint64).max, value);
    }

    function withGeneration(LaneState self, uint32 value) internal pure returns (LaneState) {
        return _with(self, GENERATION, type(uint32).max, value);
    }

    function withPaused(LaneState self, bool value) internal pure returns (LaneState) {
        return _with(self, PAUSED, type(uint8).max, value ? 1 : 0);
    }

    function withPriced(LaneState self, bool value) internal pure returns (LaneState) {
        return _with(self, PRICED, type(uint8).max, value ? 1 : 0);
    }

    function withDeferrals(LaneState self, uint16 value) internal pure returns (LaneState) {
        return _with(self, DEFERRALS, type(uint16).max, value);
    }

    /// @dev A new limit starts with a full bucket.
    function withLimit(LaneState self, uint32 newCapacity, uint24 newWindow) internal pure returns (LaneState) {
        uint256 word = uint128(LaneState.unwrap(self));
        return LaneState.wrap(word | (uint256(newCapacity) << CAPACITY) | (uint256(newWindow) << WINDOW));
    }

    /**
     * @dev The bucket's use as of now and since when it drains. It drains linearly, a whole bucket in a window; time
     * that does not make up a whole message yet keeps counting, so that frequent use does not slow the refill.
     */
    function _drained(LaneState self) private view returns (uint256 used, uint256 since) {
        uint256 word = LaneState.unwrap(self);
        (uint256 size, uint256 period) = (self.capacity(), self.window());
        used = uint32(word >> USED);
        since = uint40(word >> USED_AT);
        uint256 drained = ((block.timestamp - since) * size) / period;
        if (drained >= used) return (0, block.timestamp);
        // Rounded up, so that rounding never lets more through.
        return (used - drained, since + Math.ceilDiv(drained * period, size));
    }

    function _with(LaneState self, uint256 offset, uint256 mask, uint256 value) private pure returns (LaneState) {
        return LaneState.wrap((LaneState.unwrap(self) & ~(mask << offset)) | (value << offset));
    }
}
