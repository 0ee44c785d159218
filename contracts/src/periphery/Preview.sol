// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {ILens} from "../interfaces/ILens.sol";
import {Agents} from "../libraries/Agents.sol";
import {Deadman} from "../libraries/Deadman.sol";
import {Fees} from "../libraries/Fees.sol";
import {Keys} from "../libraries/Keys.sol";
import {Ledger} from "../libraries/Ledger.sol";
import {Levels} from "../libraries/Levels.sol";
import {Markets} from "../libraries/Markets.sol";
import {Modes} from "../libraries/Order.sol";
import {Orders} from "../libraries/Orders.sol";
import {Reader} from "./Reader.sol";

/// @title What an order would do, without doing it
/// @notice The rules of `place` and of taking once more, over words that are only read. Refusals are the same errors from the same checks in the same order,
/// money is counted by the same libraries; the tests hold it to what the exchange then does. It writes nothing and calls only `load`.
abstract contract Preview is Reader {
    uint256 private constant STEPS = 256;
    uint256 private constant FEE_COLLECTOR = 1;
    uint256 private constant LEVELS = 8; // read at once

    /// Why a taking ended.
    enum End {
        Running,
        Filled,
        Limit,
        Steps,
        Stp,
        Budget
    }

    /// A taking under way.
    struct Taking {
        uint256 account;
        uint256 tier;
        uint256 market;
        uint256 cfg;
        uint256 side; // of the taker
        uint256 limit;
        uint256 rem; // lots still wanted
        uint256 spend; // atoms of what is paid with, left
        uint256 steps; // left
        uint256 stp; // 0: own orders are met like any other
        uint256 baseWord; // the taker's balances, as Ledger packs them
        uint256 quoteWord;
        uint256 filled; // lots
        uint256 quote; // atoms, without the fee
        uint256 rebate; // quote atoms
        End end;
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- place

    /// @dev Fails as `place` would.
    /// @return tick where the order would rest
    /// @return rests lots that would rest
    /// @return filled lots that would be taken
    function placed(ILens.Wish memory w) internal view returns (uint256 tick, uint256 rests, uint256 filled) {
        Taking memory t = checked(w);
        uint256 tif = Modes.tif(w.mode);
        tick = w.tick;
        rests = w.lots;
        if (Modes.rests(tif)) {
            uint256 best = front(t);
            if (best != 0) {
                if (tif == Modes.POST_ONLY) revert IExchange.WouldCross(uint24(best));
                tick = t.side == Keys.BID ? best - 1 : best + 1;
                if (tick == 0 || tick > type(uint24).max) revert IExchange.BadTick();
            }
        } else {
            take(t);
            settle(t);
            filled = t.filled;
            if (tif == Modes.FOK && filled < w.lots) revert IExchange.NotFilled(uint48(filled));
            rests = tif == Modes.GTC && t.end == End.Limit ? t.rem : 0;
        }
        if (rests != 0) rest(t, tick, rests);
    }

    /// @dev The checks before matching, in their order.
    function checked(ILens.Wish memory w) private view returns (Taking memory t) {
        bytes32[] memory words = new bytes32[](2);
        (words[0], words[1]) = (slotOf(CFG, w.market), slotOf(ACCT_OF, uint160(w.sender)));
        words = exchange.load(words);
        t.cfg = uint256(words[0]);
        if (t.cfg == 0) revert IExchange.NoMarket();
        t.account = w.account == 0 ? uint256(words[1]) : w.account;
        words = new bytes32[](6); // the first is slot 0: the owner role
        (words[1], words[2]) = (slotOf(ACCT, t.account), slotOf(AGENTS, t.account << 160 | uint160(w.sender)));
        words[3] = slotOf(CLOIDS, t.account << 64 | w.cloid);
        (words[4], words[5]) = (slotOf(BAL, Keys.bal(t.account, Markets.base(t.cfg))), slotOf(BAL, Keys.bal(t.account, Markets.quote(t.cfg))));
        words = exchange.load(words);
        authorized(w, t, words);
        terms(w, t.cfg);
        if (Deadman.fired(uint256(words[1]))) revert IExchange.Expired();
        if (w.mode & Modes.TRACK != 0) free(uint256(words[3]));
        t.tier = Agents.tier(uint256(words[1]));
        (t.market, t.side, t.limit, t.rem) = (w.market, w.mode & 1, w.tick, w.lots);
        t.spend = type(uint256).max;
        t.steps = w.maxSteps == 0 ? STEPS : w.maxSteps;
        (t.baseWord, t.quoteWord) = (uint256(words[4]), uint256(words[5]));
        uint256 gets = t.side == Keys.BID ? t.baseWord : t.quoteWord;
        if (Ledger.rested(gets)) t.stp = Modes.stp(w.mode);
    }

    /// @param words owner role, account, agent
    function authorized(ILens.Wish memory w, Taking memory t, bytes32[] memory words) private view {
        if (t.account == 0) revert IExchange.NotAuthorized();
        if (address(uint160(uint256(words[1]))) == w.sender) return;
        if (t.account == FEE_COLLECTOR && address(uint160(uint256(words[0]))) == w.sender) return;
        uint256 agent = uint256(words[2]);
        if (agent & type(uint40).max <= block.timestamp) revert IExchange.NotAuthorized();
        Agents.demand(agent, Agents.permOf(Modes.tif(w.mode)), w.market);
        Agents.cap(agent, w.lots * Fees.unit(t.cfg, w.tick));
    }

    /// @dev Mode, status, price, size and expiry.
    function terms(ILens.Wish memory w, uint256 cfg) private view {
        uint256 tif = Modes.tif(w.mode);
        if (tif > Modes.FOK || Modes.stp(w.mode) > Modes.DECREMENT || (w.mode & Modes.TRACK != 0 && w.cloid == 0)) revert IExchange.BadMode();
        uint256 status = Markets.status(cfg);
        if (status > (Modes.rests(tif) ? Markets.POST_ONLY : Markets.LIVE)) revert IExchange.NotLive(uint8(status));
        if (w.tick == 0) revert IExchange.BadTick();
        if (w.lots < Markets.minLots(cfg) || w.lots > Orders.LOTS_MAX) revert IExchange.BadLots();
        if (w.expiry == 0) return;
        uint256 least = tif <= Modes.SLIDE ? Markets.minTtl(cfg) : 1;
        if (w.expiry < block.timestamp + (least == 0 ? 1 : least)) revert IExchange.Expired();
    }

    /// @dev Whether a client id may be used.
    function free(uint256 cloid) private view {
        if (cloid >> 255 == 1) revert IExchange.CloidInUse();
        if (cloid >> 254 == 1 && block.timestamp <= cloid & type(uint40).max) revert IExchange.PreCancelled();
    }

    /// @dev The bounds of a level, then the escrow.
    function rest(Taking memory t, uint256 tick, uint256 lots) private view {
        uint256 word = read(LVL, Keys.level(t.market << 32, t.side, tick));
        if (Levels.tail(word) == Levels.INDEX_MAX || Levels.open(word) + lots > Levels.OPEN_MAX) revert IExchange.LevelFull();
        uint256 escrow = lots * Fees.escrow(t.cfg, t.side, tick);
        Ledger.debit(t.side == Keys.ASK ? t.baseWord : t.quoteWord, escrow);
    }

    /// @dev Best tick of the other side that an order at the limit would meet, past levels that are wholly expired; 0 none. Each record passed is a step.
    function front(Taking memory t) private view returns (uint256) {
        uint256 other = 1 - t.side;
        uint256 from = touchward(other);
        bool none;
        while (!none) {
            uint256[] memory ticks = ticksFrom(t.market, other, from, LEVELS);
            bytes32[] memory words = levelWords(t.market, other, ticks);
            for (uint256 i = 0; i < ticks.length; ++i) {
                if (outside(t, ticks[i])) return 0;
                if (!Levels.due(uint256(words[i])) || alive(t, Keys.level(t.market << 32, other, ticks[i]), uint256(words[i]))) return ticks[i];
            }
            if (ticks.length < LEVELS) break;
            (from, none) = further(other, ticks[LEVELS - 1]);
        }
        return 0;
    }

    /// @dev Whether a level has a living order, looked for from its head, a step for each record passed.
    function alive(Taking memory t, uint256 level, uint256 word) private view returns (bool) {
        Page memory page = openPage(level);
        uint256 open = Levels.open(word);
        uint256 headFilled = Levels.headFilled(word);
        for (uint256 i = Levels.head(word); open != 0; ++i) {
            uint256 record = recordAt(page, i, Levels.tail(word));
            if (record != 0 && !expired(record)) return true;
            if (t.steps == 0) revert IExchange.StepLimit();
            --t.steps;
            if (record != 0) open -= Orders.lotsOf(record) - headFilled;
            headFilled = 0;
        }
        return false;
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- take

    /// @dev Takes level by level from the touch, as far as limit, lots, steps and budget go.
    function take(Taking memory t) internal view {
        uint256 other = 1 - t.side;
        uint256 from = touchward(other);
        bool none;
        while (!none) {
            uint256[] memory ticks = ticksFrom(t.market, other, from, LEVELS);
            bytes32[] memory words = levelWords(t.market, other, ticks);
            for (uint256 i = 0; i < ticks.length; ++i) {
                takeLevel(t, ticks[i], uint256(words[i]));
                if (t.end != End.Running) return;
            }
            if (ticks.length < LEVELS) break;
            (from, none) = further(other, ticks[LEVELS - 1]);
        }
        t.end = t.rem == 0 ? End.Filled : End.Limit;
    }

    function takeLevel(Taking memory t, uint256 tick, uint256 word) private view {
        if (t.rem == 0) t.end = End.Filled;
        else if (outside(t, tick)) t.end = End.Limit;
        else if (t.steps == 0) t.end = End.Steps;
        if (t.end != End.Running) return;
        uint256 price = Fees.unit(t.cfg, tick);
        uint256 each = t.side == Keys.BID ? price : Markets.basePerLot(t.cfg);
        uint256 can = t.spend / each;
        if (can == 0) {
            t.end = End.Budget;
            return;
        }
        uint256 open = Levels.open(word);
        uint256 lots;
        if (t.stp == 0 && !Levels.due(word) && open <= t.rem && open <= can) {
            lots = open;
            t.rem -= lots;
            --t.steps;
        } else {
            lots = walk(t, tick, word, can);
        }
        (, uint256 rebate) = Fees.maker(t.cfg, price);
        t.filled += lots;
        t.quote += lots * price;
        t.rebate += lots * rebate;
        t.spend -= lots * each;
    }

    /// @dev Record by record from the head: holes and expired orders cost a step like the others.
    /// @return lots filled
    function walk(Taking memory t, uint256 tick, uint256 word, uint256 can) private view returns (uint256 lots) {
        Page memory page = openPage(Keys.level(t.market << 32, 1 - t.side, tick));
        uint256 open = Levels.open(word);
        uint256 headFilled = Levels.headFilled(word);
        for (uint256 i = Levels.head(word); open != 0 && t.rem != 0 && can != lots; ++i) {
            if (t.steps == 0) {
                t.end = End.Steps;
                return lots;
            }
            --t.steps;
            uint256 record = recordAt(page, i, Levels.tail(word));
            if (record == 0) continue;
            uint256 left = Orders.lotsOf(record) - headFilled;
            if (expired(record)) {
                open -= left;
            } else if (t.stp != 0 && Orders.accountOf(record) == t.account) {
                open -= meetOwn(t, tick, left, headFilled);
                if (t.end != End.Running) return lots;
            } else {
                uint256 n = left < t.rem ? left : t.rem;
                if (n > can - lots) n = can - lots;
                open -= n;
                t.rem -= n;
                lots += n;
            }
            headFilled = 0;
        }
        if (can == lots && t.rem != 0) t.end = t.steps == 0 ? End.Steps : End.Budget;
    }

    /// @dev The taker's own living order, as its self-trade mode says.
    /// @return gone lots that leave the level without a fill
    function meetOwn(Taking memory t, uint256 tick, uint256 left, uint256 filled) private pure returns (uint256 gone) {
        if (t.stp == Modes.CANCEL_TAKER) {
            t.end = End.Stp;
            return 0;
        }
        gone = left;
        if (t.stp == Modes.DECREMENT) {
            if (t.rem < left) (gone, filled) = (t.rem, 0); // it stays, what it has filled stays unpaid
            t.rem -= gone;
        } else if (t.stp == Modes.CANCEL_BOTH) {
            t.end = End.Stp;
        }
        uint256 price = Fees.unit(t.cfg, tick);
        (uint256 due, uint256 rebate) = Fees.maker(t.cfg, price);
        if (t.side == Keys.BID) {
            t.baseWord = Ledger.credit(t.baseWord, gone * Markets.basePerLot(t.cfg));
            t.quoteWord = Ledger.credit(t.quoteWord, filled * (price - due + rebate));
        } else {
            t.baseWord = Ledger.credit(t.baseWord, filled * Markets.basePerLot(t.cfg));
            t.quoteWord = Ledger.credit(t.quoteWord, filled * rebate + gone * (price + due));
        }
        t.quoteWord = Ledger.owe(t.quoteWord, filled * due);
    }

    /// @dev The taker's money, as the exchange moves it: fails where it would.
    function settle(Taking memory t) private pure {
        if (t.filled == 0) return;
        uint256 fee = Fees.taker(t.cfg, t.tier, t.quote);
        uint256 atoms = t.filled * Markets.basePerLot(t.cfg);
        if (t.side == Keys.BID) {
            t.quoteWord = Ledger.debit(t.quoteWord, t.quote + fee);
            t.baseWord = Ledger.credit(t.baseWord, atoms);
        } else {
            t.baseWord = Ledger.debit(t.baseWord, atoms);
            t.quoteWord = Ledger.credit(t.quoteWord, t.quote - fee);
        }
        t.quoteWord = Ledger.owe(t.quoteWord, fee - t.rebate);
    }

    /// @dev Whether a tick of the other side lies beyond the taker's limit.
    function outside(Taking memory t, uint256 tick) private pure returns (bool) {
        return t.side == Keys.BID ? tick > t.limit : tick < t.limit;
    }
}
