// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HashedTimelock} from "../../contracts/HashedTimelock.sol";
import {IBatchLocks} from "../../contracts/interfaces/IBatchLocks.sol";
import {IItemLocks} from "../../contracts/interfaces/IItemLocks.sol";
import {IPaymentLocks} from "../../contracts/interfaces/IPaymentLocks.sol";
import {ITimelock, LockId} from "../../contracts/interfaces/ITimelock.sol";
import {CoinRejecter} from "../../contracts/mocks/HostileRecipients.sol";
import {MoodyToken} from "../../contracts/mocks/HostileTokens.sol";
import {PlainMultiToken} from "../../contracts/mocks/Items.sol";
import {TestToken} from "../../contracts/mocks/TestToken.sol";
import {TestBase} from "./Vm.sol";

/**
 * @dev Locks and closes at random, in every way there is, and keeps its own books of what must be in the contract.
 * Every attempt that must fail is made as well: what succeeds against the books is written down as a fault.
 */
contract TimelockHandler is TestBase {
    struct Item {
        IItemLocks.ItemTerms terms;
        bytes32 secret;
    }

    uint256 private constant KEY = 0xB0B5;

    HashedTimelock public immutable timelock = HashedTimelock(deployTimelock());
    TestToken public immutable token = new TestToken("Test", "TEST", 6);
    MoodyToken public immutable moody = new MoodyToken();
    PlainMultiToken public immutable multi = new PlainMultiToken();
    CoinRejecter public immutable rejecter = new CoinRejecter();
    uint256 public coinOwed;
    mapping(address asset => uint256) public owed;
    string public fault;

    uint256 private _time = 1_800_000_000;
    uint256 private _nonce;
    uint256 private _count;
    bytes32[] private _secrets;
    IPaymentLocks.Terms[] private _locks;
    Item[] private _items;
    ITimelock.Authorization private _used;

    function lock(uint256 amount, uint96 tip, uint32 duration, uint8 kind) external {
        (IPaymentLocks.Terms memory terms, bytes32 secret) = fresh(amount, tip, duration, kind);
        vm.warp(_time);
        vm.deal(address(this), terms.amount + terms.tip);
        timelock.createLock{value: terms.token == address(0) ? terms.amount + terms.tip : terms.tip}(terms);
        coinOwed += terms.tip;
        if (terms.token == address(0)) coinOwed += terms.amount;
        else owed[terms.token] += terms.amount;
        _locks.push(terms);
        _secrets.push(secret);
    }

    /// @dev A batch is locked, and its leaves are closed at once or left for good; their funds stay owed.
    function lockBatch(uint256 amount, uint96 tip, uint32 duration, uint8 kind, uint8 closed) external {
        (IPaymentLocks.Terms memory terms, bytes32 secret) = fresh(amount, tip, duration, kind);
        IBatchLocks.Entry[] memory entries = new IBatchLocks.Entry[](2);
        entries[0] = IBatchLocks.Entry(terms.recipient, terms.amount, terms.hashlock, terms.timelock);
        entries[1] = IBatchLocks.Entry(address(0xCA401), 3, terms.hashlock, terms.timelock);
        uint256 total = terms.amount + 3;
        vm.warp(_time);
        vm.deal(address(this), total + 2 * uint256(terms.tip));
        bool native = terms.token == address(0);
        timelock.lockBatch{value: 2 * uint256(terms.tip) + (native ? total : 0)}(terms.token, terms.tip, entries);
        coinOwed += 2 * uint256(terms.tip) + (native ? total : 0);
        if (!native) owed[terms.token] += total;
        if (closed % 2 == 0) return;
        IPaymentLocks.Terms memory second = terms;
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = LockId.unwrap(timelock.leafId(terms, 0));
        (second.recipient, second.amount) = (address(0xCA401), 3);
        moody.setMood(MoodyToken.Mood.Kind);
        timelock.claimLeaf(second, 1, proof, secret);
        settle(terms.token, 3, terms.tip);
        expectFailure(abi.encodeCall(timelock.claimLeaf, (second, 1, proof, secret)), "leaf closed twice");
    }

    function lockItem(uint64 amount, uint96 tip, uint32 duration) external {
        (IPaymentLocks.Terms memory base, bytes32 secret) = fresh(amount, tip, duration, 0);
        uint256 quantity = uint256(amount) + 1;
        multi.mint(vm.addr(KEY), 1, quantity);
        IItemLocks.ItemTerms memory terms = IItemLocks.ItemTerms({
            sender: vm.addr(KEY),
            recipient: address(0xCA401),
            token: address(multi),
            tokenId: 1,
            amount: quantity,
            hashlock: base.hashlock,
            timelock: base.timelock,
            tip: base.tip
        });
        vm.prank(terms.sender);
        multi.setApprovalForAll(address(timelock), true);
        vm.warp(_time);
        vm.deal(address(this), terms.tip);
        ITimelock.Authorization memory signed = sign(timelock.itemLockDigest(terms, _nonce, type(uint64).max));
        timelock.lockItemSigned{value: terms.tip}(terms, signed);
        coinOwed += terms.tip;
        owed[address(multi)] += quantity;
        _items.push(Item(terms, secret));
        expectFailure(abi.encodeCall(timelock.lockItemSigned, (terms, signed)), "signature used twice");
    }

    /// @dev Closes one lock in one of three ways, after trying what is not possible at this time.
    function close(uint256 index, uint32 later, uint8 manner, uint8 mood) external {
        if (_locks.length == 0) return;
        index %= _locks.length;
        IPaymentLocks.Terms memory terms = _locks[index];
        bytes32 secret = _secrets[index];
        pass(later);
        bytes memory claimCall = abi.encodeCall(timelock.claim, (terms, secret));
        bytes memory refundCall = abi.encodeCall(timelock.refund, (terms));
        bool early = _time < terms.timelock;
        expectFailure(early ? refundCall : claimCall, "outside its window");
        expectFailure(abi.encodeCall(timelock.claim, (terms, bytes32(uint256(1)))), "wrong secret");
        moody.setMood(MoodyToken.Mood.Kind);
        uint256 creditBefore = timelock.creditOf(address(rejecter));
        if (manner % 3 == 0 && terms.recipient == vm.addr(KEY)) {
            LockId id = timelock.lockId(terms);
            _used = sign(timelock.earlyRefundDigest(id, timelock.lockedAt(id), _nonce, type(uint64).max));
            timelock.refundEarly(terms, _used);
        } else if (manner % 3 == 1) {
            if (terms.token == address(moody)) moody.setMood(MoodyToken.Mood(mood % 7));
            closeInBatch(terms, secret, early);
            if (timelock.isOpen(timelock.lockId(terms))) return;
        } else {
            (bool success, ) = address(timelock).call(early ? claimCall : refundCall);
            if (!success) fault = "neither claim nor refund";
        }
        settle(terms.token, terms.amount, terms.tip);
        coinOwed += timelock.creditOf(address(rejecter)) - creditBefore;
        expectFailure(claimCall, "claimed after its end");
        expectFailure(refundCall, "refunded after its end");
        (_locks[index], _secrets[index]) = (_locks[_locks.length - 1], _secrets[_secrets.length - 1]);
        _locks.pop();
        _secrets.pop();
    }

    function closeItem(uint256 index, uint32 later) external {
        if (_items.length == 0) return;
        index %= _items.length;
        Item memory item = _items[index];
        pass(later);
        if (_time < item.terms.timelock) timelock.claimItem(item.terms, item.secret);
        else timelock.refundItem(item.terms);
        settle(address(multi), item.terms.amount, item.terms.tip);
        expectFailure(abi.encodeCall(timelock.refundItem, (item.terms)), "item refunded after its end");
        _items[index] = _items[_items.length - 1];
        _items.pop();
    }

    function withdraw() external {
        uint256 credit = timelock.creditOf(address(rejecter));
        if (credit == 0) return;
        rejecter.execute(address(timelock), abi.encodeCall(timelock.withdraw, (address(0xCA401))), 0);
        coinOwed -= credit;
    }

    /// @dev The lock twice in one batch: at most one of the two counts.
    function closeInBatch(IPaymentLocks.Terms memory terms, bytes32 secret, bool early) private {
        if (early) {
            IPaymentLocks.Claim[] memory claims = new IPaymentLocks.Claim[](2);
            claims[0] = claims[1] = IPaymentLocks.Claim(terms, secret);
            timelock.claimBatch(claims);
        } else {
            IPaymentLocks.Terms[] memory refunds = new IPaymentLocks.Terms[](2);
            refunds[0] = refunds[1] = terms;
            timelock.refundBatch(refunds);
        }
    }

    /// @dev Terms that were never locked before. Kinds: coin, plain token, hostile token; a rejecting recipient or not.
    function fresh(
        uint256 amount,
        uint96 tip,
        uint32 duration,
        uint8 kind
    ) private returns (IPaymentLocks.Terms memory terms, bytes32 secret) {
        amount = bound(amount, 1, 1e24);
        secret = keccak256(abi.encode(++_count));
        address asset = kind % 3 == 0 ? address(0) : kind % 3 == 1 ? address(token) : address(moody);
        terms = IPaymentLocks.Terms({
            sender: address(this),
            recipient: kind % 2 == 0 ? address(rejecter) : vm.addr(KEY),
            token: asset,
            amount: amount,
            hashlock: sha256(abi.encode(secret)),
            timelock: uint64(_time + 1 + duration),
            tip: tip
        });
        if (asset == address(0)) return (terms, secret);
        TestToken(asset).mint(address(this), amount + 3);
        TestToken(asset).approve(address(timelock), amount + 3);
    }

    function pass(uint32 later) private {
        _time += later % 1 hours;
        vm.warp(_time);
    }

    function sign(bytes32 digest) private returns (ITimelock.Authorization memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, digest);
        return ITimelock.Authorization(_nonce++, type(uint64).max, abi.encodePacked(r, s, v));
    }

    function settle(address asset, uint256 amount, uint256 tip) private {
        coinOwed -= tip;
        if (asset == address(0)) coinOwed -= amount;
        else owed[asset] -= amount;
    }

    function expectFailure(bytes memory data, string memory what) private {
        (bool success, ) = address(timelock).call(data);
        if (success) fault = what;
    }

    receive() external payable {}
}

contract HashedTimelockInvariantTest is TestBase {
    TimelockHandler internal handler;

    function setUp() public {
        handler = new TimelockHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev What is in the contract is what open locks and credits add up to, and nothing was paid that was not due.
    function invariant_booksBalance() public view {
        address timelock = address(handler.timelock());
        vm.assertEq(timelock.balance, handler.coinOwed(), "coin");
        vm.assertEq(handler.token().balanceOf(timelock), handler.owed(address(handler.token())), "tokens");
        vm.assertEq(handler.moody().balanceOf(timelock), handler.owed(address(handler.moody())), "hostile tokens");
        vm.assertEq(handler.multi().balanceOf(timelock, 1), handler.owed(address(handler.multi())), "items");
        vm.assertEq(bytes(handler.fault()), "", handler.fault());
    }
}
