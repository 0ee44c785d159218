// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {Base} from "../Base.sol";

/// @notice What an order should do, said plainly: a list of ticks in order of price, records one after another, no bitmaps. Written from the rules, not from
/// the contract's code, over the words before the call.
abstract contract Model is Base {
    uint256 internal constant TICKS = 10;

    struct Wish {
        uint32 account;
        uint32 market;
        uint8 side;
        uint8 tif;
        uint24 tick;
        uint48 lots;
        uint16 steps;
    }

    struct Outcome {
        bytes reason; // of the refusal, empty if there is none
        uint256 filled;
        uint256 rests;
        uint256 base; // words after
        uint256 quote;
    }

    /// What a taker meets.
    struct Walk {
        uint256 filled; // lots
        uint256 quote; // atoms
        uint256 rebate; // quote atoms for the makers
        uint256 steps; // left
        uint256 best; // first tick that crosses, 0 none
        bool limit; // it ended for want of prices
    }

    struct Terms {
        uint256 price;
        uint256 lot;
        uint256 minLots;
        uint256 takerFee;
        int256 makerFee;
        uint256 status;
    }

    /// @dev The ticks the random traders use: both ends of leaves and of depth-1 words.
    function tickAt(uint256 i) internal pure returns (uint24) {
        uint24[TICKS] memory ticks = [uint24(3), 4, 254, 255, 256, 257, 258, 65_535, 65_536, 70_000];
        return ticks[i];
    }

    function terms(uint32 market_) internal view returns (Terms memory t) {
        uint256 cfg = get(9, market_);
        t.price = cfg >> 48 & type(uint64).max;
        t.lot = cfg >> 112 & type(uint64).max;
        t.minLots = cfg >> 176 & 0xffffff;
        t.takerFee = cfg >> 200 & 0xffff;
        t.makerFee = int16(uint16(cfg >> 216));
        t.status = cfg >> 240 & 0xff;
    }

    /// @return due a maker's fee per lot, up; rebate per lot, down (quote atoms)
    function makerPart(Terms memory t, uint256 tick) internal pure returns (uint256 due, uint256 rebate) {
        uint256 price = tick * t.price;
        if (t.makerFee > 0) due = (price * uint256(t.makerFee) + 999_999) / 1_000_000;
        else rebate = price * uint256(-t.makerFee) / 1_000_000;
    }

    function expected(Wish memory w) internal view returns (Outcome memory o) {
        Terms memory t = terms(w.market);
        o.base = get(8, uint256(w.account) << 24 | 2);
        o.quote = get(8, uint256(w.account) << 24 | 3);
        if (t.status > 2 || (t.status == 2 && w.tif != 1)) return refusal(o, abi.encodeWithSelector(IExchange.NotLive.selector, t.status));
        if (w.lots < t.minLots) return refusal(o, abi.encodeWithSelector(IExchange.BadLots.selector));
        Walk memory k = walkBook(w, t);
        if (w.tif == 1 && k.best != 0) return refusal(o, abi.encodeWithSelector(IExchange.WouldCross.selector, k.best));
        (uint256 filled, uint256 quote) = (k.filled, k.quote);
        if (filled != 0) {
            uint256 fee = (quote * t.takerFee + 999_999) / 1_000_000;
            if (w.side == BID) {
                if (low(o.quote) < quote + fee) return refusal(o, abi.encodeWithSelector(IExchange.Insufficient.selector));
                o.quote -= quote + fee;
                o.base += filled * t.lot;
            } else {
                if (low(o.base) < filled * t.lot) return refusal(o, abi.encodeWithSelector(IExchange.Insufficient.selector));
                o.base -= filled * t.lot;
                o.quote += quote - fee;
            }
            o.quote += (fee - k.rebate) << 128;
        }
        o.filled = filled;
        if (w.tif == 4 && filled < w.lots) return refusal(o, abi.encodeWithSelector(IExchange.NotFilled.selector, filled));
        if (w.tif <= 1 && k.limit) rest(o, w, t);
    }

    function rest(Outcome memory o, Wish memory w, Terms memory t) private pure {
        o.rests = w.lots - o.filled;
        if (o.rests == 0) return;
        if (w.side == ASK) {
            if (low(o.base) < o.rests * t.lot) o.reason = abi.encodeWithSelector(IExchange.Insufficient.selector);
            else o.base = (o.base - o.rests * t.lot) | 1 << 240;
        } else {
            (uint256 due,) = makerPart(t, w.tick);
            uint256 escrow = o.rests * (w.tick * t.price + due);
            if (low(o.quote) < escrow) o.reason = abi.encodeWithSelector(IExchange.Insufficient.selector);
            else o.quote = (o.quote - escrow) | 1 << 240;
        }
    }

    /// @dev Fills in price, then in time, as far as limit, lots and steps allow.
    function walkBook(Wish memory w, Terms memory t) private view returns (Walk memory k) {
        k.steps = w.steps == 0 ? 256 : w.steps;
        for (uint256 i = 0; i < TICKS; ++i) {
            uint24 tick = tickAt(w.side == BID ? i : TICKS - 1 - i);
            if (w.side == BID ? tick > w.tick : tick < w.tick) break;
            uint256 id = levelId(w.market, 1 - w.side, tick);
            Level memory l = levelOf(get(11, id));
            if (l.open == 0) continue;
            if (k.best == 0) k.best = tick;
            if (k.filled == w.lots || k.steps == 0) return k;
            uint256 got = l.open;
            bool whole = got <= w.lots - k.filled;
            if (whole) --k.steps;
            else (got, k.steps) = walkLevel(id, l, w.lots - k.filled, k.steps);
            k.filled += got;
            k.quote += got * tick * t.price;
            (, uint256 each) = makerPart(t, tick);
            k.rebate += got * each;
            if (!whole) return k; // lots or steps ended inside the level
        }
        k.limit = k.filled < w.lots;
    }

    function walkLevel(uint256 id, Level memory l, uint256 wanted, uint256 steps) private view returns (uint256 got, uint256) {
        uint256 headFilled = l.headFilled;
        for (uint256 i = l.head; got < wanted && steps > 0; ++i) {
            --steps;
            uint256 left = (record(id << 40 | i) & type(uint48).max) - headFilled;
            headFilled = 0;
            got += left < wanted - got ? left : wanted - got;
        }
        return (got, steps);
    }

    function refusal(Outcome memory o, bytes memory reason) private pure returns (Outcome memory) {
        o.reason = reason;
        return o;
    }

    function low(uint256 word) internal pure returns (uint256) {
        return word & type(uint128).max;
    }
}
