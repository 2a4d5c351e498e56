// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HashedTimelock} from "../../contracts/HashedTimelock.sol";
import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {TestToken} from "../../contracts/mocks/TestToken.sol";
import {TestBase} from "./Vm.sol";

/// @dev A timelock contract with two parties and a stranger, at a known time.
abstract contract TimelockFixture is TestBase {
    bytes32 internal constant SECRET = keccak256("secret");
    uint64 internal constant NOW = 1_800_000_000;
    uint64 internal constant TIMELOCK = NOW + 1 hours;
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    address internal constant STRANGER = address(0x57A);

    HashedTimelock internal timelock;
    TestToken internal token;

    function setUp() public virtual {
        vm.warp(NOW);
        timelock = HashedTimelock(deployTimelock());
        token = new TestToken("Test", "TEST", 6);
        vm.deal(ALICE, 100 ether);
    }

    function nativeTerms(uint256 amount, uint96 tip) internal pure returns (IPaymentLocks.Terms memory) {
        return tokenTerms(address(0), amount, tip);
    }

    function tokenTerms(
        address asset,
        uint256 amount,
        uint96 tip
    ) internal pure returns (IPaymentLocks.Terms memory) {
        return
            IPaymentLocks.Terms({
                sender: ALICE,
                recipient: BOB,
                token: asset,
                amount: amount,
                hashlock: sha256(abi.encode(SECRET)),
                timelock: TIMELOCK,
                tip: tip
            });
    }

    /// @dev A signature over a digest that was made for the same nonce and deadline.
    function authorization(
        uint256 key,
        bytes32 digest,
        uint256 nonce,
        uint256 deadline
    ) internal pure returns (ITimelock.Authorization memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return ITimelock.Authorization(nonce, deadline, abi.encodePacked(r, s, v));
    }

    /// @dev The recipient's consent to the early refund of the lock that is open now.
    function consent(uint256 key, LockId id, uint256 nonce) internal view returns (ITimelock.Authorization memory) {
        bytes32 digest = timelock.earlyRefundDigest(id, timelock.lockedAt(id), nonce, TIMELOCK);
        return authorization(key, digest, nonce, TIMELOCK);
    }

    /// @dev Gives the sender what it needs and locks.
    function lockNative(IPaymentLocks.Terms memory terms) internal returns (LockId) {
        vm.deal(terms.sender, terms.amount + terms.tip);
        vm.prank(terms.sender);
        return timelock.createLock{value: terms.amount + terms.tip}(terms);
    }

    /// @dev Mints to the sender, approves and locks; any token of the mocks will do.
    function lockToken(IPaymentLocks.Terms memory terms) internal returns (LockId) {
        fund(terms);
        vm.prank(terms.sender);
        return timelock.createLock{value: terms.tip}(terms);
    }

    function fund(IPaymentLocks.Terms memory terms) internal {
        TestToken asset = TestToken(terms.token);
        asset.mint(terms.sender, terms.amount);
        vm.deal(terms.sender, terms.tip);
        // The silent token's approve returns nothing, so the call is made without looking at an answer.
        vm.prank(terms.sender);
        (bool approved, ) = terms.token.call(abi.encodeCall(asset.approve, (address(timelock), terms.amount)));
        vm.assertTrue(approved, "approve");
    }

    function expectRefusal(IPaymentLocks.Terms memory terms, uint256 value, bytes memory reason) internal {
        vm.deal(ALICE, 100 ether);
        vm.expectRevert(reason);
        vm.prank(ALICE);
        timelock.createLock{value: value}(terms);
    }
}
