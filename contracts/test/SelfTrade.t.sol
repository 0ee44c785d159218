// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice A taker before its own orders, in every self-trade mode.
contract SelfTradeTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant T = 305;
    uint256 private theirs;
    uint256 private own;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
        theirs = ask(A, 100, 5);
        own = ask(T, 100, 7);
        ask(B, 100, 4);
    }

    function taken(uint8 mode, uint48 lots, uint48 filled, uint8 reason) private {
        vm.recordLogs();
        (, uint48 got) = place(T, mode, 100, lots);
        eq(got, filled, "filled");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(uint8(uint256(bytes32(logs[logs.length - 1].data)) >> 168), reason, "reason");
    }

    function testNoneTakesItself() public {
        taken(BID | IOC, 16, 16, 0);
        isLevel(ASK, 100, 3, 3, 0, 0);
    }

    function testCancelTaker() public {
        taken(BID | IOC | CANCEL_TAKER, 16, 5, 3);
        isLevel(ASK, 100, 3, 1, 0, 11);
        taken(BID | IOC | CANCEL_TAKER, 16, 0, 3);
        eq(record(own) & type(uint48).max, 7, "the maker stays");
        // GTC: what is left does not rest, it would cross.
        vm.recordLogs();
        (uint256 id, uint48 filled) = place(T, BID | GTC | CANCEL_TAKER, 100, 16);
        eq(id | filled, 0, "dropped");
        eq(vm.getRecordedLogs().length, 1, "a taker; the level did not change");
    }

    function testCancelMaker() public {
        uint256 base_ = free(T, 2);
        vm.recordLogs();
        taken(BID | IOC | CANCEL_MAKER, 8, 8, 0);
        isLevel(ASK, 100, 3, 2, 3, 1);
        eq(record(own), 0, "the maker is gone");
        eq(free(T, 2) - base_, 7 * 1000 + 8 * 1000, "its escrow and what was bought");
        eq(free(T, 3), FUNDS - 8000 - 4, "paid");
    }

    function testCancelMakerPaysItsFilledPart() public {
        buy(B, 100, 8); // A's five, three of T's
        uint256 quote_ = free(T, 3);
        vm.recordLogs();
        place(T, BID | IOC | CANCEL_MAKER, 100, 1);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(own), abi.encode(0, 4, 4));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(own, T), abi.encode(3, 0));
        eq(free(T, 3), quote_ + 3000 - 1001, "three lots sold, one bought");
        isLevel(ASK, 100, 3, 2, 1, 3);
    }

    function testCancelBoth() public {
        taken(BID | IOC | CANCEL_BOTH, 16, 5, 3);
        isLevel(ASK, 100, 3, 2, 0, 4);
        eq(record(own), 0, "the maker is gone");
    }

    function testDecrement() public {
        uint256 base_ = free(T, 2);
        taken(BID | IOC | DECREMENT, 8, 5, 0);
        isLevel(ASK, 100, 3, 1, 0, 8);
        eq(record(own) & type(uint48).max, 4, "three less");
        eq(free(T, 2) - base_, 3 * 1000 + 5 * 1000, "escrow of three, five bought");
        taken(BID | IOC | DECREMENT, 7, 3, 0);
        eq(record(own), 0, "four more");
        refuse(abi.encodeWithSelector(IExchange.NotFilled.selector, 1), T, BID | FOK | DECREMENT, 100, 2);
    }

    /// A GTC whose lots were decremented rests with what neither traded nor met itself.
    function testDecrementedGtcRestsTheRemainder() public {
        (uint256 id, uint48 filled) = place(T, BID | GTC | DECREMENT, 100, 20);
        eq(filled, 9, "filled");
        eq(record(id) & type(uint48).max, 4, "20 less 9 less 7");
    }

    function testSweepOfWhoNeverRestedOnThatSide() public {
        require(get(8, uint256(T) << 24 | 2) >> 240 & 1 == 1, "T has rested with base");
        require(get(8, uint256(T) << 24 | 3) >> 240 & 1 == 0, "not with quote");
        bid(B, 90, 5);
        vm.recordLogs();
        place(T, ASK | IOC | CANCEL_TAKER, 90, 5);
        eq(vm.getRecordedLogs().length, 2, "swept");
    }
}
