// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

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

    /// A dead order is nowhere in the book, whether storage has passed it or not; what it gets back is said to the atom.
    function testExpiredOrdersAreLeftOut() public {
        vm.warp(900);
        uint256 a = until(A, 100, 5, 1000);
        uint256 b = until(T, 100, 7, 0);
        uint256 c = until(A, 200, 3, 1000);
        buy(T, 100, 2);
        vm.warp(1000);
        uint256[] memory levels = lens.depth(market, ASK, 0, 9);
        eq(levels.length, 1, "the second level is dead");
        eq(levels[0], 100 | 7 << 24 | 1 << 88, "one order of 7");
        eq(lens.orders(uint64(a >> 40), 0, 9)[0] & type(uint40).max, 1, "the second in the queue");
        (, uint48 lots, uint48 left, uint48 claimable, uint32 expiry, uint8 state) = lens.orderInfo(a);
        require(lots == 5 && left == 0 && claimable == 2 && expiry == 1000 && state == 3, "expired, not passed");
        (,,,,, state) = lens.orderInfo(b);
        eq(state, 1, "alive");
        promised(A, a, c);

        cancel(T, b);
        (, uint24 best) = lens.best(market);
        eq(best, 0, "nothing is alive");
        require(leafBit(market, ASK, 100) && leafBit(market, ASK, 200), "though storage has both levels");
        (uint48 filled,,,, uint16 steps) = lens.quoteTake(T, market, BID, 300, 9, type(uint128).max);
        require(filled == 0 && steps == 2, "a take would pass both orders");

        x.prune(uint64(a >> 40), 0);
        (, lots, left, claimable,, state) = lens.orderInfo(a);
        require(lots == 3 + claimable && left == 0 && claimable == 0 && state == 4, "passed");
        promised(A, a, c);
    }

    function promised(uint32 account, uint256 a, uint256 b) private {
        uint256[] memory ids = new uint256[](2);
        (ids[0], ids[1]) = (a, b);
        (uint256 free0,, uint256 more0) = lens.balanceOf(account, address(base), ids);
        (uint256 free1,, uint256 more1) = lens.balanceOf(account, address(quote), ids);
        x.claim(ids);
        eq(free(account, 2), free0 + more0, "base");
        eq(free(account, 3), free1 + more1, "quote");
    }

    function until(uint32 account, uint24 tick, uint48 lots, uint32 expiry) private returns (uint256 id) {
        vm.prank(ownerOf(account));
        (id,) = x.place(account, market, ASK | POST_ONLY, tick, lots, expiry, 0, 0);
    }

    /// More expired orders than one view walks: the rest counts as alive, and a view that stops at the first living order still finds it.
    function testAWalkIsBounded() public {
        vm.warp(900);
        uint256 id = levelId(market, ASK, 100);
        until(A, 100, 1, 1000);
        for (uint256 i = 0; i < 1500; ++i) {
            set(12, id << 40 | i, (uint256(1000) << 80 | uint256(A) << 48 | 1) * (1 << 128 | 1)); // two orders of one lot
        }
        set(11, id, uint256(3000) << 216 | 3000 << 64 | 1000 << 32);
        vm.warp(1000);
        eq(lens.depth(market, ASK, 0, 1)[0], 100 | (3000 - 1024) << 24 | (3000 - 1024) << 88, "1,024 were looked at");
    }

    /// Calls to the exchange, not slots, are what a view pays for in `eth_call`: a book of a hundred levels takes a handful.
    function testFewCalls() public {
        for (uint24 i = 1; i <= 100; ++i) {
            ask(A, i * 7, 1);
        }
        vm.startStateDiffRecording();
        eq(lens.depth(market, ASK, 0, 100).length, 100, "levels");
        Vm.AccountAccess[] memory calls = vm.stopAndReturnStateDiff();
        uint256 count;
        for (uint256 i = 0; i < calls.length; ++i) {
            if (calls[i].account == address(x) && calls[i].accessor == address(lens)) ++count;
        }
        require(count > 0 && count <= 8, string.concat("calls: ", vm.toString(count)));
    }

    /// Refusals that a random book does not reach.
    function testRefusalsAtTheEnds() public {
        set(11, levelId(market, ASK, 100), uint256(type(uint40).max) << 216 | uint256(type(uint40).max) << 176);
        require(says(ASK | POST_ONLY, 100, 1) == IExchange.LevelFull.selector, "no index left");
        set(11, levelId(market, ASK, 300), uint256(1) << 216 | uint256(type(uint64).max - 5) << 64);
        require(says(ASK | POST_ONLY, 300, 6) == IExchange.LevelFull.selector, "no room");
        require(says(ASK | POST_ONLY, 300, 5) == 0, "room");
        ask(A, 1, 1);
        require(says(BID | 2 << 1, 1, 1) == IExchange.BadTick.selector, "no tick behind 1");
        set(8, uint256(T) << 24 | 2, type(uint128).max);
        require(says(BID | IOC, 1, 1) == IExchange.BadAmount.selector, "no room for the credit");
    }

    /// What an own order has filled is not paid when it only shrinks, so it cannot pay for what is taken in the same operation; when it goes, it can.
    function testOwnOrdersThatShrinkPayNothing() public {
        ask(T, 100, 10);
        buy(A, 100, 4);
        ask(A, 99, 5);
        set(8, uint256(T) << 24 | 3, 4952); // one atom short of 5 x 990 and a fee of 3
        uint8 decrement = BID | IOC | 4 << 4;
        require(says(decrement, 100, 8) == IExchange.Insufficient.selector, "3 of 6 lots: it stays");
        require(says(decrement, 100, 11) == 0, "all 6: it goes, and is paid 4 lots");
    }

    function says(uint8 mode, uint24 tick, uint48 lots) private returns (bytes4 said) {
        vm.prank(ownerOf(T));
        said = lens.canPlace(T, market, mode, tick, lots, 0, 0, 0);
        uint256 state = vm.snapshotState();
        vm.prank(ownerOf(T));
        (bool ok, bytes memory answer) = address(x).call(abi.encodeCall(IExchange.place, (T, market, mode, tick, lots, 0, 0, 0)));
        require(said == (ok ? bytes4(0) : bytes4(answer)), "place says otherwise");
        vm.revertToState(state);
    }
}
