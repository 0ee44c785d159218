// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Matching: sweep and walk, limits, steps, holes, what rests of a GTC, all or nothing, fees and rebates to the atom.
contract TakeTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant T = 305;
    uint32 constant POOR = 306;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
        set(7, POOR, uint160(ownerOf(POOR)));
    }

    function taken(uint8 mode, uint48 wanted, uint48 filled, uint8 reason) private pure returns (uint256) {
        return wanted | uint256(filled) << 48 | uint256(mode) << 160 | uint256(reason) << 168;
    }

    function testSweepAcrossLevelsBestPriceFirst() public {
        ask(A, 102, 5);
        ask(A, 70_000, 5);
        ask(A, 100, 5);
        ask(B, 100, 5);
        vm.recordLogs();
        eq(buy(T, 70_000, 17), 17, "filled");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(logs.length, 4, "three levels, one taker");
        // Best price first; each log carries the word its level has from now on.
        uint24[3] memory ticks = [uint24(100), 102, 70_000];
        for (uint256 i = 0; i < 3; ++i) {
            uint256 id = levelId(1, ASK, ticks[i]);
            isLog(logs[i], IExchange.LevelFill.selector, abi.encode(id), abi.encode(get(11, id)));
        }
        uint256 atoms = 10 * 1000 + 5 * 1020 + 2 * 700_000;
        isLog(logs[3], IExchange.Taken.selector, abi.encode(1, T), abi.encode(taken(IOC, 17, 17, 0), atoms, (atoms * 500 + 999_999) / 1e6));
        isLevel(ASK, 100, 2, 2, 0, 0);
        isLevel(ASK, 70_000, 1, 0, 2, 3);
        require(!leafBit(1, ASK, 100) && !leafBit(1, ASK, 102) && leafBit(1, ASK, 70_000), "bits");
    }

    function testSellTakesTheHighestBidFirst() public {
        bid(A, 100, 5);
        bid(B, 300, 5);
        bid(B, 299, 5);
        vm.recordLogs();
        eq(sell(T, 299, 12), 10, "filled down to the limit");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(uint256(logs[0].topics[1]), levelId(1, BID, 300), "best first");
        isLog(logs[2], IExchange.Taken.selector, abi.encode(1, T), abi.encode(taken(IOC | ASK, 12, 10, 1), 29_950, 15));
        eq(free(T, 3), FUNDS + 29_950 - 15, "proceeds less the fee");
        eq(free(T, 2), FUNDS - 10_000, "base");
        eq(feeDue(T, 3), 15, "fee due");
    }

    function testIocOnAnEmptyBookIsNoError() public {
        vm.recordLogs();
        eq(buy(T, 100, 5), 0, "filled");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(logs.length, 1, "it always says what it got");
        isLog(logs[0], IExchange.Taken.selector, abi.encode(1, T), abi.encode(taken(IOC, 5, 0, 1), 0, 0));
    }

    function testGtcTakesThenRests() public {
        ask(A, 100, 5);
        vm.recordLogs();
        (uint256 id, uint48 filled) = place(T, BID | GTC, 101, 8);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(filled, 5, "filled");
        eq(id, levelId(1, BID, 101) << 40, "id");
        isLog(logs[1], IExchange.Taken.selector, abi.encode(1, T), abi.encode(taken(GTC, 8, 5, 1), 5000, 3));
        isLog(logs[2], IExchange.Placed.selector, abi.encode(id, T), abi.encode(3));
        eq(free(T, 3), FUNDS - 5003 - 3 * 1010, "paid and in escrow");
    }

    function testGtcFilledWhollyRestsNothing() public {
        ask(A, 100, 5);
        (uint256 id, uint48 filled) = place(T, BID | GTC, 101, 5);
        eq(id, 0, "id");
        eq(filled, 5, "filled");
    }

    function testGtcOutOfStepsDropsTheRest() public {
        for (uint24 tick = 100; tick < 103; ++tick) {
            ask(A, tick, 1);
        }
        vm.recordLogs();
        (uint256 id, uint48 filled) = place(T, market, BID | GTC, 200, 9, 2);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(id, 0, "it would cross what it did not reach");
        eq(filled, 2, "filled");
        isLog(logs[2], IExchange.Taken.selector, abi.encode(1, T), abi.encode(taken(GTC, 9, 2, 2), 2010, 2));
    }

    function testFokAllOrNothing() public {
        ask(A, 100, 5);
        ask(A, 101, 5);
        refuse(abi.encodeWithSelector(IExchange.NotFilled.selector, 10), T, BID | FOK, 101, 11);
        refuse(abi.encodeWithSelector(IExchange.NotFilled.selector, 5), T, BID | FOK, 100, 6);
        refuse(abi.encodeWithSelector(IExchange.NotFilled.selector, 5), T, market, BID | FOK, 101, 10, 0, 1);
        isLevel(ASK, 100, 1, 0, 0, 5);
        (, uint48 filled) = place(T, BID | FOK, 101, 10);
        eq(filled, 10, "all");
    }

    function testWalkKeepsQueueOrder() public {
        uint256 a = ask(A, 100, 4);
        uint256 b = ask(B, 100, 4);
        uint256 c = ask(A, 100, 4);
        eq(buy(T, 100, 3), 3, "part of the head");
        isLevel(ASK, 100, 3, 0, 3, 9);
        eq(buy(T, 100, 1), 1, "the rest of the head");
        isLevel(ASK, 100, 3, 1, 0, 8);
        eq(buy(T, 100, 6), 6, "the next, and a part");
        isLevel(ASK, 100, 3, 2, 2, 2);
        claim(a);
        claim(b);
        claim(c);
        eq(free(A, 3), FUNDS + 6000, "A");
        eq(free(B, 3), FUNDS + 4000, "B");
        eq(record(c), uint256(A) << 48 | 2, "C rests with 2");
    }

    function testHolesCostAStepOnce() public {
        uint256[6] memory ids;
        for (uint256 i = 0; i < 6; ++i) {
            ids[i] = ask(A, 100, 2);
        }
        for (uint256 i = 1; i < 5; ++i) {
            cancel(A, ids[i]);
        }
        isLevel(ASK, 100, 6, 0, 0, 4);
        (, uint48 filled) = place(T, market, BID | IOC, 100, 3, 3); // the head, two holes
        eq(filled, 2, "filled");
        isLevel(ASK, 100, 6, 3, 0, 2);
        (, filled) = place(T, market, BID | IOC, 100, 1, 3); // two holes, a part of the last
        eq(filled, 1, "filled");
        isLevel(ASK, 100, 6, 5, 1, 1);
        (, filled) = place(T, market, BID | IOC, 100, 9, 1); // one step sweeps
        eq(filled, 1, "filled");
        isLevel(ASK, 100, 6, 6, 0, 0);
    }

    /// maxSteps 0 means 256: swept levels and walked records.
    function testDefaultSteps() public {
        for (uint256 i = 0; i < 258; ++i) {
            ask(A, 100, 1);
        }
        (, uint48 filled) = place(T, market, BID | IOC, 100, 257, 0);
        eq(filled, 256, "steps");
        (, filled) = place(T, market, BID | IOC, 100, 2, 0);
        eq(filled, 2, "the next taker goes on");
    }

    /// Money is judged by what is spent, not by the limit.
    function testFundsForWhatIsSpent() public {
        fund(POOR, quote, 1001);
        ask(A, 100, 5);
        refuse(err(IExchange.Insufficient.selector), POOR, BID | IOC, 100, 2);
        eq(buy(POOR, 16_000_000, 1), 1, "1,000 and a fee of 1");
        eq(free(POOR, 3), 0, "all spent");
        refuse(err(IExchange.Insufficient.selector), POOR, BID | FOK, 100, 9); // funds before NotFilled
        refuse(err(IExchange.Insufficient.selector), POOR, ASK | GTC, 100, 2);
    }

    function testOneFeeARounding() public {
        ask(A, 1, 1);
        ask(A, 2, 1);
        ask(A, 3, 1);
        buy(T, 3, 3); // 10 + 20 + 30 = 60 at 500 ppm: 0.03
        eq(feeDue(T, 3), 1, "rounded up once, not once a level");
    }

    function testMakerFee() public {
        market = createMarket(1, 500, 150);
        uint256 a = ask(A, 333, 3); // u 3,330, m ceil(0.4995) = 1
        buy(T, 333, 3);
        eq(feeDue(T, 3), 5, "taker ceil(4.995)");
        claim(a);
        eq(free(A, 3), FUNDS + 9990 - 3, "an ask pays from its proceeds");
        eq(feeDue(A, 3), 3, "owed");
        uint256 b = bid(B, 333, 3);
        sell(T, 333, 3);
        claim(b);
        eq(free(B, 3), FUNDS - 3 * 3331, "a bid paid with its escrow");
        eq(feeDue(B, 3), 3, "owed");
        eq(free(B, 2), FUNDS + 3000, "base");
    }

    function testMakerRebate() public {
        market = createMarket(1, 500, -300);
        uint256 a = ask(A, 1000, 3); // u 10,000, rebate 3
        buy(T, 1000, 3);
        eq(free(T, 3), FUNDS - 30_015, "the taker pays 15");
        eq(feeDue(T, 3), 15 - 9, "9 are set aside for the maker");
        claim(a);
        eq(free(A, 3), FUNDS + 30_009, "the maker earns them");
        eq(feeDue(A, 3), 0, "and owes nothing");
        uint256 b = bid(B, 333, 3); // u 3,330, rebate floor(0.999) = 0
        sell(T, 333, 3);
        claim(b);
        eq(free(B, 3), FUNDS - 9990, "rounded down");
    }

    /// The taker's rate never falls below what the maker is promised, whatever the tier.
    function testTierNeverEatsTheRebate() public {
        market = createMarket(1, 500, -400);
        set(7, T, uint160(ownerOf(T)) | 15 << 160);
        ask(A, 10_000, 10); // 1,000,000 quote atoms
        buy(T, 10_000, 10);
        eq(free(T, 3), FUNDS - 1_000_400, "400 ppm, not 31");
        eq(feeDue(T, 3), 0, "all of it is the maker's");
        market = createMarket(1, 500, 0);
        ask(A, 10_000, 10);
        buy(T, 10_000, 10);
        eq(feeDue(T, 3), 32, "a sixteenth of 500 ppm, 31.25, rounded up");
    }

    function testOwnOrdersMayMeet() public {
        ask(T, 100, 5);
        eq(buy(T, 100, 5), 5, "stp NONE");
        claim(levelId(1, ASK, 100) << 40);
        eq(free(T, 2), FUNDS, "base came round");
        eq(free(T, 3) + feeDue(T, 3), FUNDS, "quote too, less the fee");
    }

    function testLargestOrder() public {
        uint48 most = (1 << 47) - 1;
        ask(A, 16_777_215, most);
        fund(T, quote, 1e26);
        eq(buy(T, 16_777_215, most), most, "filled");
        uint256 atoms = uint256(most) * 16_777_215 * 10;
        eq(feeDue(T, 3), (atoms * 500 + 999_999) / 1e6, "fee");
    }

    /// A take in steps of one ends in the same book as one take, past holes and expired orders.
    function testStepsOfOne(uint256 seed) public {
        for (uint256 i = 0; i < 12; ++i) {
            uint32 maker = i & 1 == 0 ? A : B;
            vm.prank(ownerOf(maker));
            (uint256 id,) = x.place(
                maker, market, ASK | POST_ONLY, 100 + uint24(seed >> (i * 4) & 3), 1 + uint48(seed >> (i * 8) & 7), seed >> (120 + i) & 3 == 0 ? 1050 : 0, 0, 0
            );
            if (seed >> (100 + i) & 3 == 0) cancel(maker, id);
        }
        vm.warp(1050); // about a quarter of them has expired
        uint48 lots = 1 + uint48(seed >> 200) % 50;
        uint256 start = vm.snapshotState();
        uint48 at_once = buy(T, 103, lots);
        uint256[4] memory words;
        for (uint24 i = 0; i < 4; ++i) {
            words[i] = get(11, levelId(1, ASK, 100 + i));
        }
        vm.revertToState(start);
        uint48 filled;
        for (uint256 i = 0; i < 60 && filled < lots; ++i) {
            (, uint48 more) = place(T, market, BID | IOC, 103, lots - filled, 1);
            filled += more;
        }
        eq(filled, at_once, "filled");
        for (uint24 i = 0; i < 4; ++i) {
            Level memory a = levelOf(words[i]);
            Level memory b = level(ASK, 100 + i);
            // One step may stop on a hole the long take never looked at; orders are the same.
            eq(a.open, b.open, "open");
            eq(a.headFilled, b.headFilled, "headFilled");
        }
    }
}
