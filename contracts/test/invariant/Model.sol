// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {Batches} from "../Batches.sol";

/// @notice What an order should do, said plainly: a list of ticks in order of price, records one after another, no bitmaps. Written from the rules, not from
/// the contract's code, over the words before the call.
abstract contract Model is Batches {
    uint256 internal constant TICKS = 10;
    uint256 internal constant NO_BOUND = type(uint256).max;

    uint256 internal constant FILLED = 0;
    uint256 internal constant LIMIT = 1;
    uint256 internal constant OUT_OF_STEPS = 2;
    uint256 internal constant STP = 3;
    uint256 internal constant BUDGET = 4;

    struct Wish {
        uint32 account;
        uint32 market;
        uint8 side;
        uint8 tif;
        uint8 stp;
        bool track;
        bool isTake;
        uint24 tick;
        uint48 lots;
        uint32 expiry;
        uint64 cloid;
        uint16 steps;
        uint256 maxIn; // NO_BOUND: not asked
        uint128 minOut;
    }

    struct Outcome {
        bytes reason; // of the refusal, empty if there is none
        uint256 filled;
        uint256 rests;
        uint24 tick; // where it rests
        uint256 why; // the taking ended
        uint256 out; // atoms of a TAKE
        uint256 base; // words after
        uint256 quote;
    }

    /// What a taker meets, and what it may still take.
    struct Walk {
        uint256 filled; // lots
        uint256 quote; // atoms
        uint256 rebate; // quote atoms for the makers
        uint256 rem; // lots
        uint256 spend; // atoms without the fee
        uint256 steps; // left
        bool watch;
        uint256 why;
        bool ended;
        // Own orders sent home on the way: atoms that come back, and a fee owed for what they had filled.
        uint256 base;
        uint256 own;
        uint256 due;
    }

    struct Terms {
        uint256 price;
        uint256 lot;
        uint256 minLots;
        uint256 takerFee;
        int256 makerFee;
        uint256 minTtl;
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
        t.minTtl = cfg >> 232 & 0xff;
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
        o.tick = w.tick;
        o.reason = forbids(w, t);
        if (o.reason.length != 0) return o;
        if (w.tif == 1 || w.tif == 2) return resting(o, w, t);
        Walk memory k = walkBook(w, t, o);
        o.filled = k.filled;
        o.why = k.why;
        o.base += k.base;
        o.quote += k.own + (k.due << 128);
        settle(o, w, t, k);
        if (o.reason.length != 0) return o;
        if (w.tif == 4 && k.filled < w.lots) return refusal(o, abi.encodeWithSelector(IExchange.NotFilled.selector, k.filled));
        if (w.isTake && o.out < w.minOut) return refusal(o, abi.encodeWithSelector(IExchange.Slippage.selector, o.out));
        if (w.tif == 0 && k.why == LIMIT) rest(o, w, t, k.rem);
    }

    /// @dev What the fields alone forbid, in the order of the design.
    function forbids(Wish memory w, Terms memory t) private view returns (bytes memory) {
        bool rests = w.tif == 1 || w.tif == 2;
        if (t.status > 2 || (t.status == 2 && !rests)) return abi.encodeWithSelector(IExchange.NotLive.selector, t.status);
        if (w.lots < (w.isTake ? 1 : t.minLots)) return abi.encodeWithSelector(IExchange.BadLots.selector);
        if (dead(w.account)) return abi.encodeWithSelector(IExchange.Expired.selector);
        uint256 least = w.tif <= 2 && t.minTtl != 0 ? t.minTtl : 1;
        if (w.expiry != 0 && w.expiry < block.timestamp + least) return abi.encodeWithSelector(IExchange.Expired.selector);
        if (!w.track) return "";
        uint256 known = get(15, uint256(w.account) << 64 | w.cloid);
        if (known >> 255 == 1) return abi.encodeWithSelector(IExchange.CloidInUse.selector);
        if (known >> 254 & 1 == 1 && block.timestamp <= known & type(uint40).max) return abi.encodeWithSelector(IExchange.PreCancelled.selector);
        return "";
    }

    function dead(uint32 account) internal view returns (bool) {
        uint256 second = get(7, account) >> 176 & type(uint40).max;
        return second != 0 && block.timestamp >= second;
    }

    function mayHaveExpired(Level memory l) internal view returns (bool) {
        return l.minExpiry != 0 && l.minExpiry <= block.timestamp;
    }

    function expired(uint256 r) internal view returns (bool) {
        uint256 expiry = r >> 80 & type(uint32).max;
        return expiry != 0 && block.timestamp >= expiry;
    }

    /// @dev POST_ONLY and SLIDE: wholly expired levels do not stand in the way, as far as the steps reach.
    function resting(Outcome memory o, Wish memory w, Terms memory t) private view returns (Outcome memory) {
        uint256 steps = w.steps == 0 ? 256 : w.steps;
        for (uint256 i = 0; i < TICKS; ++i) {
            uint24 tick = tickAt(w.side == BID ? i : TICKS - 1 - i);
            if (w.side == BID ? tick > w.tick : tick < w.tick) break;
            uint256 id = levelId(w.market, 1 - w.side, tick);
            Level memory l = levelOf(get(11, id));
            if (l.open == 0) continue;
            bool alive = !mayHaveExpired(l);
            for (uint256 n = l.head; !alive && l.open != 0; ++n) {
                uint256 r = record(id << 40 | n);
                alive = r != 0 && !expired(r);
                if (alive) break;
                if (steps == 0) return refusal(o, abi.encodeWithSelector(IExchange.StepLimit.selector));
                --steps;
                if (r != 0) l.open -= (r & type(uint48).max) - (n == l.head ? l.headFilled : 0);
            }
            if (!alive) continue;
            if (w.tif == 1) return refusal(o, abi.encodeWithSelector(IExchange.WouldCross.selector, tick));
            o.tick = w.side == BID ? tick - 1 : tick + 1;
            break;
        }
        o.why = LIMIT;
        rest(o, w, t, w.lots);
        return o;
    }

    function settle(Outcome memory o, Wish memory w, Terms memory t, Walk memory k) private view {
        uint256 fee = (k.quote * rate(w.account, t) + 15_999_999) / 16_000_000;
        if (w.side == BID) {
            if (low(o.quote) < k.quote + fee) o.reason = abi.encodeWithSelector(IExchange.Insufficient.selector);
            else o.quote -= k.quote + fee;
            o.base += k.filled * t.lot;
            o.out = k.filled * t.lot;
        } else {
            if (low(o.base) < k.filled * t.lot) o.reason = abi.encodeWithSelector(IExchange.Insufficient.selector);
            else o.base -= k.filled * t.lot;
            o.quote += k.quote - fee;
            o.out = k.quote - fee;
        }
        o.quote += (fee - k.rebate) << 128;
    }

    /// @return sixteenths of a millionth
    function rate(uint32 account, Terms memory t) private view returns (uint256) {
        uint256 tier = get(7, account) >> 160 & 15;
        uint256 floor = t.makerFee < 0 ? 16 * uint256(-t.makerFee) : 0;
        uint256 asked = t.takerFee * (16 - tier);
        return asked > floor ? asked : floor;
    }

    function rest(Outcome memory o, Wish memory w, Terms memory t, uint256 lots) private pure {
        o.rests = lots;
        if (lots == 0) return;
        if (w.side == ASK) {
            if (low(o.base) < lots * t.lot) o.reason = abi.encodeWithSelector(IExchange.Insufficient.selector);
            else o.base = (o.base - lots * t.lot) | 1 << 240;
        } else {
            (uint256 fee,) = makerPart(t, o.tick);
            uint256 escrow = lots * (o.tick * t.price + fee);
            if (low(o.quote) < escrow) o.reason = abi.encodeWithSelector(IExchange.Insufficient.selector);
            else o.quote = (o.quote - escrow) | 1 << 240;
        }
    }

    /// @dev Fills in price, then in time, as far as limit, lots, budget, steps and the own orders met allow.
    function walkBook(Wish memory w, Terms memory t, Outcome memory o) private view returns (Walk memory k) {
        k.steps = w.steps == 0 ? 256 : w.steps;
        k.rem = w.lots;
        k.watch = w.stp != 0 && (w.side == BID ? o.base : o.quote) >> 240 & 1 == 1;
        k.spend = NO_BOUND;
        if (w.maxIn != NO_BOUND) {
            k.spend = w.maxIn == type(uint128).max ? low(w.side == BID ? o.quote : o.base) : w.maxIn;
            if (w.side == BID) k.spend = k.spend * 16_000_000 / (16_000_000 + rate(w.account, t));
        }
        for (uint256 i = 0; i < TICKS && k.rem != 0; ++i) {
            uint24 tick = tickAt(w.side == BID ? i : TICKS - 1 - i);
            if (w.side == BID ? tick > w.tick : tick < w.tick) break;
            uint256 id = levelId(w.market, 1 - w.side, tick);
            Level memory l = levelOf(get(11, id));
            if (l.open == 0) continue;
            uint256 cost = w.side == BID ? tick * t.price : t.lot;
            if (k.steps == 0) return end(k, OUT_OF_STEPS);
            if (k.spend < cost) return end(k, BUDGET);
            uint256 before = k.filled;
            meet(w, t, k, l, id, k.spend / cost);
            uint256 got = k.filled - before;
            if (k.spend != NO_BOUND) k.spend -= got * cost;
            k.quote += got * tick * t.price;
            (, uint256 each) = makerPart(t, tick);
            k.rebate += got * each;
            if (k.ended) return k;
            if (l.open != 0 && k.rem != 0) return end(k, k.steps == 0 ? OUT_OF_STEPS : BUDGET);
        }
        k.why = k.rem == 0 ? FILLED : LIMIT;
    }

    function end(Walk memory k, uint256 why) private pure returns (Walk memory) {
        k.why = why;
        k.ended = true;
        return k;
    }

    /// @dev One level, for at most `can` lots; leaves what stays open in `l`.
    function meet(Wish memory w, Terms memory t, Walk memory k, Level memory l, uint256 id, uint256 can) private view {
        if (!k.watch && !mayHaveExpired(l) && l.open <= k.rem && l.open <= can) {
            --k.steps;
            k.filled += l.open;
            k.rem -= l.open;
            l.open = 0;
            return;
        }
        for (uint256 i = l.head; l.open != 0 && k.rem != 0 && can != 0; ++i) {
            if (k.steps == 0) {
                end(k, OUT_OF_STEPS);
                return;
            }
            --k.steps;
            uint256 r = record(id << 40 | i);
            uint256 filled = i == l.head ? l.headFilled : 0;
            uint256 left = (r & type(uint48).max) - filled;
            if (r == 0) continue;
            if (expired(r)) {
                l.open -= left;
            } else if (k.watch && uint32(r >> 48) == w.account) {
                own(w, t, k, l, uint24(id), left, filled);
                if (k.ended) return;
            } else {
                uint256 n = left < k.rem ? left : k.rem;
                if (can < n) n = can;
                l.open -= n;
                k.rem -= n;
                k.filled += n;
                can -= n;
            }
        }
    }

    /// @dev The taker's own order stands in the way.
    function own(Wish memory w, Terms memory t, Walk memory k, Level memory l, uint24 tick, uint256 left, uint256 filled) private pure {
        if (w.stp == 1) {
            end(k, STP);
            return;
        }
        uint256 n = left;
        if (w.stp == 4) {
            if (k.rem < n) n = k.rem;
            k.rem -= n;
        }
        l.open -= n;
        uint256 paid = n == left ? filled : 0;
        (uint256 fee, uint256 rebate) = makerPart(t, tick);
        if (w.side == BID) {
            k.base += n * t.lot;
            k.own += paid * (tick * t.price - fee + rebate);
        } else {
            k.own += n * (tick * t.price + fee) + paid * rebate;
            k.base += paid * t.lot;
        }
        k.due += paid * fee;
        if (w.stp == 3) end(k, STP);
    }

    function refusal(Outcome memory o, bytes memory reason) private pure returns (Outcome memory) {
        o.reason = reason;
        return o;
    }

    function low(uint256 word_) internal pure returns (uint256) {
        return word_ & type(uint128).max;
    }
}
