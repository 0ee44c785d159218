// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Bitmap} from "./Bitmap.sol";
import {Fees} from "./Fees.sol";
import {Keys} from "./Keys.sol";
import {Ledger} from "./Ledger.sol";
import {Levels} from "./Levels.sol";
import {Markets} from "./Markets.sol";
import {Rejects} from "./Rejects.sol";
import {Store} from "./Store.sol";

/// @title Resting orders: placed at the tail, taken back, reduced, paid
/// @notice Two records share a word, the even index low: lots 0-47, account 48-79, aux 80-126 (expiry in s; once skipped: lots filled before it), skipped 127.
/// A record of 0 is a hole: cancelled, claimed, or not placed yet. A record before the head is filled by all its lots unless skipped. A fill writes no record:
/// what an order has earned follows from its level's word, and is paid here, when it is claimed or cancelled.
/// Money is judged before anything is written: what answers with a refusal (see Rejects) has left no trace.
library Orders {
    uint256 internal constant LOTS_MAX = (1 << 47) - 1;
    uint256 internal constant RECORD = type(uint128).max;
    uint256 private constant LOTS = type(uint48).max;
    uint256 private constant SKIPPED = 1 << 127;

    // Why lots went home, in `Reduced`.
    uint8 internal constant CANCEL = 1;
    uint8 internal constant REDUCE = 2;
    uint8 internal constant REPLACED = 3;
    uint8 internal constant STP = 4;
    uint8 internal constant EXPIRED = 5;
    uint8 internal constant DEADMAN = 6;
    uint8 internal constant HALTED = 7;

    /// An order as it lies in storage, and what an operation gave of it.
    struct Resting {
        uint256 id;
        uint256 level;
        uint256 index;
        uint256 key; // of the word with its record
        uint256 word; // that word
        uint256 record; // 0: a hole
        uint256 back; // lots refunded by the operation
        uint256 filled; // lots paid by the operation
        uint256 why; // lots go home
    }

    /// @notice Reads the record of an id; a record of 0 is a hole.
    function find(uint256 id) internal view returns (Resting memory o) {
        o.id = id;
        o.level = Keys.levelOf(id);
        o.index = Keys.indexOf(id);
        o.key = key(o.level, o.index);
        o.word = Store.words().ord[o.key];
        o.record = o.word >> shift(o.index) & RECORD;
    }

    /// @return refusal of an operation of `account` on the order
    function foreign(Resting memory o, uint256 account) internal pure returns (uint256) {
        if (o.record == 0) return Rejects.UNKNOWN_ORDER;
        return accountOf(o.record) == account ? 0 : Rejects.NOT_AUTHORIZED;
    }

    /// @notice Writes an order to the tail of its level and sets the bitmap if it is the first. The caller has found room and moved the escrow.
    /// @param level its level, `word` that level's word
    /// @param record lots, account, expiry
    function push(uint256 level, uint256 word, uint256 record) internal {
        Store.Layout storage s = Store.words();
        uint256 index = Levels.tail(word);
        if (Levels.open(word) == 0) Bitmap.set(Bitmap.half(Keys.marketOf(level), Keys.sideOf(level)), Keys.tickOf(level));
        s.lvl[level] = Levels.pushed(word, lotsOf(record), expiryOf(record));
        uint256 spot = key(level, index);
        if (index & 1 == 0) s.ord[spot] = record; // its neighbour comes later: the word is 0
        else s.ord[spot] |= record << 128;
    }

    /// @notice Takes an order back; filled meanwhile, it is paid out instead.
    function cancel(Resting memory o) internal returns (uint256 refusal) {
        uint256 word = Store.words().lvl[o.level];
        if (!live(o, word)) return settle(o);
        o.why = CANCEL;
        return drop(o, word);
    }

    /// @notice Lowers what is left of a live order to `left` lots, at its place in the queue. What it has filled stays unclaimed.
    function reduce(Resting memory o, uint256 left) internal returns (uint256 refusal) {
        Store.Layout storage s = Store.words();
        uint256 word = s.lvl[o.level];
        if (!live(o, word)) return Rejects.UNKNOWN_ORDER;
        if (left == 0) {
            o.why = CANCEL;
            return drop(o, word);
        }
        unchecked {
            uint256 now_ = lotsOf(o.record) - filledAtHead(o, word);
            if (left >= now_) return 0;
            uint256 cfg = s.cfg[Keys.marketOf(o.level)];
            if (left < Markets.minLots(cfg)) return Rejects.BAD_LOTS;
            uint256 back = now_ - left;
            o.back = back;
            refusal = pay(o);
            if (refusal != 0) return refusal;
            s.ord[o.key] = o.word - (back << shift(o.index));
            s.lvl[o.level] = word - (back << 64);
            emit IExchange.Reduced(o.id, uint48(left), uint48(back), REDUCE);
        }
    }

    /// @notice Pays what an order has earned so far; nothing to pay has no effect. Anyone may ask.
    function claim(Resting memory o) internal returns (uint256 refusal) {
        if (o.record == 0) return 0;
        Store.Layout storage s = Store.words();
        uint256 word = s.lvl[o.level];
        if (!live(o, word)) return settle(o);
        uint256 filled = filledAtHead(o, word);
        if (filled == 0) return 0;
        o.filled = filled;
        refusal = pay(o);
        if (refusal != 0) return refusal;
        unchecked {
            // The filled part leaves record and level together: open, and every other order, stay as they are.
            s.ord[o.key] = o.word - (filled << shift(o.index));
            s.lvl[o.level] = word - (filled << 128);
        }
        emit IExchange.Claimed(o.id, uint32(accountOf(o.record)), uint48(filled), 0);
    }

    /// @notice Removes a live order: what is left goes home, what was filled is paid.
    /// @param o with the reason in `why`
    /// @param word of its level
    function drop(Resting memory o, uint256 word) internal returns (uint256 refusal) {
        unchecked {
            uint256 filled = filledAtHead(o, word);
            uint256 left = lotsOf(o.record) - filled;
            o.filled = filled;
            o.back = left;
            refusal = pay(o);
            if (refusal != 0) return refusal;
            uint256 open = Levels.open(word) - left;
            uint256 head = Levels.head(word);
            bool first = o.index == head;
            // A head that goes takes its filled part along; holes behind it are passed by a later walk.
            Store.words().lvl[o.level] = Levels.moved(word, open, first ? 0 : Levels.headFilled(word), first ? head + 1 : head);
            if (open == 0) Bitmap.clear(Bitmap.half(Keys.marketOf(o.level), Keys.sideOf(o.level)), Keys.tickOf(o.level));
        }
        erase(o);
        emit IExchange.Reduced(o.id, 0, uint48(o.back), uint8(o.why));
        if (o.filled != 0) emit IExchange.Claimed(o.id, uint32(accountOf(o.record)), uint48(o.filled), 0);
    }

    /// @dev Pays an order that does not rest any more: filled, or skipped when it had expired.
    function settle(Resting memory o) private returns (uint256 refusal) {
        (o.back, o.filled) = o.record & SKIPPED != 0 ? (lotsOf(o.record), o.record >> 80 & LOTS_MAX) : (0, lotsOf(o.record));
        refusal = pay(o);
        if (refusal != 0) return refusal;
        erase(o);
        emit IExchange.Claimed(o.id, uint32(accountOf(o.record)), uint48(o.filled), uint48(o.back));
    }

    /// @notice Credits the owner of an order: proceeds of its `filled` lots, escrow of its `back` lots. Linear per lot, so order and split of payments do not
    /// matter.
    /// @param o its level, its record and the lots
    /// @return refusal if a word would overflow, which only a token that lies can bring about; then neither word is written
    function pay(Resting memory o) internal returns (uint256 refusal) {
        uint256 cfg = Store.words().cfg[Keys.marketOf(o.level)];
        (uint256 base, uint256 quote, uint256 due) = worth(cfg, o);
        uint256 account = accountOf(o.record);
        mapping(uint256 => uint256) storage bal = Store.words().bal;
        uint256 page;
        uint256 word;
        if (quote | due != 0) {
            page = Keys.bal(account, Markets.quote(cfg));
            word = bal[page];
            if (!Ledger.holds(word, quote, due)) return Rejects.BAD_AMOUNT;
            unchecked {
                word += quote + (due << 128);
            }
        }
        if (base != 0) {
            uint256 basePage = Keys.bal(account, Markets.base(cfg));
            uint256 baseWord = bal[basePage];
            if (!Ledger.holds(baseWord, base, 0)) return Rejects.BAD_AMOUNT;
            unchecked {
                bal[basePage] = baseWord + base;
            }
        }
        if (quote | due != 0) bal[page] = word;
    }

    /// @dev What lots of an order are worth to its owner, in atoms, and the fee it owes.
    function worth(uint256 cfg, Resting memory o) private pure returns (uint256 base, uint256 quote, uint256 due) {
        uint256 price = Fees.unit(cfg, Keys.tickOf(o.level));
        (uint256 filled, uint256 back) = (o.filled, o.back);
        uint256 rebate;
        (due, rebate) = Fees.maker(cfg, price);
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
    }

    function erase(Resting memory o) private {
        Store.words().ord[o.key] = o.word & ~(RECORD << shift(o.index));
    }

    /// @return whether the order still rests, expired or not: not filled, not passed by
    function live(Resting memory o, uint256 word) internal pure returns (bool) {
        return o.index >= Levels.head(word) && o.record & SKIPPED == 0;
    }

    function filledAtHead(Resting memory o, uint256 word) private pure returns (uint256) {
        return o.index == Levels.head(word) ? Levels.headFilled(word) : 0;
    }

    // ------------------------------------------------------------------------------------------------------------------------------------ records

    /// @return key of the word with the record at an index
    function key(uint256 level, uint256 index) internal pure returns (uint256) {
        return level << 40 | index >> 1;
    }

    /// @return bits the record lies above the low end of its word
    function shift(uint256 index) internal pure returns (uint256) {
        return (index & 1) << 7;
    }

    /// @return lots of a record: left and filled at the head; refundable once skipped
    function lotsOf(uint256 record) internal pure returns (uint256) {
        return record & LOTS;
    }

    /// @return number of the owner
    function accountOf(uint256 record) internal pure returns (uint256) {
        return record >> 48 & type(uint32).max;
    }

    /// @return s, 0 none, or skipped already
    function expiryOf(uint256 record) internal pure returns (uint256) {
        return record & SKIPPED != 0 ? 0 : record >> 80 & type(uint32).max;
    }

    /// @return a live record
    function pack(uint256 account, uint256 lots, uint256 expiry) internal pure returns (uint256) {
        return expiry << 80 | account << 48 | lots;
    }

    /// @notice What becomes of an order that a walk passes after its expiry: `left` lots to refund, `filled` before.
    function skipped(uint256 record_, uint256 left, uint256 filled) internal pure returns (uint256) {
        return SKIPPED | filled << 80 | (record_ & (uint256(type(uint32).max) << 48)) | left;
    }

    /// @notice The word of two records with one of them replaced.
    function replaced(uint256 word, uint256 index, uint256 record_) internal pure returns (uint256) {
        return (word & ~(RECORD << shift(index))) | record_ << shift(index);
    }
}
