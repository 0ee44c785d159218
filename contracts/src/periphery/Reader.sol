// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Bitmap} from "../libraries/Bitmap.sol";
import {Keys} from "../libraries/Keys.sol";
import {Levels} from "../libraries/Levels.sol";
import {Orders} from "../libraries/Orders.sol";

/// @title Words of the exchange, read in few calls
/// @notice What `Lens` and `Conditional` are built on. It only calls `load`, many slots at a time. Its slot 0 holds the exchange, as a genesis file may set it.
abstract contract Reader {
    /// @notice The exchange that is read.
    IExchange public exchange;

    /// @notice Most rows one view answers.
    uint256 internal constant ROWS_MAX = 4096;
    /// @notice Most records of one level looked at to find its expired orders.
    uint256 internal constant WALK_MAX = 1024;

    // Bases of the mappings, as `Store` lays them out.
    uint256 internal constant TOKEN_OF = 4;
    uint256 internal constant ACCT_OF = 6;
    uint256 internal constant ACCT = 7;
    uint256 internal constant BAL = 8;
    uint256 internal constant CFG = 9;
    uint256 internal constant BITS = 10;
    uint256 internal constant LVL = 11;
    uint256 internal constant ORD = 12;
    uint256 internal constant AGENTS = 13;
    uint256 internal constant CLOIDS = 15;

    uint256 private constant LEAVES = 16; // bitmap words asked for at once
    uint256 private constant PAGE = 16; // words of records asked for at once

    /// A window on the records of one level, moved along as they are asked for.
    struct Page {
        uint256 level;
        uint256 first; // index >> 1 of words[0]
        bytes32[] words;
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- words

    /// @dev Slot of a mapping's word.
    function slotOf(uint256 base, uint256 key) internal pure returns (bytes32) {
        return keccak256(abi.encode(key, base));
    }

    /// @dev One word of a mapping.
    function read(uint256 base, uint256 key) internal view returns (uint256) {
        bytes32[] memory slots = new bytes32[](1);
        slots[0] = slotOf(base, key);
        return uint256(exchange.load(slots)[0]);
    }

    /// @return words of the levels at these ticks
    function levelWords(uint256 market, uint256 side, uint256[] memory ticks) internal view returns (bytes32[] memory words) {
        words = new bytes32[](ticks.length);
        if (ticks.length == 0) return words;
        for (uint256 i = 0; i < ticks.length; ++i) {
            words[i] = slotOf(LVL, Keys.level(market << 32, side, ticks[i]));
        }
        return exchange.load(words);
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- ticks

    /// @notice The touch of a side, among living orders.
    /// @param any stop at the first living order: then `open` says only that there is one
    /// @return tick its best tick, 0 none
    /// @return open lots that live there
    function touch(uint256 market, uint256 side, bool any) internal view returns (uint256 tick, uint256 open) {
        uint256 from = touchward(side);
        bool none;
        while (!none) {
            uint256[] memory ticks = ticksFrom(market, side, from, 1);
            if (ticks.length == 0) return (0, 0);
            bytes32[] memory words = levelWords(market, side, ticks);
            (open,) = living(Keys.level(market << 32, side, ticks[0]), uint256(words[0]), any);
            if (open != 0) return (ticks[0], open);
            (from, none) = further(side, ticks[0]);
        }
        return (0, 0);
    }

    /// @dev The tick a side is read from when all of it is wanted.
    function touchward(uint256 side) internal pure returns (uint256) {
        return side == Keys.BID ? type(uint24).max : 0;
    }

    /// @return from the tick one further from the touch than `tick`
    /// @return none there is none
    function further(uint256 side, uint256 tick) internal pure returns (uint256 from, bool none) {
        if (side == Keys.BID) return tick <= 1 ? (0, true) : (tick - 1, false);
        return tick == type(uint24).max ? (0, true) : (tick + 1, false);
    }

    /// @notice Used ticks at `from` and further from the touch, nearest first. Leaves of the bitmap are read up to 16 a call.
    /// @param n most ticks
    function ticksFrom(uint256 market, uint256 side, uint256 from, uint256 n) internal view returns (uint256[] memory ticks) {
        ticks = new uint256[](n);
        uint256 half = Bitmap.half(market, side);
        bytes32[] memory words = new bytes32[](3);
        (words[0], words[1], words[2]) = (slotOf(BITS, half), slotOf(BITS, half | 1 << 32 | from >> 16), slotOf(BITS, half | 2 << 32 | from >> 8));
        words = exchange.load(words);
        uint256 root = beyond(uint256(words[0]), side, from >> 16, false);
        uint256 middle = beyond(uint256(words[1]), side, from >> 8 & 255, false);
        uint256 top = from >> 16;
        uint256 count = collect(ticks, 0, beyond(uint256(words[2]), side, from & 255, true), from >> 8, side);
        while (count < n) {
            if (middle == 0) {
                if (root == 0) break;
                top = Bitmap.pick(root, side);
                root ^= 1 << top;
                middle = read(BITS, half | 1 << 32 | top);
                continue;
            }
            uint256[] memory leaves;
            (leaves, middle) = nextLeaves(top, middle, side, n - count);
            for (uint256 i = 0; i < leaves.length; ++i) {
                words = i == 0 ? leafWords(half, leaves) : words;
                count = collect(ticks, count, uint256(words[i]), leaves[i], side);
            }
        }
        shorten(ticks, count);
    }

    /// @dev Numbers of the next leaves under a word of depth 1, and that word without them.
    function nextLeaves(uint256 top, uint256 middle, uint256 side, uint256 wanted) private pure returns (uint256[] memory leaves, uint256) {
        leaves = new uint256[](wanted < LEAVES ? wanted : LEAVES);
        uint256 count;
        while (count < leaves.length && middle != 0) {
            uint256 bit = Bitmap.pick(middle, side);
            middle ^= 1 << bit;
            leaves[count++] = top << 8 | bit;
        }
        shorten(leaves, count);
        return (leaves, middle);
    }

    function leafWords(uint256 half, uint256[] memory leaves) private view returns (bytes32[] memory words) {
        words = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            words[i] = slotOf(BITS, half | 2 << 32 | leaves[i]);
        }
        return exchange.load(words);
    }

    function collect(uint256[] memory ticks, uint256 count, uint256 word, uint256 leaf, uint256 side) private pure returns (uint256) {
        while (word != 0 && count < ticks.length) {
            uint256 bit = Bitmap.pick(word, side);
            word ^= 1 << bit;
            ticks[count++] = leaf << 8 | bit;
        }
        return count;
    }

    /// @dev The bits further from the touch than `bit`, or also itself.
    function beyond(uint256 word, uint256 side, uint256 bit, bool inclusive) private pure returns (uint256) {
        uint256 own = 1 << bit;
        uint256 mask = side == Keys.ASK ? ~(own | (own - 1)) : own - 1;
        return word & (inclusive ? mask | own : mask);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- records

    /// @return p a window on a level, nothing read yet
    function openPage(uint256 level) internal pure returns (Page memory p) {
        p.level = level;
    }

    /// @return the record at an index before the level's `tail`; 0 a hole
    function recordAt(Page memory p, uint256 index, uint256 tail) internal view returns (uint256) {
        uint256 place = index >> 1;
        if (p.words.length == 0 || place < p.first || place >= p.first + p.words.length) {
            uint256 end = (tail + 1) >> 1;
            uint256 n = end - place < PAGE ? end - place : PAGE;
            bytes32[] memory slots = new bytes32[](n);
            for (uint256 i = 0; i < n; ++i) {
                slots[i] = slotOf(ORD, Orders.key(p.level, index + 2 * i));
            }
            p.first = place;
            p.words = exchange.load(slots);
        }
        return uint256(p.words[place - p.first]) >> Orders.shift(index) & Orders.RECORD;
    }

    /// @notice Whether an order's expiry has come.
    function expired(uint256 record) internal view returns (bool) {
        uint256 expiry = Orders.expiryOf(record);
        return expiry != 0 && expiry <= block.timestamp;
    }

    /// @notice What of a level is alive now. Only a level that may hold expired orders is walked, and at most 1,024 of its records: those behind count as
    /// alive.
    /// @param any stop at the first living order: then `open` says only whether there is one
    /// @return open lots of living orders
    /// @return places of the queue: orders and holes, less the expired orders
    function living(uint256 level, uint256 word, bool any) internal view returns (uint256 open, uint256 places) {
        open = Levels.open(word);
        uint256 tail = Levels.tail(word);
        uint256 head = Levels.head(word);
        places = tail - head;
        if (!Levels.due(word)) return (open, places);
        Page memory page = openPage(level);
        uint256 end = tail - head > WALK_MAX ? head + WALK_MAX : tail;
        uint256 headFilled = Levels.headFilled(word);
        for (uint256 i = head; i < end && open != 0; ++i) {
            uint256 record = recordAt(page, i, tail);
            if (expired(record)) {
                open -= Orders.lotsOf(record) - headFilled;
                --places;
            } else if (any && record != 0) {
                break;
            }
            headFilled = 0;
        }
    }

    /// @dev Keeps the first `count` entries.
    function shorten(uint256[] memory list, uint256 count) internal pure {
        assembly ("memory-safe") {
            mstore(list, count)
        }
    }
}
