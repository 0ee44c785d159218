// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Store} from "./Store.sol";

/// @title Which ticks have orders: three levels of 256-bit words per market and side
/// @notice Leaf (depth 2): word tick >> 8, bit tick & 255. Depth 1: word tick >> 16, bit tick >> 8 & 255. Root (depth 0): word 0, bit tick >> 16. A leaf bit
/// is set exactly while its level is open, a parent bit exactly while its child word is not 0. The best ask is the lowest bit, the best bid the highest.
/// `half` is market << 40 | side << 36, the part of the key that stays.
library Bitmap {
    uint256 private constant DEPTH1 = 1 << 32;
    uint256 private constant LEAF = 2 << 32;

    /// @return the part of the key that all words of a side share
    function half(uint256 market, uint256 side) internal pure returns (uint256) {
        return market << 40 | side << 36;
    }

    /// @notice The level opened: sets its bit, and each parent's whose child word was 0.
    function set(uint256 half_, uint256 tick) internal {
        mapping(uint256 => uint256) storage bits = Store.words().bits;
        uint256 word = bits[half_ | LEAF | tick >> 8];
        bits[half_ | LEAF | tick >> 8] = word | 1 << (tick & 255);
        if (word != 0) return;
        word = bits[half_ | DEPTH1 | tick >> 16];
        bits[half_ | DEPTH1 | tick >> 16] = word | 1 << (tick >> 8 & 255);
        if (word != 0) return;
        bits[half_] |= 1 << (tick >> 16);
    }

    /// @notice The level is empty: clears its bit, and each parent's whose child word became 0.
    /// @return word the leaf word that is left
    function clear(uint256 half_, uint256 tick) internal returns (uint256 word) {
        mapping(uint256 => uint256) storage bits = Store.words().bits;
        word = bits[half_ | LEAF | tick >> 8] & ~(1 << (tick & 255));
        bits[half_ | LEAF | tick >> 8] = word;
        if (word != 0) return word;
        uint256 parent = bits[half_ | DEPTH1 | tick >> 16] & ~(1 << (tick >> 8 & 255));
        bits[half_ | DEPTH1 | tick >> 16] = parent;
        if (parent == 0) bits[half_] &= ~(1 << (tick >> 16));
    }

    /// @notice The touch of a side, from the root down.
    /// @return tick best tick, 0 if the side is empty
    function best(uint256 half_, uint256 side) internal view returns (uint256 tick) {
        mapping(uint256 => uint256) storage bits = Store.words().bits;
        uint256 word = bits[half_];
        if (word == 0) return 0;
        tick = pick(word, side);
        tick = tick << 8 | pick(bits[half_ | DEPTH1 | tick], side);
        tick = tick << 8 | pick(bits[half_ | LEAF | tick], side);
    }

    /// @notice The next touch after `tick` was emptied.
    /// @param leaf what `clear` left of its leaf word
    function next(uint256 half_, uint256 side, uint256 tick, uint256 leaf) internal view returns (uint256) {
        return leaf == 0 ? best(half_, side) : (tick >> 8 << 8) | pick(leaf, side);
    }

    /// @notice The open tick next to `tick`, away from the touch.
    /// @return 0 if there is none
    function following(uint256 half_, uint256 side, uint256 tick) internal view returns (uint256) {
        mapping(uint256 => uint256) storage bits = Store.words().bits;
        uint256 word = bits[half_ | LEAF | tick >> 8] & further(side, tick & 255);
        if (word != 0) return (tick >> 8 << 8) | pick(word, side);
        uint256 up = tick >> 16 << 8;
        word = bits[half_ | DEPTH1 | tick >> 16] & further(side, tick >> 8 & 255);
        if (word == 0) {
            word = bits[half_] & further(side, tick >> 16);
            if (word == 0) return 0;
            up = pick(word, side) << 8;
            word = bits[half_ | DEPTH1 | up >> 8];
        }
        up |= pick(word, side);
        return up << 8 | pick(bits[half_ | LEAF | up], side);
    }

    /// @dev The bits after `bit` on the way from the touch: above for asks, below for bids.
    function further(uint256 side, uint256 bit) private pure returns (uint256) {
        uint256 below = (1 << bit) - 1;
        return side == 1 ? ~(below | 1 << bit) : below;
    }

    /// @notice Whether an order of the other side limited at `tick` would meet this side. Looks from the order's own price outward, so that an order far from
    /// the touch never reads the words of the touch.
    /// @param half_ the side that would be met, `side` its number
    function crossed(uint256 half_, uint256 side, uint256 tick) internal view returns (bool) {
        mapping(uint256 => uint256) storage bits = Store.words().bits;
        if (meets(bits[half_ | LEAF | tick >> 8], side, tick & 255, true)) return true;
        if (meets(bits[half_ | DEPTH1 | tick >> 16], side, tick >> 8 & 255, false)) return true;
        return meets(bits[half_], side, tick >> 16, false);
    }

    /// @dev Whether `word` has a bit beyond `bit` (or at it): below for asks, above for bids.
    function meets(uint256 word, uint256 side, uint256 bit, bool inclusive) private pure returns (bool) {
        uint256 below = (1 << bit) - 1;
        uint256 own = 1 << bit;
        uint256 beyond = side == 1 ? below : ~(below | own);
        return word & (inclusive ? beyond | own : beyond) != 0;
    }

    /// @notice The bit nearest the touch: lowest of asks (side 1), highest of bids.
    function pick(uint256 word, uint256 side) internal pure returns (uint256 bit) {
        // Halving: at each step keep the upper half if it has a bit. A lowest bit is first made the only one. The last eight bits go by a table: the first
        // constant maps them to one of 32 places, the second has the answer of each (as in Solady's LibBit; tested on every bit).
        assembly ("memory-safe") {
            if side { word := and(word, sub(0, word)) }
            bit := shl(7, lt(0xffffffffffffffffffffffffffffffff, word))
            bit := or(bit, shl(6, lt(0xffffffffffffffff, shr(bit, word))))
            bit := or(bit, shl(5, lt(0xffffffff, shr(bit, word))))
            bit := or(bit, shl(4, lt(0xffff, shr(bit, word))))
            bit := or(bit, shl(3, lt(0xff, shr(bit, word))))
            let place := and(0x1f, shr(shr(bit, word), 0x8421084210842108cc6318c6db6d54be))
            bit := or(bit, byte(place, 0x0706060506020504060203020504030106050205030304010505030400000000))
        }
    }
}
