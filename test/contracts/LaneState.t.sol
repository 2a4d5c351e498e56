// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LaneState} from "../../contracts/libraries/LaneState.sol";
import {TestBase} from "./Vm.sol";

/// @dev The word of a lane: its fields leave each other alone, and its token bucket keeps its promise.
contract LaneStateTest is TestBase {
    uint256 internal constant START = 1_800_000_000;

    function fieldsOf(LaneState state) internal pure returns (uint256[7] memory) {
        return [
            uint256(state.nonce()),
            state.generation(),
            state.isPaused() ? 1 : 0,
            state.isPriced() ? 1 : 0,
            state.deferrals(),
            state.capacity(),
            state.window()
        ];
    }

    /// @dev Changing one field, of any word, changes that one and no other.
    function testFuzz_fieldsDoNotDisturbEachOther(uint256 word, uint8 which, uint64 value) public pure {
        // Flags are only ever written as 0 or 1.
        word &= ~((uint256(0xfe) << 96) | (uint256(0xfe) << 104));
        LaneState state = LaneState.wrap(word);
        uint256[7] memory expected = fieldsOf(state);
        LaneState changed;
        which = uint8(bound(which, 0, 5));
        if (which == 0) (changed, expected[0]) = (state.withNonce(value), value);
        else if (which == 1) (changed, expected[1]) = (state.withGeneration(uint32(value)), uint32(value));
        else if (which == 2) (changed, expected[2]) = (state.withPaused(value % 2 == 1), value % 2);
        else if (which == 3) (changed, expected[3]) = (state.withPriced(value % 2 == 1), value % 2);
        else if (which == 4) (changed, expected[4]) = (state.withDeferrals(uint16(value)), uint16(value));
        else {
            changed = state.withLimit(uint32(value), uint24(value >> 32));
            (expected[5], expected[6]) = (uint32(value), uint24(value >> 32));
        }
        vm.assertEq(abi.encode(fieldsOf(changed)), abi.encode(expected), "fields");
        // What has no getter: the use of the bucket, which only a new limit resets.
        uint256 use = uint72(LaneState.unwrap(changed) >> 128);
        vm.assertEq(use, which == 5 ? 0 : uint72(word >> 128), "use");
    }

    function testFuzz_withoutALimitOnlyTheNonceMoves(uint64 nonce, uint32 count) public {
        vm.warp(START);
        nonce = uint64(bound(nonce, 0, type(uint64).max - type(uint32).max));
        LaneState state = LaneState.wrap(0).withNonce(nonce).withPaused(true).withDeferrals(3);
        vm.assertEq(state.available(), type(uint64).max, "no limit");
        LaneState moved = state.advance(count);
        vm.assertEq(LaneState.unwrap(moved), LaneState.unwrap(state) + count, "nonce");
    }

    function testFuzz_newLimitStartsFull(uint32 capacity, uint24 window, uint40 time) public {
        capacity = uint32(bound(capacity, 1, type(uint32).max));
        window = uint24(bound(window, 1, type(uint24).max));
        vm.warp(time);
        LaneState state = LaneState.wrap(0).withLimit(7, 7).advance(7).withLimit(capacity, window);
        vm.assertEq(state.available(), capacity, "full");
        vm.assertEq(state.advance(capacity).available(), 0, "empty");
    }

    /// @dev The definition: in no span of time do more messages pass than a full bucket and what flows in meanwhile.
    function testFuzz_bucketKeepsItsPromise(uint32 capacity, uint24 window, uint256 seed) public {
        capacity = uint32(bound(capacity, 1, seed % 3 == 0 ? type(uint32).max : 50));
        window = uint24(bound(window, 1, seed % 5 == 0 ? type(uint24).max : 500));
        uint256[12] memory times;
        uint256[12] memory taken;
        LaneState state = LaneState.wrap(0).withLimit(capacity, window);
        uint256 time = START;
        for (uint256 step = 0; step < 12; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            time += seed % 4 == 0 ? 0 : (seed >> 8) % (seed % 4 == 1 ? 3 : 2 * uint256(window) / 3 + 1);
            vm.warp(time);
            uint256 available = state.available();
            vm.assertTrue(available <= capacity, "never more than it holds");
            taken[step] = bound(seed >> 40, 0, available);
            times[step] = time;
            state = state.advance(taken[step]);
            vm.assertEq(state.available(), available - taken[step], "what was taken is gone");
            uint256 sum = 0;
            for (uint256 since = step + 1; since > 0; --since) {
                sum += taken[since - 1];
                vm.assertTrue(sum * window <= (window + time - times[since - 1]) * capacity, "span");
            }
        }
    }

    /// @dev Whoever takes all there is, at any moments, loses at most what flows in within a second for each of them.
    function testFuzz_frequentUseSlowsTheRefillByASecondAtMost(uint32 capacity, uint24 window, uint256 seed) public {
        capacity = uint32(bound(capacity, 1, 1_000));
        window = uint24(bound(window, 1, 100_000));
        vm.warp(START);
        LaneState state = LaneState.wrap(0).withLimit(capacity, window).advance(capacity);
        uint256 time = START;
        uint256 passed = 0;
        uint256 uses = 0;
        for (uint256 step = 0; step < 20; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            time += (seed % window) / (seed % 7 == 0 ? 1 : 20);
            vm.warp(time);
            uint256 available = state.available();
            // A full bucket loses what flows in; this test is about others, so all that flows in can be counted.
            if (available == capacity) return;
            state = state.advance(available);
            passed += available;
            if (available > 0) ++uses;
            uint256 lost = uses + (uint256(window) + capacity - 1) / capacity;
            vm.assertTrue((passed * window) + lost * capacity >= (time - START) * capacity, "refill");
            vm.assertTrue(passed * window <= (time - START) * capacity, "and never faster");
        }
    }

    /// @dev Of a bucket that refills one message in ten seconds, looking every second takes nothing away.
    function test_timeOfAFractionOfAMessageIsNotLost() public {
        vm.warp(START);
        LaneState state = LaneState.wrap(0).withLimit(6, 60).advance(6);
        uint256 passed = 0;
        for (uint256 second = 1; second <= 60; ++second) {
            vm.warp(START + second);
            uint256 available = state.available();
            state = state.advance(available);
            passed += available;
            vm.assertEq(passed, second / 10, "one in ten seconds");
        }
    }

    function test_bucketIsFullAgainAfterItsWindow() public {
        vm.warp(START);
        LaneState state = LaneState.wrap(0).withLimit(7, 100).advance(7);
        vm.warp(START + 99);
        vm.assertEq(state.available(), 6, "not yet");
        vm.warp(START + 100);
        vm.assertEq(state.available(), 7, "full");
        vm.warp(START + 1_000_000);
        vm.assertEq(state.available(), 7, "no more than full");
    }
}
