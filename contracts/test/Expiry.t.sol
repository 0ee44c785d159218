// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice Orders that end: what may be placed, who passes them, what they are owed, and that they never stand in anybody's way.
contract ExpiryTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant T = 305;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
        vm.warp(1000);
    }

    function testAtLeastASecondOrMinTtl() public {
        bytes memory e = err(IExchange.Expired.selector);
        refuse(e, A, market, ASK | POST_ONLY, 100, 1, 1000, 0);
        refuse(e, A, market, ASK | IOC, 100, 1, 1000, 0);
        placeUntil(A, ASK | POST_ONLY, 100, 1, 1001);
        placeUntil(A, BID | IOC, 50, 1, 1001);
        market = x.createMarket(address(base), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 500, 0, 60, 1);
        refuse(e, A, market, ASK | POST_ONLY, 100, 1, 1059, 0);
        refuse(e, A, market, ASK | GTC, 100, 1, 1059, 0);
        refuse(e, A, market, ASK | SLIDE, 100, 1, 1059, 0);
        placeUntil(A, ASK | GTC, 100, 1, 1060);
        placeUntil(A, BID | FOK, 100, 1, 1001); // what never rests needs only a second
        placeUntil(A, ASK | POST_ONLY, 100, 1, 0);
    }

    function testMinExpiryFallsAndStays() public {
        placeUntil(A, ASK | POST_ONLY, 100, 1, 0);
        eq(level(ASK, 100).minExpiry, 0, "for ever");
        uint256 b = placeUntil(A, ASK | POST_ONLY, 100, 1, 2000);
        eq(level(ASK, 100).minExpiry, 2000, "the first");
        uint256 c = placeUntil(A, ASK | POST_ONLY, 100, 1, 1500);
        placeUntil(A, ASK | POST_ONLY, 100, 1, 3000);
        eq(level(ASK, 100).minExpiry, 1500, "the least");
        cancel(A, c);
        cancel(A, b);
        eq(level(ASK, 100).minExpiry, 1500, "a lower bound");
        eq(record(b), 0, "gone");
        buy(T, 100, 2);
        isLevel(ASK, 100, 4, 4, 0, 0);
    }

    function testTakerPassesAndNeverFillsThem() public {
        uint256 a = placeUntil(A, ASK | POST_ONLY, 100, 5, 1100);
        uint256 b = placeUntil(B, ASK | POST_ONLY, 100, 7, 0);
        uint256 c = placeUntil(A, ASK | POST_ONLY, 100, 9, 1101);
        buy(T, 100, 2);
        vm.warp(1100);
        vm.recordLogs();
        eq(buy(T, 100, 30), 16, "B and C");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(a), abi.encode(0, 3, 5));
        eq(logs.length, 3, "then the level, then the taker");
        eq(record(a), 1 << 127 | 2 << 80 | uint256(A) << 48 | 3, "to refund, and filled before");
        isLevel(ASK, 100, 3, 3, 0, 0);
        uint256 quote_ = free(A, 3);
        uint256 base_ = free(A, 2);
        claim(a);
        claim(c);
        claim(b);
        eq(free(A, 3) - quote_, 11 * 1000, "two and nine lots paid");
        eq(free(A, 2) - base_, 3 * 1000, "three back");
    }

    function testWhollyExpiredLevelsBlockNobody() public {
        placeUntil(A, ASK | POST_ONLY, 100, 5, 1100);
        placeUntil(A, ASK | POST_ONLY, 101, 5, 1100);
        placeUntil(B, ASK | POST_ONLY, 102, 5, 0);
        refuse(abi.encodeWithSelector(IExchange.WouldCross.selector, 100), T, BID | POST_ONLY, 101, 1);
        vm.warp(1100);
        refuse(err(IExchange.StepLimit.selector), T, market, BID | POST_ONLY, 101, 1, 0, 1);
        uint256 snapshot = vm.snapshotState();
        bid(T, 101, 1);
        require(!leafBit(1, ASK, 100) && !leafBit(1, ASK, 101) && leafBit(1, BID, 101), "cleared on the way");
        vm.revertToState(snapshot);
        refuse(abi.encodeWithSelector(IExchange.WouldCross.selector, 102), T, BID | POST_ONLY, 102, 1);
        require(leafBit(1, ASK, 100), "a refusal leaves no trace");
        vm.recordLogs();
        (uint256 id, uint48 filled) = place(T, BID | GTC, 101, 4);
        eq(vm.getRecordedLogs().length, 5, "two expired, two levels, one rests: nobody was taken from");
        eq(filled, 0, "filled");
        eq(id, levelId(1, BID, 101) << 40, "rests");
    }

    function testPrune() public {
        uint256 a = placeUntil(A, ASK | POST_ONLY, 100, 5, 1100);
        cancel(A, placeUntil(A, ASK | POST_ONLY, 100, 5, 1100));
        placeUntil(A, ASK | POST_ONLY, 100, 5, 1100);
        placeUntil(B, ASK | POST_ONLY, 100, 7, 1200);
        placeUntil(B, ASK | POST_ONLY, 100, 7, 1100);
        uint64 id = uint64(levelId(1, ASK, 100));
        vm.recordLogs();
        x.prune(id, 0);
        x.prune(uint64(levelId(1, BID, 100)), 0);
        x.prune(type(uint64).max, 0);
        eq(vm.getRecordedLogs().length, 0, "nothing to do is no error");
        vm.warp(1100);
        x.prune(id, 1);
        isLevelAt(1, 0, 19, 1100);
        vm.recordLogs();
        x.prune(id, 0);
        isLevelAt(3, 0, 14, 1100);
        eq(vm.getRecordedLogs().length, 2, "one order, one level");
        vm.warp(1200);
        x.prune(id, 0);
        isLevel(ASK, 100, 5, 5, 0, 0);
        require(!leafBit(1, ASK, 100), "bit");
        (uint48 back,) = cancel(A, a);
        eq(back, 5, "an expired order is paid by a cancel as well");
    }

    function isLevelAt(uint256 head, uint256 headFilled, uint256 open, uint256 minExpiry) private view {
        Level memory l = level(ASK, 100);
        eq(l.head, head, "head");
        eq(l.headFilled, headFilled, "headFilled");
        eq(l.open, open, "open");
        eq(l.minExpiry, minExpiry, "minExpiry");
    }

    function testExpiredButNotPassedIsCancelledAndReducedAsAlive() public {
        uint256 a = placeUntil(A, ASK | POST_ONLY, 100, 5, 1100);
        vm.warp(2000);
        eq(reduce(A, a, 3), 2, "reduced");
        (uint48 back, uint48 filled) = cancel(A, a);
        eq(back, 3, "back");
        eq(filled, 0, "filled");
    }
}
