// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Agents} from "./Agents.sol";
import {Bitmap} from "./Bitmap.sol";
import {Fees} from "./Fees.sol";
import {Keys} from "./Keys.sol";
import {Ledger} from "./Ledger.sol";
import {Levels} from "./Levels.sol";
import {Markets} from "./Markets.sol";
import {Modes, Order} from "./Order.sol";
import {Orders} from "./Orders.sol";
import {Rejects} from "./Rejects.sol";
import {Store} from "./Store.sol";

/// @title The way through the other side of the book
/// @notice Called by Matching. Takes level by level from the touch: a level that fits wholly, has nothing expired and cannot hold the taker's own orders is
/// swept by one write, whatever the number of its orders; any other is walked record by record from its head. Writes level words, bitmap, and of records only
/// those that expired or are the taker's own: never another maker's balance or live record. The taker's money for what it took is Matching's to move.
library Taking {
    // Why a taking ended.
    uint256 internal constant FILLED = 0;
    uint256 internal constant LIMIT = 1;
    uint256 internal constant STEPS = 2;
    uint256 internal constant STP = 3;
    uint256 internal constant BUDGET = 4;

    /// No bound on what is paid.
    uint256 internal constant UNBOUND = type(uint256).max;
    /// As a bound: all that is free.
    uint256 private constant ALL = type(uint128).max;
    uint256 private constant UNREAD = type(uint256).max;

    /// What a taker got, and what it may still take.
    struct Sum {
        uint256 filled; // lots
        uint256 quote; // atoms, without the fee
        uint256 rebate; // quote atoms of the fee set aside for the makers
        uint256 reason;
        uint256 rem; // lots wanted still
        uint256 spend; // atoms it may pay still, without the fee
        uint256 steps;
        bool watch; // own orders may lie ahead and must not be taken
    }

    /// A level being walked.
    struct Queue {
        uint256 level;
        uint256 word; // as it was
        uint256 open;
        uint256 head;
        uint256 headFilled;
        uint256 key; // of `records`
        uint256 records; // the word with the head's record
    }

    /// @notice Consumes the other side up to the order's limit, lots, budget or steps, whichever ends first.
    function take(Order memory o) internal returns (Sum memory t) {
        uint256 other = 1 - o.side;
        uint256 half = Bitmap.half(o.market, other);
        t.rem = o.lots;
        t.steps = o.steps;
        t.spend = budget(o);
        t.watch = watches(o);
        uint256 tick = Bitmap.best(half, other);
        unchecked {
            while (t.rem != 0) {
                if (!reaches(o, tick)) {
                    t.reason = LIMIT;
                    return t;
                }
                if (t.steps == 0) {
                    t.reason = STEPS;
                    return t;
                }
                uint256 price = Fees.unit(o.cfg, tick);
                uint256 cost = o.side == Keys.BID ? price : Markets.basePerLot(o.cfg); // of one lot, to the taker
                uint256 can = t.spend / cost;
                if (can == 0) {
                    t.reason = BUDGET;
                    return t;
                }
                (uint256 lots, bool emptied) = consume(o, t, Keys.level(o.market << 32, other, tick), can);
                (, uint256 rebate) = Fees.maker(o.cfg, price);
                t.filled += lots;
                t.spend -= lots * cost;
                t.quote += lots * price;
                t.rebate += lots * rebate;
                if (emptied) tick = Bitmap.next(half, other, tick, Bitmap.clear(half, tick));
                if (t.reason != FILLED) return t;
            }
        }
    }

    /// @dev Sweeps or walks one level, for at most `can` lots.
    /// @return lots filled
    /// @return emptied whether nothing is open any more
    function consume(Order memory o, Sum memory t, uint256 level, uint256 can) private returns (uint256 lots, bool emptied) {
        uint256 word = Store.words().lvl[level];
        lots = Levels.open(word);
        if (!t.watch && lots <= t.rem && lots <= can && !Levels.due(word)) {
            unchecked {
                --t.steps;
                t.rem -= lots;
            }
            word = Levels.emptied(word);
            Store.words().lvl[level] = word;
            emit IExchange.LevelFill(level, word);
            return (lots, true);
        }
        Queue memory q = enter(level, word);
        lots = walk(o, t, q, can);
        store(q);
        emptied = q.open == 0;
    }

    /// @dev Fills from the head of a level, two records a read. A hole or an expired order costs a step, once: the head never goes back.
    function walk(Order memory o, Sum memory t, Queue memory q, uint256 can) private returns (uint256 lots) {
        unchecked {
            while (q.open != 0 && t.rem != 0 && can != 0) {
                if (t.steps == 0) {
                    t.reason = STEPS;
                    return lots;
                }
                --t.steps;
                uint256 record = first(q);
                if (!alive(record)) {
                    skip(q, record);
                } else if (t.watch && Orders.accountOf(record) == o.account) {
                    if (meetOwn(o, t, q, record)) {
                        t.reason = STP;
                        return lots;
                    }
                } else {
                    uint256 left = Orders.lotsOf(record) - q.headFilled;
                    uint256 n = left < t.rem ? left : t.rem;
                    if (can < n) n = can;
                    q.open -= n;
                    t.rem -= n;
                    can -= n;
                    lots += n;
                    if (n == left) advance(q);
                    else q.headFilled += n;
                }
            }
        }
    }

    /// @dev The taker meets an order of its own at the head.
    /// @return ended whether the taking ends here
    function meetOwn(Order memory o, Sum memory t, Queue memory q, uint256 record) private returns (bool ended) {
        uint256 stp = Modes.stp(o.mode);
        if (stp == Modes.CANCEL_TAKER) return true;
        Orders.Resting memory own;
        own.level = q.level;
        own.record = record;
        uint256 id = q.level << 40 | q.head;
        unchecked {
            uint256 left = Orders.lotsOf(record) - q.headFilled;
            uint256 n = left;
            if (stp == Modes.DECREMENT) {
                if (t.rem < n) n = t.rem;
                t.rem -= n; // both sides shrink; nothing is filled
            }
            q.open -= n;
            emit IExchange.Reduced(id, uint48(left - n), uint48(n), Orders.STP);
            own.back = n;
            if (n == left) {
                own.filled = q.headFilled;
                if (own.filled != 0) emit IExchange.Claimed(id, uint32(o.account), uint48(own.filled), 0);
                write(q, 0);
                advance(q);
            } else {
                write(q, record - n);
            }
            Rejects.raise(Orders.pay(own));
        }
        return stp == Modes.CANCEL_BOTH;
    }

    /// @notice Clears expired orders off the levels that an order would cross, up to the first live one.
    /// @return best tick that still crosses, 0 if none
    function front(Order memory o) internal returns (uint256 best) {
        uint256 other = 1 - o.side;
        uint256 half = Bitmap.half(o.market, other);
        uint256 steps = o.steps;
        while (true) {
            best = Bitmap.best(half, other);
            if (!reaches(o, best)) return 0;
            uint256 level = Keys.level(o.market << 32, other, best);
            uint256 word = Store.words().lvl[level];
            if (!Levels.due(word)) return best;
            Queue memory q = enter(level, word);
            bool live;
            (steps, live) = pass(q, steps);
            if (live) {
                store(q);
                return best;
            }
            if (q.open != 0) revert IExchange.StepLimit();
            store(q);
            Bitmap.clear(half, best);
        }
    }

    /// @notice Passes holes and expired orders at the head of a level, at most `steps`.
    function prune(uint256 level, uint256 steps) internal {
        uint256 word = Store.words().lvl[level];
        if (Levels.open(word) == 0) return;
        Queue memory q = enter(level, word);
        pass(q, steps);
        store(q);
        if (q.open == 0) Bitmap.clear(Bitmap.half(Keys.marketOf(level), Keys.sideOf(level)), Keys.tickOf(level));
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- a queue

    function enter(uint256 level, uint256 word) private pure returns (Queue memory q) {
        q.level = level;
        q.word = word;
        q.open = Levels.open(word);
        q.head = Levels.head(word);
        q.headFilled = Levels.headFilled(word);
        q.key = UNREAD;
    }

    /// @dev The record at the head.
    function first(Queue memory q) private view returns (uint256) {
        uint256 key = Orders.key(q.level, q.head);
        if (key != q.key) {
            q.key = key;
            q.records = Store.words().ord[key];
        }
        return q.records >> Orders.shift(q.head) & Orders.RECORD;
    }

    function alive(uint256 record) private view returns (bool) {
        uint256 expiry = Orders.expiryOf(record);
        return record != 0 && (expiry == 0 || block.timestamp < expiry);
    }

    function advance(Queue memory q) private pure {
        unchecked {
            ++q.head;
        }
        q.headFilled = 0;
    }

    /// @dev Passes a hole, or an expired order: its record keeps what is to be refunded and what was filled before.
    function skip(Queue memory q, uint256 record) private {
        if (record != 0) {
            unchecked {
                uint256 left = Orders.lotsOf(record) - q.headFilled;
                q.open -= left;
                write(q, Orders.skipped(record, left, q.headFilled));
                emit IExchange.Reduced(q.level << 40 | q.head, 0, uint48(left), Orders.EXPIRED);
            }
        }
        advance(q);
    }

    /// @dev Skips to a live order, to an empty level, or until the steps are used up.
    /// @return left steps
    /// @return live whether a live order is at the head
    function pass(Queue memory q, uint256 steps) private returns (uint256 left, bool live) {
        for (left = steps; q.open != 0;) {
            uint256 record = first(q);
            if (alive(record)) return (left, true);
            if (left == 0) return (0, false);
            unchecked {
                --left;
            }
            skip(q, record);
        }
    }

    /// @dev Replaces the head's record.
    function write(Queue memory q, uint256 record) private {
        q.records = Orders.replaced(q.records, q.head, record);
        Store.words().ord[q.key] = q.records;
    }

    function store(Queue memory q) private {
        uint256 word = Levels.moved(q.word, q.open, q.headFilled, q.head);
        if (word == q.word) return;
        Store.words().lvl[q.level] = word;
        emit IExchange.LevelFill(q.level, word);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------ an order

    /// @dev Whether the order may trade at this tick of the other side; 0 is no tick.
    function reaches(Order memory o, uint256 tick) private pure returns (bool) {
        return tick != 0 && (o.side == Keys.BID ? tick <= o.tick : tick >= o.tick);
    }

    /// @dev What may be paid for lots: quote atoms without the fee by a buyer, base atoms by a seller.
    function budget(Order memory o) private view returns (uint256 atoms) {
        atoms = o.maxIn;
        if (atoms == UNBOUND) return atoms;
        uint256 token = o.side == Keys.BID ? Markets.quote(o.cfg) : Markets.base(o.cfg);
        if (atoms == ALL) atoms = Ledger.free(Store.words().bal[Keys.bal(o.account, token)]);
        if (o.side == Keys.BID) atoms = Fees.budget(o.cfg, Agents.tier(o.acct), atoms);
    }

    /// @dev Whether an order of its own may lie ahead: only if the account has ever had one rest that escrows what it now buys.
    function watches(Order memory o) private view returns (bool) {
        if (Modes.stp(o.mode) == 0) return false;
        uint256 token = o.side == Keys.BID ? Markets.base(o.cfg) : Markets.quote(o.cfg);
        return Ledger.rested(Store.words().bal[Keys.bal(o.account, token)]);
    }
}
