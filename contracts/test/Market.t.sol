// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice TAKE, the market order: limit, budget with the fee in it, least proceeds, deadline.
contract MarketTest is Batches {
    uint32 constant A = 300;
    uint32 constant T = 305;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(T);
        vm.warp(1000);
        ask(A, 100, 10); // 1,000 a lot
        ask(A, 200, 10); // 2,000 a lot
        bid(A, 90, 10); // 900 a lot
    }

    function op(uint8 mode, uint24 limit, uint48 lots, uint128 maxIn, uint128 minOut, uint32 deadline) private view returns (bytes memory) {
        return bytes.concat(ops(false), opTake(Take(market, mode, limit, lots, maxIn, minOut, deadline, 0, 0)));
    }

    function is_(uint256 result, uint256 out, uint256 filled, uint256 reason) private pure {
        eq(result & type(uint128).max, out, "out");
        eq(result >> 128 & type(uint48).max, filled, "filled");
        eq(result >> 176, reason, "reason");
    }

    function testBuyAndSell() public {
        vm.recordLogs();
        is_(take(T, BID | IOC, 150, 30), 10_000, 10, 1);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[1], IExchange.Taken.selector, abi.encode(1, T), abi.encode(30 | 10 << 48 | uint256(IOC) << 160 | 1 << 168, 10_000, 5));
        is_(take(T, ASK | IOC, 0, 4), 3600 - 2, 4, 0);
        is_(take(T, ASK | IOC, 91, 4), 0, 0, 1);
    }

    function testBudgetHoldsTheFee() public {
        // 500 ppm on 10,000 and 2,000: 12,006 buys eleven lots, an atom less only ten.
        uint256 free_ = free(T, 3);
        is_(word(run(T, op(BID | IOC, 300, 30, 12_005, 0, 0)), 0), 10_000, 10, 4);
        eq(free_ - free(T, 3), 10_005, "paid");
        is_(word(run(T, op(BID | IOC, 300, 30, 2001, 0, 0)), 0), 1000, 1, 4);
        is_(word(run(T, op(BID | IOC, 300, 30, 2000, 0, 0)), 0), 0, 0, 4);
        // What is sold is counted in base.
        is_(word(run(T, op(ASK | IOC, 0, 30, 3999, 0, 0)), 0), 2700 - 2, 3, 4);
        is_(word(run(T, op(ASK | IOC, 0, 30, 0, 0, 0)), 0), 0, 0, 4);
    }

    function testAllThatIsFree() public {
        uint32 poor = 306;
        set(7, poor, uint160(ownerOf(poor)));
        fund(poor, quote, 3100);
        is_(take(poor, BID | IOC, 300, 30), 3000, 3, 4);
        eq(free(poor, 3), 98, "3,000 and the fee of 1.5");
        is_(take(poor, ASK | IOC, 0, 30), 2700 - 2, 3, 4);
        eq(free(poor, 2), 0, "all base sold");
    }

    function testLeastProceeds() public {
        refuseBatch(abi.encodeWithSelector(IExchange.Slippage.selector, 10_000), T, op(BID | IOC, 150, 30, ALL_FREE, 10_001, 0));
        refuseBatch(abi.encodeWithSelector(IExchange.Slippage.selector, 3598), T, op(ASK | IOC, 0, 4, ALL_FREE, 3599, 0));
        is_(word(run(T, op(ASK | IOC, 0, 4, ALL_FREE, 3598, 0)), 0), 3598, 4, 0);
        refuseBatch(abi.encodeWithSelector(IExchange.NotFilled.selector, 20), T, op(BID | FOK, 300, 21, ALL_FREE, 0, 0));
        bytes memory r = run(T, bytes.concat(ops(true), opTake(Take(market, BID | FOK, 300, 21, ALL_FREE, 0, 0, 9, 0))));
        isRefused(r, 0, IExchange.NotFilled.selector);
        isLevel(ASK, 100, 1, 0, 0, 10);
    }

    function testChecks() public {
        bytes memory mode = err(IExchange.BadMode.selector);
        refuseBatch(mode, T, op(BID | GTC, 100, 1, 0, 0, 0));
        refuseBatch(mode, T, op(BID | POST_ONLY, 100, 1, 0, 0, 0));
        refuseBatch(mode, T, op(BID | SLIDE, 100, 1, 0, 0, 0));
        refuseBatch(mode, T, op(BID | IOC | TRACK, 100, 1, 0, 0, 0));
        refuseBatch(err(IExchange.BadLots.selector), T, op(BID | IOC, 100, 0, 0, 0, 0));
        refuseBatch(err(IExchange.BadLots.selector), T, op(BID | IOC, 100, 1 << 47, 0, 0, 0));
        refuseBatch(err(IExchange.Expired.selector), T, op(BID | IOC, 100, 1, ALL_FREE, 0, 1000));
        is_(word(run(T, op(BID | IOC, 100, 1, ALL_FREE, 0, 1001)), 0), 1000, 1, 0);
        is_(word(run(T, op(BID | IOC, 0, 1, ALL_FREE, 0, 0)), 0), 0, 0, 1);
    }
}
