// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Agents} from "./Agents.sol";
import {Bitmap} from "./Bitmap.sol";
import {Cloids} from "./Cloids.sol";
import {Deadman} from "./Deadman.sol";
import {Fees} from "./Fees.sol";
import {Keys} from "./Keys.sol";
import {Ledger} from "./Ledger.sol";
import {Levels} from "./Levels.sol";
import {Markets} from "./Markets.sol";
import {Kind, Modes, Order} from "./Order.sol";
import {Orders} from "./Orders.sol";
import {Rejects} from "./Rejects.sol";
import {Store} from "./Store.sol";
import {Taking} from "./Taking.sol";

/// @title A new order against the book: what it is allowed, what becomes of it, who pays
/// @notice Called by Exchange and Ops. An order that only rests is judged before its first write and refused with a number (see Rejects). One that meets the
/// other side reverts when it fails; in a batch that goes on after failures it therefore runs in a call of its own, `isolated`. Writes, beside what Taking
/// does, the order's own level and record and the owner's two balance words; calls no other contract.
library Matching {
    uint256 private constant TICK_MAX = type(uint24).max;
    uint256 internal constant ORDER_BYTES = 18 * 32;

    /// @notice PLACE, TAKE, or a rung of a LADDER.
    /// @return refusal 0, or why nothing happened
    function place(Order memory o) internal returns (uint256 refusal) {
        refusal = check(o);
        if (refusal != 0) return refusal;
        o.result = Taking.LIMIT << 152; // of what just rests
        if (Modes.tif(o.mode) < Modes.IOC) {
            uint256 other = 1 - o.side;
            if (!Bitmap.crossed(Bitmap.half(o.market, other), other, o.tick)) return rest(o, o.lots);
        }
        if (o.isolate != 0) return isolated(o);
        cross(o);
    }

    /// @notice REPLACE: an order of the same market and side makes room first; all or nothing.
    function replace(Order memory o) internal returns (uint256 refusal) {
        if (!Agents.may(o.rights, Agents.CANCEL | Agents.permOf(Modes.tif(o.mode)), o.market)) return Rejects.NOT_AUTHORIZED;
        if (o.isolate != 0) return isolated(o);
        Orders.Resting memory old = Orders.find(o.replaced);
        refusal = Orders.foreign(old, o.account);
        if (refusal != 0) return refusal;
        uint256 word = Store.words().lvl[old.level];
        if (!Orders.live(old, word)) return Rejects.UNKNOWN_ORDER; // a fill is never doubled
        if (Keys.sideOf(old.level) != o.side) return Rejects.BAD_MODE;
        old.why = Orders.REPLACED;
        refusal = Orders.drop(old, word);
        return refusal != 0 ? refusal : place(o);
    }

    /// @notice Runs the operation in a call of the exchange to itself, so that a failure leaves no trace. `Exchange.fallback` receives the order as it lies in
    /// memory and nobody else can call it. A failure without a selector (out of gas) ends the whole batch.
    function isolated(Order memory o) internal returns (uint256 refusal) {
        bool ok;
        uint256 answer;
        o.isolate = 0;
        assembly ("memory-safe") {
            ok := call(gas(), address(), 0, o, ORDER_BYTES, 0, 32)
            answer := mload(0)
            if lt(returndatasize(), 4) { revert(0, 0) }
        }
        o.isolate = 1;
        if (!ok) return answer >> 224;
        o.result = answer;
    }

    /// @notice An order that was checked and may meet the other side; reverts if it fails.
    function cross(Order memory o) internal {
        uint256 tif = Modes.tif(o.mode);
        if (Modes.rests(tif)) {
            uint256 best = Taking.front(o);
            if (best != 0) {
                if (tif == Modes.POST_ONLY) revert IExchange.WouldCross(uint24(best));
                unchecked {
                    o.tick = o.side == Keys.BID ? best - 1 : best + 1;
                }
                if (o.tick == 0 || o.tick > TICK_MAX) revert IExchange.BadTick();
            }
            return Rejects.raise(rest(o, o.lots));
        }
        Taking.Sum memory t = Taking.take(o);
        // A TAKE's worth is known only now; that of an order with a price was judged before.
        if (o.kind == Kind.TAKE && !Agents.within(o.rights, t.quote)) revert IExchange.OverCap();
        uint256 fee = settle(o, t);
        report(o, t, fee);
        if (tif == Modes.FOK && t.filled < o.lots) revert IExchange.NotFilled(uint48(t.filled));
        if (o.kind == Kind.TAKE) {
            uint256 out = o.side == Keys.BID ? t.filled * Markets.basePerLot(o.cfg) : t.quote - fee;
            if (out < o.minOut) revert IExchange.Slippage(out);
            o.result = out | t.filled << 128 | t.reason << 176;
            return;
        }
        o.result = t.filled << 104 | t.reason << 152;
        if (tif == Modes.GTC && t.reason == Taking.LIMIT) Rejects.raise(rest(o, t.rem));
    }

    /// @notice Moves the taker's money: one write per token, whatever was met. The makers' is moved when they claim.
    /// @return fee quote atoms
    function settle(Order memory o, Taking.Sum memory t) private returns (uint256 fee) {
        if (t.filled == 0) return 0;
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        uint256 base = Keys.bal(o.account, Markets.base(o.cfg));
        uint256 quote = Keys.bal(o.account, Markets.quote(o.cfg));
        fee = Fees.taker(o.cfg, Agents.tier(o.acct), t.quote);
        uint256 word = bal[quote];
        unchecked {
            uint256 atoms = t.filled * Markets.basePerLot(o.cfg);
            if (o.side == Keys.BID) {
                word = Ledger.debit(word, t.quote + fee);
                bal[base] = Ledger.credit(bal[base], atoms);
            } else {
                bal[base] = Ledger.debit(bal[base], atoms);
                word = Ledger.credit(word, t.quote - fee);
            }
            bal[quote] = Ledger.owe(word, fee - t.rebate);
        }
    }

    /// @notice Says what was taken; a GTC that met nobody just rests.
    function report(Order memory o, Taking.Sum memory t, uint256 fee) internal {
        if (t.filled == 0 && t.reason == Taking.LIMIT && Modes.tif(o.mode) == Modes.GTC) return;
        uint256 data = o.lots | t.filled << 48 | o.cloid << 96 | o.mode << 160 | t.reason << 168;
        emit IExchange.Taken(uint32(o.market), uint32(o.account), data, t.quote, fee);
    }

    /// @dev The fields of an order, in the order of the design.
    function check(Order memory o) private view returns (uint256 refusal) {
        uint256 cfg = o.cfg;
        if (cfg == 0) {
            cfg = Store.words().cfg[o.market];
            if (cfg == 0) return Rejects.NO_MARKET;
            o.cfg = cfg;
        }
        bool taking = o.kind == Kind.TAKE;
        uint256 tif = Modes.tif(o.mode);
        if (o.rights < Agents.OWNER) {
            if (!Agents.may(o.rights, Agents.permOf(tif), o.market)) return Rejects.NOT_AUTHORIZED;
            if (!taking && !Agents.within(o.rights, o.lots * Fees.unit(cfg, o.tick))) return Rejects.OVER_CAP;
        }
        if (tif > Modes.FOK || Modes.stp(o.mode) > Modes.DECREMENT) return Rejects.BAD_MODE;
        bool track = o.mode & Modes.TRACK != 0;
        if (taking ? tif < Modes.IOC || track : track && o.cloid == 0) return Rejects.BAD_MODE;
        if (o.kind == Kind.LADDER && !Modes.rests(tif)) return Rejects.BAD_MODE;
        uint256 status = Markets.status(cfg);
        if (status > (Modes.rests(tif) ? Markets.POST_ONLY : Markets.LIVE)) return Rejects.NOT_LIVE | status << 32;
        if (o.tick == 0 && !taking) return Rejects.BAD_TICK;
        if (o.lots < (taking ? 1 : Markets.minLots(cfg)) || o.lots > Orders.LOTS_MAX) return Rejects.BAD_LOTS;
        if (late(o, tif)) return Rejects.EXPIRED;
        if (track) return Cloids.refusal(o.account, o.cloid);
    }

    /// @dev Whether the order's time, or its account's, is over: an order that may rest must live a second, or the market's minTtl.
    function late(Order memory o, uint256 tif) private view returns (bool) {
        if (Deadman.fired(o.acct)) return true;
        if (o.expiry == 0) return false;
        uint256 least = tif <= Modes.SLIDE ? Markets.minTtl(o.cfg) : 0;
        return o.expiry < block.timestamp + (least == 0 ? 1 : least);
    }

    /// @dev Puts `lots` at the tail of the order's level and moves their escrow out of the free balance. Judges before it writes.
    function rest(Order memory o, uint256 lots) private returns (uint256 refusal) {
        Store.Layout storage s = Store.words();
        uint256 level = Keys.level(o.market << 32, o.side, o.tick);
        uint256 word = s.lvl[level];
        uint256 page = Keys.bal(o.account, o.side == Keys.ASK ? Markets.base(o.cfg) : Markets.quote(o.cfg));
        unchecked {
            if (Levels.tail(word) == Levels.INDEX_MAX || Levels.open(word) + lots > Levels.OPEN_MAX) return Rejects.LEVEL_FULL;
            uint256 atoms = lots * Fees.escrow(o.cfg, o.side, o.tick);
            uint256 funds = s.bal[page];
            if (atoms > Ledger.free(funds)) return Rejects.INSUFFICIENT;
            s.bal[page] = (funds - atoms) | Ledger.RESTED;
        }
        Orders.push(level, word, Orders.pack(o.account, lots, o.expiry));
        uint256 id = level << 40 | Levels.tail(word);
        if (o.mode & Modes.TRACK != 0) Cloids.track(o.account, o.cloid, id);
        emit IExchange.Placed(id, uint32(o.account), lots | o.expiry << 48 | o.cloid << 80 | o.mode << 144);
        o.result |= id;
    }
}
