// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Bitmap} from "./Bitmap.sol";
import {Fees} from "./Fees.sol";
import {Keys} from "./Keys.sol";
import {Ledger} from "./Ledger.sol";
import {Levels} from "./Levels.sol";
import {Markets} from "./Markets.sol";
import {Orders} from "./Orders.sol";
import {Store} from "./Store.sol";

/// @title A new order against the book
/// @notice Called by `Exchange.place` with an order whose fields were checked. Takes level by level from the touch: a level that fits wholly is swept by one
/// write, whatever the number of its orders; the last one is walked record by record from its head. Writes level words, bitmap and the taker's two balance
/// words: never a record, never a maker's balance, never another contract.
library Matching {
    uint256 internal constant GTC = 0;
    uint256 internal constant POST_ONLY = 1;
    uint256 internal constant IOC = 3;
    uint256 internal constant FOK = 4;

    uint256 private constant FILLED = 0;
    uint256 private constant LIMIT = 1;
    uint256 private constant STEPS = 2;

    struct Order {
        uint256 account;
        uint256 tier;
        uint256 market;
        uint256 cfg;
        uint256 mode;
        uint256 side;
        uint256 tick;
        uint256 lots;
        uint256 cloid;
        uint256 steps;
    }

    /// What a taker got.
    struct Sum {
        uint256 filled; // lots
        uint256 quote; // atoms, without the fee
        uint256 rebate; // quote atoms of the fee set aside for the makers
        uint256 reason;
    }

    /// @notice Takes what crosses and rests what remains, as the order's tif says.
    /// @return id of the order that rests, 0 if none
    /// @return filled lots taken
    function place(Order memory o) internal returns (uint256 id, uint256 filled) {
        uint256 tif = o.mode >> 1 & 7;
        uint256 other = 1 - o.side;
        uint256 half = Bitmap.half(o.market, other);
        if (tif < IOC && !Bitmap.crossed(half, other, o.tick)) return (rest(o, o.lots), 0);
        if (tif == POST_ONLY) revert IExchange.WouldCross(uint24(Bitmap.best(half, other)));

        Sum memory sum = take(o, half, other);
        filled = sum.filled;
        settle(o, sum);
        if (tif == FOK && filled < o.lots) revert IExchange.NotFilled(uint48(filled));
        if (tif == GTC && sum.reason == LIMIT) {
            unchecked {
                id = rest(o, o.lots - filled);
            }
        }
    }

    /// @dev Puts `lots` at the tail of the order's level and moves their escrow out of the free balance.
    function rest(Order memory o, uint256 lots) private returns (uint256 id) {
        id = Orders.push(o.market, o.side, o.tick, o.account, lots);
        uint256 token = o.side == Keys.ASK ? Markets.base(o.cfg) : Markets.quote(o.cfg);
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        uint256 page = Keys.bal(o.account, token);
        unchecked {
            bal[page] = Ledger.debit(bal[page], lots * Fees.escrow(o.cfg, o.side, o.tick)) | Ledger.RESTED;
        }
        emit IExchange.Placed(id, uint32(o.account), lots | o.cloid << 80 | o.mode << 144);
    }

    /// @dev Consumes the levels of the other side up to the order's tick, its lots or its steps, whichever ends first.
    function take(Order memory o, uint256 half, uint256 other) private returns (Sum memory sum) {
        Store.Layout storage s = Store.words();
        uint256 rem = o.lots;
        uint256 steps = o.steps;
        uint256 tick = Bitmap.best(half, other);
        unchecked {
            while (true) {
                if (rem == 0) break; // FILLED
                if (tick == 0 || (other == Keys.ASK ? tick > o.tick : tick < o.tick)) {
                    sum.reason = LIMIT;
                    break;
                }
                if (steps == 0) {
                    sum.reason = STEPS;
                    break;
                }
                uint256 level = Keys.level(o.market << 32, other, tick);
                uint256 word = s.lvl[level];
                uint256 lots = Levels.open(word);
                bool swept = lots <= rem;
                if (swept) {
                    word = Levels.emptied(word);
                    --steps;
                } else {
                    (word, lots, steps) = walk(level, word, rem, steps);
                }
                s.lvl[level] = word;
                emit IExchange.LevelFill(level, word);
                rem -= lots;
                uint256 price = Fees.unit(o.cfg, tick);
                (, uint256 rebate) = Fees.maker(o.cfg, price);
                sum.quote += lots * price;
                sum.rebate += lots * rebate;
                if (swept) tick = Bitmap.next(half, other, tick, Bitmap.clear(half, tick));
            }
            sum.filled = o.lots - rem;
        }
    }

    /// @dev Fills `rem` lots, fewer than are open, from the head of a level, two records a read. A hole costs a step, once: the head never goes back.
    /// @return the level's word after, the lots filled, the steps left
    function walk(uint256 level, uint256 word, uint256 rem, uint256 steps) private view returns (uint256, uint256, uint256) {
        mapping(uint256 => uint256) storage ord = Store.words().ord;
        uint256 head = Levels.head(word);
        uint256 headFilled = Levels.headFilled(word);
        uint256 wanted = rem;
        unchecked {
            uint256 records = ord[Orders.key(level, head)] >> Orders.shift(head);
            while (rem != 0 && steps != 0) {
                --steps;
                uint256 record = records & Orders.RECORD;
                uint256 left = Orders.lotsOf(record) - headFilled; // a hole has 0, and no headFilled
                if (left > rem) {
                    headFilled += rem;
                    rem = 0;
                    break;
                }
                rem -= left;
                headFilled = 0;
                ++head;
                records = head & 1 == 1 ? records >> 128 : (rem != 0 && steps != 0 ? ord[Orders.key(level, head)] : 0);
            }
            rem = wanted - rem;
            return (Levels.moved(word, Levels.open(word) - rem, headFilled, head), rem, steps);
        }
    }

    /// @dev Moves the taker's money: one write per token, whatever was met. The makers' is moved when they claim.
    function settle(Order memory o, Sum memory sum) private {
        uint256 fee;
        unchecked {
            if (sum.filled != 0) {
                mapping(uint256 => uint256) storage bal = Store.words().bal;
                uint256 base = Keys.bal(o.account, Markets.base(o.cfg));
                uint256 quote = Keys.bal(o.account, Markets.quote(o.cfg));
                uint256 atoms = sum.filled * Markets.basePerLot(o.cfg);
                fee = Fees.taker(o.cfg, o.tier, sum.quote);
                uint256 word = bal[quote];
                if (o.side == Keys.BID) {
                    word = Ledger.debit(word, sum.quote + fee);
                    bal[base] = Ledger.credit(bal[base], atoms);
                } else {
                    bal[base] = Ledger.debit(bal[base], atoms);
                    word = Ledger.credit(word, sum.quote - fee);
                }
                bal[quote] = Ledger.owe(word, fee - sum.rebate);
            }
        }
        if (sum.filled == 0 && sum.reason == LIMIT && o.mode >> 1 & 7 == GTC) return;
        uint256 data = o.lots | sum.filled << 48 | o.cloid << 96 | o.mode << 160 | sum.reason << 168;
        emit IExchange.Taken(uint32(o.market), uint32(o.account), data, sum.quote, fee);
    }
}
