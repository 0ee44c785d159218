// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Base} from "./Base.sol";

/// @notice The lens says what the words say.
contract LensTest is Base {
    uint32 constant A = 300;
    uint32 constant T = 305;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(T);
    }

    function testEmptyBook() public view {
        (uint24 b, uint24 a) = lens.best(market);
        eq(b, 0, "bid");
        eq(a, 0, "ask");
        eq(lens.depth(market, 0, 0, 5).length, 0, "bids");
        eq(lens.depth(market, 1, 0, 5).length, 0, "asks");
    }

    function testDepthFromTheTouchOutward() public {
        uint24[7] memory ticks = [uint24(1), 2, 255, 256, 65_535, 65_536, 16_777_215];
        for (uint256 i = 0; i < 7; ++i) {
            ask(A, ticks[i], uint48(i + 1));
        }
        ask(A, 256, 10);
        uint256[] memory levels = lens.depth(market, ASK, 0, 10);
        eq(levels.length, 7, "all");
        for (uint256 i = 0; i < 7; ++i) {
            eq(levels[i], ticks[i] | (i == 3 ? 14 : i + 1) << 24 | uint256(i == 3 ? 2 : 1) << 88, "level");
        }
        eq(lens.depth(market, ASK, 255, 2)[0] & 0xffffff, 255, "from is looked at");
        eq(lens.depth(market, ASK, 257, 2)[1] & 0xffffff, 65_536, "then on");
        market = createMarket(1, 0, 0);
        for (uint256 i = 0; i < 7; ++i) {
            bid(A, ticks[i], uint48(i + 1));
        }
        levels = lens.depth(market, BID, 0, 10);
        eq(levels.length, 7, "all");
        for (uint256 i = 0; i < 7; ++i) {
            eq(levels[i] & 0xffffff, ticks[6 - i], "downward");
        }
        eq(lens.depth(market, BID, 65_534, 1)[0] & 0xffffff, 256, "from");
        (uint24 b,) = lens.best(market);
        eq(b, 16_777_215, "best");
    }

    function testOrdersAndOneOfThem() public {
        market = createMarket(1, 500, 100);
        uint256 a = bid(A, 100, 5);
        uint256 b = bid(T, 100, 6);
        uint256 c = bid(A, 100, 7);
        cancel(T, b);
        sell(T, 100, 2);
        uint256[] memory orders = lens.orders(uint64(levelId(market, BID, 100)), 0, 9);
        eq(orders.length, 2, "no hole");
        eq(orders[0], 0 | uint256(A) << 40 | 3 << 72, "the head, less its fill");
        eq(orders[1], 2 | uint256(A) << 40 | 7 << 72, "the last");
        eq(lens.orders(uint64(levelId(market, BID, 100)), 1, 9).length, 1, "from");
        (uint32 account, uint48 lots, uint48 left, uint48 claimable,, uint8 state) = lens.orderInfo(a);
        require(account == A && lots == 5 && left == 3 && claimable == 2 && state == 1, "the head");
        sell(T, 100, 4);
        (account, lots, left, claimable,, state) = lens.orderInfo(a);
        require(account == A && lots == 5 && left == 0 && claimable == 5 && state == 2, "filled");
        (account,,,,, state) = lens.orderInfo(b);
        require(account == 0 && state == 0, "cancelled");

        uint256[] memory ids = new uint256[](3);
        (ids[0], ids[1], ids[2]) = (a, b, c);
        (uint256 free_, uint256 due, uint256 claimable_) = lens.balanceOf(A, address(base), ids);
        eq(free_, FUNDS, "free");
        eq(due, 0, "feeDue");
        x.claim(ids);
        (free_,,) = lens.balanceOf(A, address(base), ids);
        eq(free_, FUNDS + claimable_, "what it promised");
        eq(claimable_, 6000, "6 lots");
    }
}
