// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice The owner's own numbers: TRACK, CANCEL_CLOID, a cancel that arrives before its order.
contract CloidsTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        vm.warp(1000);
    }

    function tracked(uint8 mode, uint24 tick, uint48 lots, uint64 cloid) private returns (bytes memory) {
        return run(A, bytes.concat(ops(true), opPlace(market, mode | TRACK, tick, lots, 0, cloid, 0)));
    }

    function cloidWord(uint64 cloid) private view returns (uint256) {
        return get(15, uint256(A) << 64 | cloid);
    }

    function cancelCloid(uint64 cloid, uint40 until) private returns (bytes memory) {
        return run(A, bytes.concat(ops(true), opCancelCloid(cloid, until)));
    }

    function testTrackAndCancel() public {
        uint256 id = word(tracked(ASK | POST_ONLY, 100, 5, 7), 0) & type(uint104).max;
        eq(cloidWord(7), 1 << 255 | id, "tracked");
        isRefused(tracked(ASK | POST_ONLY, 101, 5, 7), 0, IExchange.CloidInUse.selector);
        ask(A, 102, 5); // without TRACK nobody asks
        buy(B, 100, 2);
        eq(word(cancelCloid(7, 0), 0), 3 | 2 << 48, "as CANCEL");
        eq(cloidWord(7), 0, "free");
        tracked(ASK | POST_ONLY, 101, 5, 7);
    }

    function testGoneAlready() public {
        uint256 id = word(tracked(ASK | POST_ONLY, 100, 5, 7), 0) & type(uint104).max;
        cancel(A, id);
        isRefused(tracked(ASK | POST_ONLY, 101, 5, 7), 0, IExchange.CloidInUse.selector); // only CANCEL_CLOID frees it
        eq(word(cancelCloid(7, 0), 0), 0, "nothing to give back");
        eq(cloidWord(7), 0, "free");
        isRefused(cancelCloid(7, 1000), 0, IExchange.UnknownOrder.selector);
    }

    function testPreCancel() public {
        vm.recordLogs();
        eq(word(cancelCloid(7, 1010), 0), 0, "result");
        isLog(vm.getRecordedLogs()[0], IExchange.CloidPreCancelled.selector, abi.encode(A), abi.encode(7, 1010));
        vm.warp(1010);
        isRefused(tracked(ASK | POST_ONLY, 100, 5, 7), 0, IExchange.PreCancelled.selector);
        place(A, ASK | POST_ONLY, 100, 5);
        vm.warp(1011);
        eq(word(tracked(ASK | POST_ONLY, 100, 5, 7), 0) >> 255, 0, "over");
    }

    function testOnlyWhatRestsIsTracked() public {
        ask(B, 100, 5);
        tracked(BID | IOC, 100, 2, 8);
        eq(cloidWord(8), 0, "an IOC");
        tracked(BID | GTC, 100, 3, 8);
        eq(cloidWord(8), 0, "a GTC that was filled");
        tracked(BID | GTC, 100, 3, 8);
        eq(cloidWord(8), 1 << 255 | levelId(1, BID, 100) << 40, "a GTC that rests");
        isRefused(tracked(BID | GTC, 100, 3, 0), 0, IExchange.BadMode.selector);
    }

    function testLadderTracksEachRung() public {
        run(A, bytes.concat(ops(true), opLadder(market, ASK | POST_ONLY | TRACK, 100, 1, 0, 20, rungs(3, 1))));
        eq(cloidWord(22), 1 << 255 | levelId(1, ASK, 102) << 40, "the third");
    }
}
