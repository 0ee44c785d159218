// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice LADDER: rungs are operations of their own.
contract LadderTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
    }

    function testRungs() public {
        uint48[] memory lots = rungs(4, 5);
        lots[2] = 0;
        vm.recordLogs();
        bytes memory r = run(A, bytes.concat(ops(false), opLadder(market, BID | POST_ONLY, 100, -3, 0, 42, lots)));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(word(r, 0), levelId(1, BID, 100) << 40 | 1 << 152, "first");
        eq(word(r, 1), levelId(1, BID, 97) << 40 | 1 << 152, "second");
        eq(word(r, 2), 0, "left out");
        eq(word(r, 3), levelId(1, BID, 91) << 40 | 1 << 152, "fourth");
        eq(logs.length, 3, "three rest");
        isLog(logs[2], IExchange.Placed.selector, abi.encode(levelId(1, BID, 91) << 40, A), abi.encode(5 | 45 << 80 | uint256(POST_ONLY) << 144));
    }

    function testARungThatFailsIsSkippedAlone() public {
        ask(B, 101, 5);
        bytes memory batch = bytes.concat(opLadder(market, BID | POST_ONLY, 100, 1, 0, 0, rungs(3, 5)), opPlace(BID | POST_ONLY, 50, 1));
        refuseBatch(abi.encodeWithSelector(IExchange.WouldCross.selector, 101), A, bytes.concat(ops(false), batch));
        vm.recordLogs();
        bytes memory r = run(A, bytes.concat(ops(true), batch));
        isLog(vm.getRecordedLogs()[2], IExchange.Rejected.selector, abi.encode(A), abi.encode(2, 7, IExchange.WouldCross.selector, 0));
        require(word(r, 0) >> 255 == 0 && word(r, 3) >> 255 == 0, "the others rest");
        isRefused(r, 1, IExchange.WouldCross.selector);
        isRefused(r, 2, IExchange.WouldCross.selector);
    }

    function testOffTheRangeAndWrongModes() public {
        bytes memory r = run(A, bytes.concat(ops(true), opLadder(market, BID | POST_ONLY, 2, -1, 0, 0, rungs(4, 5))));
        isRefused(r, 2, IExchange.BadTick.selector);
        isRefused(r, 3, IExchange.BadTick.selector);
        r = run(A, bytes.concat(ops(true), opLadder(market, ASK | POST_ONLY, type(uint24).max, 1, 0, 0, rungs(2, 5))));
        isRefused(r, 1, IExchange.BadTick.selector);
        r = run(A, bytes.concat(ops(true), opLadder(market, ASK | GTC, 100, 1, 0, 0, rungs(1, 5)), opLadder(market, ASK | IOC, 100, 1, 0, 0, rungs(1, 5))));
        isRefused(r, 0, IExchange.BadMode.selector);
        isRefused(r, 1, IExchange.BadMode.selector);
        r = run(A, bytes.concat(ops(true), opLadder(9, ASK | POST_ONLY, 100, 1, 0, 0, rungs(1, 5)), opLadder(market, ASK | SLIDE, 5000, 1, 0, 0, rungs(1, 5))));
        isRefused(r, 0, IExchange.NoMarket.selector);
        eq(word(r, 1), levelId(1, ASK, 5000) << 40 | 1 << 152, "SLIDE may");
    }

    /// The requote of a market maker: what is gone already does not stop the rest.
    function testRequote() public {
        bytes memory r = run(A, bytes.concat(ops(true), opLadder(market, ASK | POST_ONLY, 100, 1, 0, 0, rungs(3, 5))));
        buy(B, 100, 5);
        uint256 first = levelId(1, ASK, 100) << 40;
        bytes memory batch = bytes.concat(ops(true), opCancel(first), opCancel(levelId(1, ASK, 101) << 40), opCancel(levelId(1, ASK, 102) << 40));
        r = run(A, bytes.concat(batch, opCancel(first), opLadder(market, ASK | POST_ONLY, 101, 1, 0, 0, rungs(3, 5))));
        eq(word(r, 0), 5 << 48, "filled: paid");
        eq(word(r, 1), 5, "back");
        isRefused(r, 3, IExchange.UnknownOrder.selector);
        eq(word(r, 6), levelId(1, ASK, 103) << 40 | 1 << 152, "the last rung");
    }
}
