// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Bitmap} from "../../src/libraries/Bitmap.sol";
import {Fees} from "../../src/libraries/Fees.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {Levels} from "../../src/libraries/Levels.sol";
import {Base} from "../Base.sol";

/// @notice The packed words and the assembly, against plain arithmetic. The bitmap writes this test's own storage.
contract LibrariesTest is Base {
    function setUp() public override {}

    function testPickIsTheNearestBit(uint256 word, uint8 keep) public pure {
        word = word >> keep << keep / 2; // thin and low words too
        if (word == 0) word = 1 << keep;
        uint256 low = 0;
        while (word >> low & 1 == 0) ++low;
        uint256 high = 255;
        while (word >> high & 1 == 0) --high;
        eq(Bitmap.pick(word, 1), low, "asks: lowest");
        eq(Bitmap.pick(word, 0), high, "bids: highest");
    }

    function testPickOfEveryBit() public pure {
        for (uint256 bit = 0; bit < 256; ++bit) {
            eq(Bitmap.pick(1 << bit, 0), bit, "highest");
            eq(Bitmap.pick(1 << bit, 1), bit, "lowest");
            eq(Bitmap.pick(1 << bit | 1, 0), bit, "highest of two");
            eq(Bitmap.pick(1 << bit | 1 << 255, 1), bit, "lowest of two");
        }
    }

    /// Every pattern of the last eight bits, which a table answers, wherever it lies.
    function testPickOfEveryByte() public pure {
        for (uint256 pattern = 1; pattern < 256; ++pattern) {
            uint256 high = 7;
            while (pattern >> high & 1 == 0) --high;
            for (uint256 at = 0; at < 249; at += 31) {
                eq(Bitmap.pick(pattern << at | ((1 << at) - 1) & 0xa5a5a5a5, 0), high + at, "highest");
            }
        }
    }

    /// Set, clear, best and crossed against a list of ticks.
    function testBitmapAgainstAList(uint256 seed) public {
        // The exchange's layout begins at slot 0 of whoever runs the library: here that is this test, whose few fields above it never uses.
        uint256 side = seed & 1;
        uint256 half = Bitmap.half(1 + seed % 7, side);
        uint24[8] memory ticks;
        bool[8] memory used;
        for (uint256 i = 0; i < 8; ++i) {
            // Neighbours, other leaves, other branches.
            ticks[i] = uint24(1 + (i % 3 == 0 ? i : i % 3 == 1 ? 256 * i : 65_536 * i) + uint8(seed >> (8 * i)) % 3 * 8);
        }
        for (uint256 i = 0; i < 24; ++i) {
            uint256 at_ = uint256(keccak256(abi.encode(seed, i))) % 8;
            bool again = used[at_];
            for (uint256 j = 0; j < 8; ++j) {
                if (ticks[j] == ticks[at_]) used[j] = !again;
            }
            if (again) Bitmap.clear(half, ticks[at_]);
            else Bitmap.set(half, ticks[at_]);
            uint256 best;
            for (uint256 j = 0; j < 8; ++j) {
                if (used[j] && (best == 0 || (side == 1 ? ticks[j] < best : ticks[j] > best))) best = ticks[j];
            }
            eq(Bitmap.best(half, side), best, "best");
            uint24 probe = ticks[(at_ + i) % 8];
            bool meets = best != 0 && (side == 1 ? best <= probe : best >= probe);
            require(Bitmap.crossed(half, side, probe) == meets, "crossed");
        }
    }

    function testLevelWords(uint40 tail, uint40 head, uint48 headFilled, uint64 open, uint32 expiry) public pure {
        uint256 word = uint256(tail) << 216 | uint256(7) << 176 | uint256(9) << 128 | uint256(11) << 64 | uint256(expiry) << 32;
        uint256 moved = Levels.moved(word, open, headFilled, head);
        eq(Levels.tail(moved), tail, "tail");
        eq(Levels.open(moved), open, "open");
        eq(Levels.head(moved), open == 0 ? tail : head, "head");
        eq(Levels.headFilled(moved), open == 0 ? 0 : headFilled, "headFilled");
        eq(moved >> 32 & type(uint32).max, open == 0 ? 0 : expiry, "minExpiry stays while something is open");
    }

    /// Fees in 256 bits with a remainder, the other way of saying it.
    function testFees(uint48 lots, uint24 tick, uint64 unit, uint16 taker_, int16 maker_, uint8 tier) public pure {
        lots %= 1 << 47;
        taker_ %= 10_001;
        tier %= 16;
        maker_ = int16(int256(maker_) % 10_001);
        if (maker_ < -int256(uint256(taker_))) maker_ = -int16(taker_);
        uint256 cfg = uint256(unit) << 48 | uint256(taker_) << 200 | uint256(uint16(maker_)) << 216;
        uint256 price = Fees.unit(cfg, tick);
        eq(price, uint256(unit) * tick, "unit");
        (uint256 due, uint256 rebate) = Fees.maker(cfg, price);
        if (maker_ >= 0) {
            uint256 exact = price * uint256(int256(maker_));
            require(due * 1e6 >= exact && due * 1e6 < exact + 1e6 && rebate == 0, "due is rounded up");
        } else {
            uint256 exact = price * uint256(-int256(maker_));
            require(rebate * 1e6 <= exact && exact < rebate * 1e6 + 1e6 && due == 0, "rebate is rounded down");
        }
        uint256 quote = price * lots;
        uint256 fee = Fees.taker(cfg, tier, quote);
        require(fee >= rebate * lots, "the taker's fee covers the rebate");
        require(fee <= quote, "a fee never exceeds what it is of");
        require(fee * 16e6 >= quote * taker_ * (16 - tier), "rounded up");
        require(price >= due, "a maker's fee never exceeds the price");
    }

    function testLedgerKeepsItsFieldsApart(uint256 word, uint128 atoms) public view {
        word = word << 15 >> 15;
        try this.ledger(word, atoms) returns (uint256 credited, uint256 owed, uint256 back) {
            eq(Ledger.free(credited), Ledger.free(word) + atoms, "free");
            eq(credited >> 128, word >> 128, "above free");
            eq(Ledger.feeDue(owed), Ledger.feeDue(word) + atoms % (1 << 112), "feeDue");
            eq(Ledger.free(owed), Ledger.free(word), "free stays");
            eq(owed >> 240, word >> 240, "rested stays");
            eq(back, word, "debit undoes credit");
        } catch {
            require(Ledger.free(word) + uint256(atoms) > type(uint128).max || Ledger.feeDue(word) + atoms % (1 << 112) > type(uint112).max, "no reason");
        }
    }

    function ledger(uint256 word, uint128 atoms) external pure returns (uint256 credited, uint256 owed, uint256 back) {
        credited = Ledger.credit(word, atoms);
        owed = Ledger.owe(word, atoms % (1 << 112));
        back = Ledger.debit(credited, atoms);
    }
}
