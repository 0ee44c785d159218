// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice All own orders of a side from the touch to a tick: others' stay, levels without own orders stay unwritten, a record read is a step.
contract CancelUpToTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant T = 305;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
    }

    function upTo(uint8 side, uint24 tick, uint16 steps) private returns (uint256 orders, uint256 lots) {
        uint256 result = word(run(A, bytes.concat(ops(false), opCancelUpTo(market, side, tick, steps))), 0);
        (orders, lots) = (result & 0xffff, result >> 16);
    }

    function testOwnOrdersFromTheTouchToTheTick() public {
        ask(A, 100, 5);
        ask(B, 100, 5);
        ask(A, 100, 6);
        ask(B, 101, 5);
        ask(A, 70_000, 7);
        uint256 beyond = ask(A, 70_001, 8);
        (uint256 orders, uint256 lots) = upTo(ASK, 70_000, 0);
        eq(orders, 3, "orders");
        eq(lots, 18, "lots");
        eq(record(beyond) & type(uint48).max, 8, "beyond the tick");
        isLevel(ASK, 100, 3, 1, 0, 5);
        isLevel(ASK, 101, 1, 0, 0, 5);
        isLevel(ASK, 70_000, 1, 1, 0, 0);
        eq(free(A, 2), FUNDS - 8000, "the rest came home");
        bid(A, 50, 3);
        bid(A, 49, 3);
        (orders,) = upTo(BID, 50, 0);
        eq(orders, 1, "bids downward");
    }

    /// The walk of a level ends at its tail although others keep it open, so that the steps last for the next.
    function testTheLastOfALevelIsOwn() public {
        ask(B, 100, 5);
        ask(A, 100, 5);
        ask(A, 101, 5);
        (uint256 orders,) = upTo(ASK, 200, 3);
        eq(orders, 2, "three records, three steps");
    }

    function testStepsEndIt() public {
        for (uint24 i = 0; i < 4; ++i) {
            ask(B, 100, 1);
        }
        ask(A, 100, 5);
        (uint256 orders,) = upTo(ASK, 100, 4);
        eq(orders, 0, "four of others");
        (orders,) = upTo(ASK, 100, 5);
        eq(orders, 1, "the fifth");
    }

    function testAPartlyFilledHeadIsPaid() public {
        uint256 id = ask(A, 100, 5);
        buy(T, 100, 2);
        vm.recordLogs();
        (uint256 orders, uint256 lots) = upTo(ASK, 100, 0);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(orders, 1, "orders");
        eq(lots, 3, "lots that came back");
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(id), abi.encode(0, 3, 1));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(id, A), abi.encode(2, 0));
        eq(free(A, 3), FUNDS + 2000, "proceeds");
    }

    function testNoMarketAndNoSide() public {
        refuseBatch(err(IExchange.NoMarket.selector), A, bytes.concat(ops(false), opCancelUpTo(9, ASK, 100, 0)));
        refuseBatch(err(IExchange.BadOps.selector), A, bytes.concat(ops(false), opCancelUpTo(market, 2, 100, 0)));
        (uint256 orders,) = upTo(ASK, 100, 0);
        eq(orders, 0, "an empty side");
    }

    function testInEveryStatus() public {
        for (uint24 tick = 101; tick <= 104; ++tick) {
            ask(A, tick, 5);
        }
        for (uint8 status = 1; status <= 4; ++status) {
            halt(status);
            (uint256 orders,) = upTo(ASK, 100 + status, 0);
            eq(orders, 1, "out");
        }
    }
}
