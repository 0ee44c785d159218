// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Bitmap} from "./Bitmap.sol";
import {Fees} from "./Fees.sol";
import {Keys} from "./Keys.sol";
import {Ledger} from "./Ledger.sol";
import {Levels} from "./Levels.sol";
import {Markets} from "./Markets.sol";
import {Store} from "./Store.sol";

/// @title Resting orders: placed at the tail, taken back, reduced, paid
/// @notice Two records share a word, the even index low: lots 0-47, account 48-79, aux 80-126 (expiry in s; once skipped: lots filled before it), skipped 127.
/// A record of 0 is a hole: cancelled, claimed, or not placed yet. A record before the head is filled by all its lots unless skipped. A fill writes no record:
/// what an order has earned follows from its level's word, and is paid here, when it is claimed or cancelled.
library Orders {
    uint256 internal constant LOTS_MAX = (1 << 47) - 1;
    uint256 internal constant RECORD = type(uint128).max;
    uint256 private constant LOTS = type(uint48).max;
    uint256 private constant SKIPPED = 1 << 127;

    uint8 private constant CANCEL = 1;
    uint8 private constant REDUCE = 2;

    /// An order as it lies in storage.
    struct Resting {
        uint256 id;
        uint256 level;
        uint256 index;
        uint256 key; // of the word with its record
        uint256 word; // that word
        uint256 record; // 0: a hole
    }

    function find(uint256 id) internal view returns (Resting memory o) {
        o.id = id;
        o.level = Keys.levelOf(id);
        o.index = Keys.indexOf(id);
        o.key = key(o.level, o.index);
        o.word = Store.words().ord[o.key];
        o.record = o.word >> shift(o.index) & RECORD;
    }

    /// @notice The order of an operation by its owner.
    function own(uint256 id, uint256 account) internal view returns (Resting memory o) {
        o = find(id);
        if (o.record == 0) revert IExchange.UnknownOrder();
        if (accountOf(o.record) != account) revert IExchange.NotAuthorized();
    }

    /// @notice Appends an order to its level and sets the bitmap if it is the first. The escrow is the caller's to debit.
    /// @return id of the order
    function push(uint256 market, uint256 side, uint256 tick, uint256 account, uint256 lots) internal returns (uint256 id) {
        Store.Layout storage s = Store.words();
        uint256 level = Keys.level(market << 32, side, tick);
        uint256 word = s.lvl[level];
        uint256 index = Levels.tail(word);
        unchecked {
            if (index == Levels.INDEX_MAX || Levels.open(word) + lots > Levels.OPEN_MAX) revert IExchange.LevelFull();
        }
        if (Levels.open(word) == 0) Bitmap.set(Bitmap.half(market, side), tick);
        s.lvl[level] = Levels.pushed(word, lots);
        uint256 spot = key(level, index);
        uint256 record = account << 48 | lots;
        if (index & 1 == 0) s.ord[spot] = record; // its neighbour comes later: the word is 0
        else s.ord[spot] |= record << 128;
        return level << 40 | index;
    }

    /// @notice Takes an order back; filled meanwhile, it is paid out instead.
    function cancel(Resting memory o) internal returns (uint256 back, uint256 filled) {
        uint256 word = Store.words().lvl[o.level];
        if (!live(o, word)) return settle(o);
        return drop(o, word, CANCEL);
    }

    /// @notice Lowers what is left of a live order to `left` lots, at its place in the queue. What it has filled stays unclaimed.
    function reduce(Resting memory o, uint256 left) internal returns (uint256 back) {
        Store.Layout storage s = Store.words();
        uint256 word = s.lvl[o.level];
        if (!live(o, word)) revert IExchange.UnknownOrder();
        if (left == 0) {
            (back,) = drop(o, word, CANCEL);
            return back;
        }
        unchecked {
            uint256 now_ = lotsOf(o.record) - filledAtHead(o, word);
            if (left >= now_) return 0;
            uint256 cfg = s.cfg[Keys.marketOf(o.level)];
            if (left < Markets.minLots(cfg)) revert IExchange.BadLots();
            back = now_ - left;
            s.ord[o.key] = o.word - (back << shift(o.index));
            s.lvl[o.level] = word - (back << 64);
            emit IExchange.Reduced(o.id, uint48(left), uint48(back), REDUCE);
            pay(cfg, o, 0, back);
        }
    }

    /// @notice Pays what an order has earned so far; nothing to pay has no effect. Anyone may ask.
    function claim(uint256 id) internal {
        Resting memory o = find(id);
        if (o.record == 0) return;
        Store.Layout storage s = Store.words();
        uint256 word = s.lvl[o.level];
        if (!live(o, word)) {
            settle(o);
            return;
        }
        uint256 filled = filledAtHead(o, word);
        if (filled == 0) return;
        unchecked {
            // The filled part leaves record and level together: open, and every other order, stay as they are.
            s.ord[o.key] = o.word - (filled << shift(o.index));
            s.lvl[o.level] = word - (filled << 128);
        }
        emit IExchange.Claimed(o.id, uint32(accountOf(o.record)), uint48(filled), 0);
        pay(s.cfg[Keys.marketOf(o.level)], o, filled, 0);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- inside

    /// @dev Removes a live order: what is left goes home, what was filled is paid.
    function drop(Resting memory o, uint256 word, uint8 why) private returns (uint256 left, uint256 filled) {
        Store.Layout storage s = Store.words();
        filled = filledAtHead(o, word);
        unchecked {
            left = lotsOf(o.record) - filled;
            uint256 open = Levels.open(word) - left;
            uint256 head = Levels.head(word);
            bool first = o.index == head;
            // A head that goes takes its filled part along; holes behind it are passed by a later walk.
            s.lvl[o.level] = Levels.moved(word, open, first ? 0 : Levels.headFilled(word), first ? head + 1 : head);
            if (open == 0) Bitmap.clear(Bitmap.half(Keys.marketOf(o.level), Keys.sideOf(o.level)), Keys.tickOf(o.level));
        }
        erase(o);
        emit IExchange.Reduced(o.id, 0, uint48(left), why);
        if (filled != 0) emit IExchange.Claimed(o.id, uint32(accountOf(o.record)), uint48(filled), 0);
        pay(s.cfg[Keys.marketOf(o.level)], o, filled, left);
    }

    /// @dev Pays an order that does not rest any more: filled, or skipped when it had expired.
    function settle(Resting memory o) private returns (uint256 back, uint256 filled) {
        (back, filled) = o.record & SKIPPED != 0 ? (lotsOf(o.record), o.record >> 80 & LOTS_MAX) : (0, lotsOf(o.record));
        erase(o);
        emit IExchange.Claimed(o.id, uint32(accountOf(o.record)), uint48(filled), uint48(back));
        pay(Store.words().cfg[Keys.marketOf(o.level)], o, filled, back);
    }

    /// @dev Credits the owner: proceeds of `filled` lots, escrow of `back` lots. Linear per lot, so order and split of payments do not matter.
    function pay(uint256 cfg, Resting memory o, uint256 filled, uint256 back) private {
        uint256 account = accountOf(o.record);
        uint256 price = Fees.unit(cfg, Keys.tickOf(o.level));
        (uint256 due, uint256 rebate) = Fees.maker(cfg, price);
        uint256 base;
        uint256 quote;
        unchecked {
            if (Keys.sideOf(o.level) == Keys.ASK) {
                base = back * Markets.basePerLot(cfg);
                quote = filled * (price - due + rebate);
            } else {
                base = filled * Markets.basePerLot(cfg);
                quote = filled * rebate + back * (price + due);
            }
            due *= filled;
        }
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        if (base != 0) {
            uint256 page = Keys.bal(account, Markets.base(cfg));
            bal[page] = Ledger.credit(bal[page], base);
        }
        if (quote | due != 0) {
            uint256 page = Keys.bal(account, Markets.quote(cfg));
            bal[page] = Ledger.owe(Ledger.credit(bal[page], quote), due);
        }
    }

    function erase(Resting memory o) private {
        Store.words().ord[o.key] = o.word & ~(RECORD << shift(o.index));
    }

    function live(Resting memory o, uint256 word) private pure returns (bool) {
        return o.index >= Levels.head(word) && o.record & SKIPPED == 0;
    }

    function filledAtHead(Resting memory o, uint256 word) private pure returns (uint256) {
        return o.index == Levels.head(word) ? Levels.headFilled(word) : 0;
    }

    // ------------------------------------------------------------------------------------------------------------------------------------ records

    function key(uint256 level, uint256 index) internal pure returns (uint256) {
        return level << 40 | index >> 1;
    }

    function shift(uint256 index) internal pure returns (uint256) {
        return (index & 1) << 7;
    }

    function lotsOf(uint256 record) internal pure returns (uint256) {
        return record & LOTS;
    }

    function accountOf(uint256 record) internal pure returns (uint256) {
        return record >> 48 & type(uint32).max;
    }

    function expiryOf(uint256 record) internal pure returns (uint256) {
        return record & SKIPPED != 0 ? 0 : record >> 80 & type(uint32).max;
    }
}
