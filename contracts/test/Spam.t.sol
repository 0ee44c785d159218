// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Batches} from "./Batches.sol";

/// @notice What a spammer of 10,000 dust orders, cancelled or left to expire, can do to others: nothing to a place, a cancel, a claim or a sweep; to a walk at
/// most its steps, once, for the head never goes back. He pays more than twenty times as much for each hole as whoever passes it.
contract SpamTest is Batches {
    uint32 constant HONEST = 300;
    uint32 constant SPAMMER = 301;
    uint32 constant TAKER = 305;
    uint256 constant DUST = 10_000;
    uint256 constant STEPS = 256; // of a take that names no bound
    uint24 constant TICK = 1000;

    /// Gas of passing one record in a walk, and of one that expired: its word is written, once for two.
    uint256 constant HOLE_GAS = 1900;
    uint256 constant EXPIRED_GAS = 5500;
    uint256 constant WALK_GAS = 68_000;

    uint256 private front; // an honest order before the dust, another behind it
    uint256 private behind;
    uint256 private cheapest; // gas of the cheapest placed and cancelled piece of dust

    function setUp() public override {
        super.setUp();
        enrol(HONEST);
        enrol(SPAMMER);
        enrol(TAKER);
        ask(HONEST, 1100, 50);
        bid(HONEST, 900, 50);
        buy(TAKER, 1100, 1);
        sell(TAKER, 900, 1);
        front = ask(HONEST, TICK, 5);
    }

    /// @dev An honest order, `n` orders placed and cancelled, another honest one: by calls.
    function spam(uint256 n) private {
        cheapest = type(uint256).max;
        uint256 first = ask(SPAMMER, TICK, 1);
        for (uint256 i = 1; i < n; ++i) {
            ask(SPAMMER, TICK, 1);
            if (lastGas < cheapest) cheapest = lastGas;
        }
        behind = ask(HONEST, TICK, 5);
        uint256 least = type(uint256).max;
        for (uint256 i = 0; i < n; ++i) {
            cancel(SPAMMER, first + i);
            if (lastGas < least) least = lastGas;
        }
        cheapest += least;
    }

    /// @dev The same for 10,000, as words: a hole is a record of 0, so only the tail tells. `testWordsAreWhatCallsLeave` holds it to the calls.
    function holes(uint256 n) private {
        set(11, levelId(market, ASK, TICK), (n + 1) << 216 | 5 << 64);
        behind = ask(HONEST, TICK, 5);
        isLevel(ASK, TICK, n + 2, 0, 0, 10);
    }

    /// @dev Dust with an expiry, two records a word, before an honest order.
    function dying(uint256 n, uint256 expiry) private {
        uint256 piece = expiry << 80 | uint256(SPAMMER) << 48 | 1;
        uint256 key = levelId(market, ASK, TICK) << 40;
        set(12, key, get(12, key) | piece << 128);
        for (uint256 i = 2; i <= n; i += 2) {
            set(12, key | i >> 1, i == n ? piece : piece << 128 | piece);
        }
        set(11, key >> 40, (n + 1) << 216 | (5 + n) << 64 | expiry << 32);
    }

    function testWordsAreWhatCallsLeave() public {
        uint256 start = vm.snapshotState();
        spam(51);
        uint256[28] memory words = dump();
        vm.revertToState(start);
        holes(51);
        same(words, dump());
        vm.revertToState(start);
        for (uint256 i = 0; i < 51; ++i) {
            placeUntil(SPAMMER, ASK | POST_ONLY, TICK, 1, 9999);
        }
        words = dump();
        vm.revertToState(start);
        dying(51, 9999);
        same(words, dump());
    }

    function dump() private view returns (uint256[28] memory words) {
        words[0] = get(11, levelId(market, ASK, TICK));
        for (uint256 i = 1; i < 28; ++i) {
            words[i] = get(12, levelId(market, ASK, TICK) << 40 | (i - 1));
        }
    }

    function same(uint256[28] memory a, uint256[28] memory b) private pure {
        for (uint256 i = 0; i < 28; ++i) {
            eq(a[i], b[i], "the words are not what calls leave");
        }
    }

    function atMost(string memory what, uint256 most) private view {
        if (lastGas > most) revert(string.concat(what, " costs ", vm.toString(lastGas), ", bound ", vm.toString(most)));
    }

    function testHolesCostNothingToPlaceCancelClaimAndSweep() public {
        holes(DUST);
        uint256 start = vm.snapshotState();
        ask(HONEST, TICK, 5);
        atMost("place", 75_000);
        cancel(HONEST, behind);
        atMost("cancel behind the holes", 48_000);
        vm.revertToState(start);
        cancel(HONEST, front);
        atMost("cancel before the holes", 48_000);
        vm.revertToState(start);
        eq(buy(TAKER, TICK, 10), 10, "all");
        atMost("a sweep over all holes", 65_000);
        claim(behind);
        atMost("claim", 48_000);
    }

    function testHolesCostAWalkItsStepsAndOnlyOnce() public {
        uint256 start = vm.snapshotState();
        spam(40);
        require(cheapest > 20 * HOLE_GAS, "a hole is cheap to make");
        vm.revertToState(start);
        holes(DUST);
        // The first order, then holes until the steps are used up: the taker keeps what it got.
        eq(buy(TAKER, TICK, 6), 5, "the order before the holes");
        atMost("a walk into the holes", WALK_GAS + STEPS * HOLE_GAS);
        eq(level(ASK, TICK).head, STEPS, "passed for good");
        uint256 takers = 1;
        while (level(ASK, TICK).open == 5) {
            (, uint48 filled) = place(TAKER, market, BID | IOC, TICK, 1, 1000);
            atMost("the next walks", WALK_GAS + 1000 * HOLE_GAS);
            ++takers;
            if (filled != 0) break;
        }
        eq(takers, 11, "they share the way");
        eq(buy(TAKER, TICK, 1), 1, "from now on");
        atMost("a take as ever", WALK_GAS);
    }

    /// Anyone may clear the way beforehand.
    function testPruneClearsTheWay() public {
        holes(DUST);
        cancel(HONEST, front);
        for (uint256 i = 0; i < 10; ++i) {
            x.prune(uint64(levelId(market, ASK, TICK)), 1000);
            lastGas = spent();
            atMost("prune", 60_000 + 1000 * HOLE_GAS);
        }
        eq(level(ASK, TICK).head, DUST + 1, "all passed");
        eq(buy(TAKER, TICK, 1), 1, "the honest order behind");
        atMost("a take as ever", WALK_GAS);
    }

    /// Dust that expires instead: no cancel is paid, yet a walk is bounded alike, and a post-only order that would cross it never waits for all of it.
    function testExpiredDust() public {
        dying(DUST, block.timestamp + 60);
        uint256 dust = levelId(market, ASK, TICK) << 40 | DUST;
        fund(SPAMMER, base, BASE_PER_LOT * DUST); // what lies in escrow
        behind = ask(HONEST, TICK, 5);
        vm.warp(block.timestamp + 60);
        uint256 start = vm.snapshotState();
        eq(buy(TAKER, TICK, 6), 5, "the order before the dust");
        atMost("a walk into the dust", WALK_GAS + STEPS * EXPIRED_GAS);
        cancel(HONEST, behind);
        atMost("cancel behind the dust", 48_000);
        cancel(SPAMMER, dust);
        atMost("cancel of dust", 48_000);
        vm.revertToState(start);
        // The head is alive, so the answer comes at once.
        refuse(abi.encodeWithSelector(bytes4(keccak256("WouldCross(uint24)")), TICK), HONEST, BID | POST_ONLY, TICK, 5);
        cancel(HONEST, front);
        // Now 10,000 dead ones lead: the steps end first. Nothing is lost but this order, and prune goes on from there.
        refuse(err(bytes4(keccak256("StepLimit()"))), HONEST, BID | POST_ONLY, TICK, 5);
        for (uint256 i = 0; i < 10; ++i) {
            x.prune(uint64(levelId(market, ASK, TICK)), 1000);
            lastGas = spent();
            atMost("prune", 60_000 + 1000 * EXPIRED_GAS);
        }
        eq(buy(TAKER, TICK, 1), 1, "the honest order behind");
        atMost("a take as ever", WALK_GAS);
    }

    /// Hundreds of levels of dust: a take stops at its steps, whatever lies behind.
    function testDustOnManyLevels() public {
        for (uint24 i = 0; i < 300; ++i) {
            ask(SPAMMER, TICK + 1 + i, 1);
        }
        (, uint48 filled) = place(TAKER, market, BID | IOC, TICK + 400, 1000, 20);
        eq(filled, 5 + 19, "a step each");
        atMost("twenty levels", 65_000 + 20 * 12_000);
        cancel(HONEST, front);
        atMost("cancel elsewhere", 48_000);
    }
}
