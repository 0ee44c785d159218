// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Orders that rest, and orders refused: the checks of place in their order, the level's bounds, escrow and the log.
contract PlaceTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant POOR = 302;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        set(7, POOR, uint160(ownerOf(POOR)));
    }

    function testAskRests() public {
        vm.recordLogs();
        vm.prank(ownerOf(A));
        (uint256 id, uint48 filled) = x.place(A, market, ASK | GTC, 100, 7, 0, 42, 0);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(id, levelId(1, ASK, 100) << 40, "id");
        eq(filled, 0, "filled");
        eq(logs.length, 1, "only Placed: a GTC that meets nobody takes nothing");
        isLog(logs[0], IExchange.Placed.selector, abi.encode(id, A), abi.encode(7 | 42 << 80 | uint256(ASK | GTC) << 144));
        eq(free(A, 2), FUNDS - 7 * BASE_PER_LOT, "base in escrow");
        eq(get(8, uint256(A) << 24 | 2) >> 240, 1, "rested");
        eq(get(8, uint256(A) << 24 | 3) >> 240, 0, "not of the quote");
        isLevel(ASK, 100, 1, 0, 0, 7);
        require(leafBit(1, ASK, 100), "leaf bit");
        eq(get(10, 1 << 40 | 1 << 36 | 1 << 32), 1, "depth 1");
        eq(get(10, 1 << 40 | 1 << 36), 1, "root");
    }

    function testBidEscrowsItsPriceAndTheMakersFee() public {
        market = createMarket(1, 500, 0);
        bid(A, 33, 3);
        eq(free(A, 3), FUNDS - 3 * 330, "no maker fee");
        market = createMarket(1, 500, 1);
        bid(A, 33, 3);
        eq(free(A, 3), FUNDS - 3 * 330 - 3 * 331, "a fee of 330e-6 atoms per lot rounds up to 1");
        market = createMarket(1, 500, -500);
        bid(A, 33, 3);
        eq(free(A, 3), FUNDS - 3 * 330 - 3 * 331 - 3 * 330, "a rebate is not in escrow");
    }

    function testFirstAccountIsAccountZero() public {
        vm.prank(ownerOf(A));
        x.place(0, market, ASK | GTC, 100, 7, 0, 0, 0);
        eq(record(levelId(1, ASK, 100) << 40), uint256(A) << 48 | 7, "record");
    }

    function testPostOnlyNamesTheBestLevelItCrosses() public {
        ask(A, 70_000, 1);
        ask(A, 300, 1);
        ask(A, 200, 1);
        refuse(abi.encodeWithSelector(IExchange.WouldCross.selector, 200), B, BID | POST_ONLY, 200, 1);
        refuse(abi.encodeWithSelector(IExchange.WouldCross.selector, 200), B, BID | POST_ONLY, 16_777_215, 1);
        bid(B, 199, 1);
        bid(B, 5, 1);
        refuse(abi.encodeWithSelector(IExchange.WouldCross.selector, 199), A, ASK | POST_ONLY, 199, 1);
        refuse(abi.encodeWithSelector(IExchange.WouldCross.selector, 199), A, ASK | POST_ONLY, 1, 1);
    }

    /// The order of the checks: each line mends what the line before was refused for.
    function testChecksInOrder() public {
        halt(3);
        uint8 bad = 5 << 1; // no such tif
        bytes memory mode = err(IExchange.BadMode.selector);
        refuse(err(IExchange.NoMarket.selector), A, 9, bad, 0, 0, 1, 0);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(A));
        x.place(B, market, bad, 0, 0, 1, 0, 0);
        refuse(mode, A, bad, 0, 0);
        refuse(mode, A, 7 << 1, 0, 0);
        refuse(mode, A, IOC | 5 << 4, 0, 0); // no such self-trade mode
        refuse(mode, A, IOC | 7 << 4, 0, 0);
        refuse(mode, A, GTC | 1 << 7, 0, 0); // TRACK without a number
        refuse(abi.encodeWithSelector(IExchange.NotLive.selector, 3), A, GTC, 0, 0);
        refuse(abi.encodeWithSelector(IExchange.NotLive.selector, 3), A, POST_ONLY, 0, 0);
        halt(2);
        refuse(abi.encodeWithSelector(IExchange.NotLive.selector, 2), A, GTC, 0, 0);
        refuse(abi.encodeWithSelector(IExchange.NotLive.selector, 2), A, IOC, 0, 0);
        refuse(abi.encodeWithSelector(IExchange.NotLive.selector, 2), A, FOK, 0, 0);
        refuse(err(IExchange.BadTick.selector), A, POST_ONLY, 0, 0);
        refuse(err(IExchange.BadLots.selector), A, POST_ONLY, 1, 0);
        refuse(err(IExchange.BadLots.selector), A, POST_ONLY, 1, 1 << 47);
        refuse(err(IExchange.Expired.selector), A, market, POST_ONLY, 1, 1, uint32(block.timestamp), 0);
        refuse(err(IExchange.Insufficient.selector), POOR, POST_ONLY, 1, (1 << 47) - 1);
        bid(A, 1, 1);
    }

    function testMinLots() public {
        market = createMarket(5, 0, 0);
        refuse(err(IExchange.BadLots.selector), A, ASK | GTC, 100, 4);
        ask(A, 100, 5);
        // What a fill leaves may be less, and stays.
        place(B, BID | GTC, 100, 9);
        isLevel(BID, 100, 1, 0, 0, 4);
    }

    function testStrangersAndNobodyAreRefused() public {
        bytes memory e = err(IExchange.NotAuthorized.selector);
        vm.expectRevert(e);
        x.place(A, market, ASK, 100, 1, 0, 0, 0);
        vm.expectRevert(e);
        x.place(0, market, ASK, 100, 1, 0, 0, 0); // no first account
        vm.expectRevert(e);
        x.place(777, market, ASK, 100, 1, 0, 0, 0); // nobody's
    }

    function testTicksAtTheEnds() public {
        bid(A, 1, 1);
        ask(A, 16_777_215, 1);
        (uint24 bestBid, uint24 bestAsk) = lens.best(market);
        eq(bestBid, 1, "bid");
        eq(bestAsk, 16_777_215, "ask");
        eq(buy(B, 16_777_215, 1), 1, "bought");
        eq(sell(B, 1, 1), 1, "sold");
        eq(get(10, 1 << 40), 0, "root of bids is 0 again");
        eq(get(10, 1 << 40 | 1 << 36), 0, "root of asks is 0 again");
    }

    function testLevelFullOfIndexes() public {
        uint256 last = type(uint40).max;
        set(11, levelId(1, ASK, 100), (last - 1) << 216 | (last - 1) << 176);
        uint256 id = ask(A, 100, 1);
        eq(id & type(uint40).max, last - 1, "the last index");
        refuse(err(IExchange.LevelFull.selector), A, ASK | POST_ONLY, 100, 1);
        eq(buy(B, 100, 1), 1, "it still trades");
        claim(id);
        refuse(err(IExchange.LevelFull.selector), A, ASK | POST_ONLY, 100, 1);
    }

    function testLevelFullOfLots() public {
        ask(A, 100, 1);
        uint256 open = type(uint64).max - 4;
        set(11, levelId(1, ASK, 100), uint256(1) << 216 | open << 64);
        ask(A, 100, 4);
        refuse(err(IExchange.LevelFull.selector), A, ASK | POST_ONLY, 100, 1);
    }

    /// Nobody's balance but the owner's: the escrow of two makers at one price does not meet.
    function testIdsNeverRepeat() public {
        uint256 first = ask(A, 100, 1);
        cancel(A, first);
        uint256 second = ask(A, 100, 1);
        buy(B, 100, 1);
        uint256 third = ask(A, 100, 1);
        eq(second, first + 1, "after a cancel");
        eq(third, first + 2, "after a fill");
    }

    /// Cost of a place does not depend on what else is in the book: a thousand ticks away or none.
    function testFarOrdersDoNotReadTheTouch() public {
        ask(A, 5000, 1);
        ask(A, 5000, 1);
        ask(A, 5000, 1);
        uint256 before = lastGas;
        for (uint24 tick = 1; tick < 40; ++tick) {
            bid(B, tick * 100, 1);
        }
        ask(A, 5000, 1);
        ask(A, 5000, 1);
        require(lastGas <= before, "a place became dearer");
    }
}
