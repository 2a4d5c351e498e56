// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {IFees} from "../../contracts/interfaces/IFees.sol";
import {ILanes} from "../../contracts/interfaces/ILanes.sol";
import {IOutbox} from "../../contracts/interfaces/IOutbox.sol";
import {CoinRejecter, ReenteringReceiver} from "../../contracts/mocks/HostileRecipients.sol";
import {GatewayFixture, Message} from "./GatewayFixture.sol";

/// @dev What sending costs, who pays it from what, and that nobody's credit is ever paid out to somebody else.
contract GatewayFeesTest is GatewayFixture {
    address internal constant PAYER = address(0xFEE);
    address internal constant TREASURY = address(0x7EA);
    uint40 internal constant EXPIRY = uint40(NOW) + 1 hours;

    bytes[] internal none;
    bytes internal recipient;
    uint256 internal fee;

    function setUp() public override {
        super.setUp();
        vm.chainId(ORIGIN);
        recipient = interoperable(address(recorder));
        origin.setPrice(DESTINATION, IFees.Price(20 gwei, 2e18, 30_000, EXPIRY));
        fee = origin.quote(recipient, "hello", none);
        vm.deal(PAYER, 100 ether);
        vm.deal(SENDER, 100 ether);
    }

    function pay(uint256 value) internal {
        vm.prank(SENDER);
        origin.sendMessage{value: value}(recipient, "hello", none);
    }

    function refusePayment(uint256 value, bytes memory why) internal {
        uint64 nonce = origin.outboundHead(DESTINATION).nonce;
        vm.expectRevert(why);
        pay(value);
        vm.assertEq(origin.outboundHead(DESTINATION).nonce, nonce, "nothing was appended");
    }

    /// @dev Read from the storage: there is no getter, and the whole point is that it cannot be wrong.
    function totalCredit() internal view returns (uint256) {
        bytes32 base = keccak256(abi.encode(uint256(keccak256("lockstep.storage.Fees")) - 1)) & ~bytes32(uint256(0xff));
        return uint256(vm.load(address(origin), bytes32(uint256(base) + 2)));
    }

    /// @dev The quote is the formula, worked out by a remainder instead of a rounded division.
    function testFuzz_quoteIsTheFormulaRoundedUp(
        uint96 gasPrice,
        uint96 rate,
        uint24 overhead,
        uint256 gasLimit,
        uint256 length
    ) public {
        origin.setLane(DESTINATION, ILanes.LaneConfig(address(destination), 13_000_000, 65_536, DEFAULT_GAS));
        gasPrice = uint96(bound(gasPrice, 1, type(uint96).max));
        rate = uint96(bound(rate, 1, type(uint96).max));
        gasLimit = bound(gasLimit, 1, 13_000_000);
        length = bound(length, 0, 65_536);
        origin.setPrice(DESTINATION, IFees.Price(gasPrice, rate, overhead, EXPIRY));
        uint256 product = (gasLimit + 40 * length + overhead) * gasPrice * rate;
        uint256 expected = product / 1 ether;
        if (product % 1 ether != 0) ++expected;
        uint256 quoted = origin.quote(recipient, new bytes(length), gasLimitAttribute(gasLimit));
        vm.assertEq(quoted, expected, "fee");
    }

    function test_feeIsRoundedUpNotDown() public {
        origin.setPrice(DESTINATION, IFees.Price(1, 1, 0, EXPIRY));
        vm.assertEq(origin.quote(recipient, "", none), 1, "a fraction of a wei is a wei");
    }

    function test_messageWithoutAGasLimitPaysForTheDefault() public view {
        vm.assertEq(fee, (30_000 + uint256(DEFAULT_GAS) + 5 * 40) * 40 gwei, "default gas limit");
        vm.assertEq(
            origin.quote(recipient, "hello", gasLimitAttribute(DEFAULT_GAS + 7)),
            fee + 7 * 40 gwei,
            "its own gas limit"
        );
    }

    function test_quoteRefusesWhatSendingRefuses() public {
        vm.expectRevert(abi.encodeWithSelector(ILanes.PayloadTooLong.selector, 16_385, 16_384));
        origin.quote(recipient, new bytes(16_385), none);
        vm.expectRevert(abi.encodeWithSelector(ILanes.GasLimitOutOfRange.selector, 5_000_001, 5_000_000));
        origin.quote(recipient, "", gasLimitAttribute(5_000_001));
        vm.expectRevert(abi.encodeWithSelector(IOutbox.UnknownDestination.selector, 99));
        origin.quote(InteroperableAddress.formatEvmV1(99, address(recorder)), "", none);
    }

    function test_pricesAreKeptAndAnnounced() public {
        IFees.Price memory price = IFees.Price(7, 8, 9, 10);
        vm.expectEmit(address(origin));
        emit IFees.PriceSet(DESTINATION, price);
        origin.setPrice(DESTINATION, price);
        vm.assertEq(abi.encode(origin.priceOf(DESTINATION)), abi.encode(price), "stored");
        vm.assertEq(abi.encode(origin.priceOf(99)), abi.encode(IFees.Price(0, 0, 0, 0)), "no price");
    }

    function test_pricesThatMeanNothingAreRefused() public {
        vm.expectRevert(abi.encodeWithSelector(ILanes.UnknownLane.selector, 99));
        origin.setPrice(99, IFees.Price(1, 1, 1, EXPIRY));
        IFees.Price memory noRate = IFees.Price(1, 0, 1, EXPIRY);
        vm.expectRevert(abi.encodeWithSelector(IFees.InvalidPrice.selector, noRate));
        origin.setPrice(DESTINATION, noRate);
    }

    function test_stalePriceStopsSending() public {
        vm.warp(EXPIRY - 1);
        pay(fee);
        vm.warp(EXPIRY);
        bytes memory why = abi.encodeWithSelector(IFees.StalePrice.selector, DESTINATION, EXPIRY);
        refusePayment(fee, why);
        vm.expectRevert(why);
        origin.quote(recipient, "hello", none);
        origin.setPrice(DESTINATION, IFees.Price(20 gwei, 2e18, 30_000, EXPIRY + 1));
        pay(fee);
    }

    function test_noPriceOrAPriceOfZeroMakesTheLaneFree() public {
        origin.setPrice(DESTINATION, IFees.Price(0, 0, 0, 0));
        vm.assertEq(origin.quote(recipient, "hello", none), 0, "quote");
        vm.recordLogs();
        pay(0);
        vm.assertEq(vm.getRecordedLogs().length, 2, "sent and appended, but nothing paid");
        pay(5);
        vm.assertEq(origin.creditOf(SENDER), 5, "value on a free lane is credit");
        origin.setPrice(DESTINATION, IFees.Price(20 gwei, 2e18, 30_000, EXPIRY));
        refusePayment(0, abi.encodeWithSelector(IFees.InsufficientPayment.selector, fee, 5));
    }

    function test_exactValuePaysTheFee() public {
        remember(Message(SENDER, address(recorder), DEFAULT_GAS, 0, "hello"));
        vm.expectEmit(address(origin));
        emit IFees.FeePaid(SENDER, fee);
        vm.expectEmit(address(origin));
        emit IERC7786GatewaySource.MessageSent(
            0,
            InteroperableAddress.formatEvmV1(ORIGIN, SENDER),
            recipient,
            "hello",
            0,
            none
        );
        vm.expectEmit(address(origin));
        emit IOutbox.LaneAppended(DESTINATION, 1, ids[0], accumulators[0], DEFAULT_GAS);
        pay(fee);
        vm.assertEq(origin.creditOf(SENDER), 0, "no credit");
        vm.assertEq(address(origin).balance, fee, "fee");
    }

    function test_excessBecomesCreditOfTheSender() public {
        vm.expectEmit(address(origin));
        emit IFees.Deposited(SENDER, SENDER, 9);
        vm.expectEmit(address(origin));
        emit IFees.FeePaid(SENDER, fee);
        pay(fee + 9);
        vm.assertEq(origin.creditOf(SENDER), 9, "credit");
        vm.assertEq(totalCredit(), 9, "total");
    }

    function test_valueIsUsedBeforeCredit() public {
        vm.prank(PAYER);
        origin.depositFor{value: fee}(SENDER);
        pay(fee - 3);
        vm.assertEq(origin.creditOf(SENDER), fee - 3, "only what was missing");
        pay(3);
        vm.assertEq(origin.creditOf(SENDER), 0, "all of it");
        vm.assertEq(totalCredit(), 0, "total");
        refusePayment(fee - 1, abi.encodeWithSelector(IFees.InsufficientPayment.selector, fee, fee - 1));
    }

    function test_creditAlonePays() public {
        vm.prank(PAYER);
        origin.depositFor{value: fee + 1}(SENDER);
        pay(0);
        vm.assertEq(origin.creditOf(SENDER), 1, "credit");
        refusePayment(0, abi.encodeWithSelector(IFees.InsufficientPayment.selector, fee, 1));
        refusePayment(fee - 2, abi.encodeWithSelector(IFees.InsufficientPayment.selector, fee, fee - 1));
        pay(fee - 1);
        vm.assertEq(origin.outboundHead(DESTINATION).nonce, 2, "paid to the last wei");
    }

    function test_creditOfOthersIsOutOfReach() public {
        vm.prank(PAYER);
        origin.depositFor{value: fee}(PAYER);
        refusePayment(0, abi.encodeWithSelector(IFees.InsufficientPayment.selector, fee, 0));
        vm.expectRevert(abi.encodeWithSelector(IFees.InsufficientCredit.selector, SENDER, 0, 1));
        vm.prank(SENDER);
        origin.withdrawCredit(SENDER, 1);
    }

    function test_anyoneDepositsForAnyone() public {
        vm.expectEmit(address(origin));
        emit IFees.Deposited(SENDER, PAYER, 2 ether);
        vm.prank(PAYER);
        origin.depositFor{value: 2 ether}(SENDER);
        vm.assertEq(origin.creditOf(SENDER), 2 ether, "account");
        vm.assertEq(origin.creditOf(PAYER), 0, "payer");
    }

    function test_creditIsWithdrawnToWhereItsOwnerSays() public {
        vm.prank(PAYER);
        origin.depositFor{value: 2 ether}(SENDER);
        vm.expectEmit(address(origin));
        emit IFees.CreditWithdrawn(SENDER, TREASURY, 0.5 ether);
        vm.prank(SENDER);
        origin.withdrawCredit(TREASURY, 0.5 ether);
        vm.assertEq(TREASURY.balance, 0.5 ether, "paid");
        vm.assertEq(origin.creditOf(SENDER), 1.5 ether, "rest");
        vm.expectRevert(abi.encodeWithSelector(IFees.InsufficientCredit.selector, SENDER, 1.5 ether, 1.5 ether + 1));
        vm.prank(SENDER);
        origin.withdrawCredit(TREASURY, 1.5 ether + 1);
    }

    function test_rejectedPaymentChangesNothing() public {
        CoinRejecter rejecter = new CoinRejecter();
        vm.prank(PAYER);
        origin.depositFor{value: fee}(SENDER);
        bytes memory why = abi.encodeWithSelector(IFees.PaymentRejected.selector, address(rejecter), 1);
        vm.expectRevert(why);
        vm.prank(SENDER);
        origin.withdrawCredit(address(rejecter), 1);
        vm.expectRevert(abi.encodeWithSelector(IFees.PaymentRejected.selector, address(0), 1));
        vm.prank(SENDER);
        origin.withdrawCredit(address(0), 1);
        vm.assertEq(origin.creditOf(SENDER), fee, "credit stays");
        pay(0);
        why = abi.encodeWithSelector(IFees.PaymentRejected.selector, address(rejecter), fee);
        vm.expectRevert(why);
        origin.collectFees(address(rejecter));
        vm.assertEq(address(origin).balance, fee, "fees stay");
    }

    function test_payoutCannotBeTakenTwiceByReentering() public {
        ReenteringReceiver thief = new ReenteringReceiver();
        vm.prank(PAYER);
        origin.depositFor{value: 5 ether}(PAYER);
        vm.prank(PAYER);
        origin.depositFor{value: 1 ether}(address(thief));
        thief.prepare(address(origin), abi.encodeCall(origin.withdrawCredit, (TREASURY, 1 ether)));
        vm.prank(address(thief));
        origin.withdrawCredit(address(thief), 1 ether);
        vm.assertTrue(!thief.succeeded(), "the second time is refused");
        vm.assertEq(address(origin).balance, 5 ether, "others' credit");
    }

    function test_collectTakesEverythingButCredit() public {
        vm.prank(PAYER);
        origin.depositFor{value: 3 ether}(PAYER);
        pay(fee + 4);
        // Coin that was forced into the contract belongs to nobody.
        vm.deal(address(origin), address(origin).balance + 11);
        vm.expectEmit(address(origin));
        emit IFees.FeesCollected(TREASURY, fee + 11);
        origin.collectFees(TREASURY);
        vm.assertEq(TREASURY.balance, fee + 11, "collected");
        vm.assertEq(address(origin).balance, 3 ether + 4, "credit stays");
        origin.collectFees(TREASURY);
        vm.assertEq(TREASURY.balance, fee + 11, "nothing more");
        vm.prank(PAYER);
        origin.withdrawCredit(PAYER, 3 ether);
        vm.prank(SENDER);
        origin.withdrawCredit(SENDER, 4);
    }

    function test_plainTransfersAreRefused() public {
        vm.prank(PAYER);
        (bool success, ) = address(origin).call{value: 1}("");
        vm.assertTrue(!success, "whose would it be?");
    }

    /// @dev Whatever happens in whatever order, the books are those kept here, and the balance covers them.
    function testFuzz_booksBalance(uint256 seed) public {
        address[2] memory accounts = [SENDER, PAYER];
        uint256[2] memory credit;
        uint256 paid = 0;
        for (uint256 step = 0; step < 10; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 who = seed % 2;
            uint256 amount = (seed >> 8) % (2 * fee);
            uint256 what = (seed >> 1) % 5;
            bool enough = what < 2 ? true : what == 2 ? amount + credit[who] >= fee : amount <= credit[who];
            bytes memory data = what == 0
                ? abi.encodeCall(origin.depositFor, (accounts[who]))
                : what == 1
                ? abi.encodeCall(origin.collectFees, (TREASURY))
                : what == 2
                ? abi.encodeCall(origin.sendMessage, (recipient, bytes("hello"), none))
                : abi.encodeCall(origin.withdrawCredit, (TREASURY, amount));
            if (what != 1) vm.prank(accounts[who]);
            (bool success, ) = address(origin).call{value: what == 0 || what == 2 ? amount : 0}(data);
            vm.assertTrue(success == enough, "refused exactly when there is too little");
            if (!success) continue;
            if (what == 0) credit[who] += amount;
            else if (what == 1) paid = 0;
            else if (what == 2) (credit[who], paid) = (credit[who] + amount - fee, paid + fee);
            else credit[who] -= amount;
            vm.assertEq(origin.creditOf(accounts[who]), credit[who], "credit");
            vm.assertEq(totalCredit(), credit[0] + credit[1], "total");
            vm.assertEq(address(origin).balance, credit[0] + credit[1] + paid, "balance");
        }
    }
}
