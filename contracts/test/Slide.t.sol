// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";

/// @notice SLIDE: rests beside the best it would cross.
contract SlideTest is Batches {
    uint32 constant A = 300;
    uint32 constant T = 305;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(T);
    }

    function testRestsWhereItIsIfNothingCrosses() public {
        (uint256 id, uint48 filled) = place(T, BID | SLIDE, 100, 4);
        eq(id, levelId(1, BID, 100) << 40, "id");
        eq(filled, 0, "filled");
    }

    function testBidSlidesBelowTheBestAsk() public {
        ask(A, 100, 5);
        (uint256 id,) = place(T, BID | SLIDE, 500, 4);
        eq(id, levelId(1, BID, 99) << 40, "id");
        eq(free(T, 3), FUNDS - 4 * 990, "escrow at the tick it rests at");
    }

    function testAskSlidesAboveTheBestBid() public {
        bid(A, 100, 5);
        (uint256 id,) = place(T, ASK | SLIDE, 1, 4);
        eq(id, levelId(1, ASK, 101) << 40, "id");
    }

    function testOffTheRange() public {
        ask(A, 1, 5);
        refuse(err(IExchange.BadTick.selector), T, BID | SLIDE, 1, 4);
        cancel(A, levelId(1, ASK, 1) << 40);
        bid(A, type(uint24).max, 1);
        refuse(err(IExchange.BadTick.selector), T, ASK | SLIDE, 5, 4);
    }

    function testPassesExpiredLevels() public {
        placeUntil(A, ASK | POST_ONLY, 100, 5, uint32(block.timestamp + 10));
        ask(A, 103, 5);
        vm.warp(block.timestamp + 10);
        (uint256 id,) = place(T, BID | SLIDE, 200, 4);
        eq(id, levelId(1, BID, 102) << 40, "beside the first that lives");
        require(!leafBit(1, ASK, 100), "the dead one is gone");
    }
}
