// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {Bitmap} from "../libraries/Bitmap.sol";
import {Fees} from "../libraries/Fees.sol";
import {Keys} from "../libraries/Keys.sol";
import {Ledger} from "../libraries/Ledger.sol";
import {Levels} from "../libraries/Levels.sol";
import {Markets} from "../libraries/Markets.sol";
import {Orders} from "../libraries/Orders.sol";

/// @title Books and balances, read from the words of the exchange
/// @notice Replaceable: it only calls `load`. Its slot 0 holds the exchange (a genesis file may set it). Answers are of the block of the call.
contract Lens {
    IExchange public exchange;

    uint256 private constant TOKEN_OF = 4;
    uint256 private constant BAL = 8;
    uint256 private constant CFG = 9;
    uint256 private constant BITS = 10;
    uint256 private constant LVL = 11;
    uint256 private constant ORD = 12;

    constructor(IExchange exchange_) {
        exchange = exchange_;
    }

    /// @notice The touch of a market.
    /// @return bid best bid's tick, 0 none
    /// @return ask best ask's tick, 0 none
    function best(uint32 market) external view returns (uint24 bid, uint24 ask) {
        bid = uint24(nearest(Bitmap.half(market, Keys.BID), Keys.BID, Orders.LOTS_MAX));
        ask = uint24(nearest(Bitmap.half(market, Keys.ASK), Keys.ASK, 0));
    }

    /// @notice Price levels of a side, from the touch outward.
    /// @param side 0 bids, downward; 1 asks, upward
    /// @param from first tick looked at; 0 starts at the touch
    /// @param n most levels to answer
    /// @return levels words: tick 0-23, open 24-87 (lots), tail - head 88-127 (orders and holes)
    function depth(uint32 market, uint8 side, uint24 from, uint256 n) external view returns (uint256[] memory levels) {
        levels = new uint256[](n);
        uint256 half = Bitmap.half(market, side & 1);
        uint256 tick = nearest(half, side & 1, from == 0 && side & 1 == Keys.BID ? type(uint24).max : from);
        uint256 count;
        while (count < n && tick != 0) {
            uint256 word = read(LVL, Keys.level(uint256(market) << 32, side & 1, tick));
            levels[count++] = tick | Levels.open(word) << 24 | (Levels.tail(word) - Levels.head(word)) << 88;
            if (tick == (side & 1 == Keys.BID ? 1 : type(uint24).max)) break;
            tick = nearest(half, side & 1, side & 1 == Keys.BID ? tick - 1 : tick + 1);
        }
        assembly ("memory-safe") {
            mstore(levels, count)
        }
    }

    /// @notice The queue of a level, first come first.
    /// @param from index to start at; what lies before the head is passed
    /// @param n most orders to answer
    /// @return orders_ words: index 0-39, account 40-71, left 72-119 (lots), expiry 120-151 (s, 0 none)
    function orders(uint64 level, uint40 from, uint256 n) external view returns (uint256[] memory orders_) {
        orders_ = new uint256[](n);
        uint256 word = read(LVL, level);
        uint256 index = from < Levels.head(word) ? Levels.head(word) : from;
        uint256 count;
        for (; count < n && index < Levels.tail(word); ++index) {
            uint256 record = recordOf(level, index);
            if (record == 0) continue;
            uint256 left = Orders.lotsOf(record) - (index == Levels.head(word) ? Levels.headFilled(word) : 0);
            orders_[count++] = index | Orders.accountOf(record) << 40 | left << 72 | Orders.expiryOf(record) << 120;
        }
        assembly ("memory-safe") {
            mstore(orders_, count)
        }
    }

    /// @notice One order. An order claimed or cancelled is not known any more: all 0.
    /// @return account its owner
    /// @return lots of its record: what it had when placed, less what was reduced or claimed
    /// @return left lots that rest
    /// @return claimable filled lots not paid yet
    /// @return expiry s, 0 none
    /// @return state 0 unknown, 1 rests, 2 waits to be claimed
    function orderInfo(uint256 id) external view returns (uint32 account, uint48 lots, uint48 left, uint48 claimable, uint32 expiry, uint8 state) {
        (uint256 record, uint256 left_, uint256 filled, uint256 back) = split(id);
        if (record == 0) return (0, 0, 0, 0, 0, 0);
        account = uint32(Orders.accountOf(record));
        lots = uint48(left_ + filled + back);
        left = uint48(left_);
        claimable = uint48(filled);
        expiry = uint32(Orders.expiryOf(record));
        state = left_ != 0 ? 1 : 2;
    }

    /// @notice An account's balance in a token, with what its orders would pay now.
    /// @param token address, 0 the native coin
    /// @param ids orders to look at; those of others count nothing
    /// @return free atoms it may use
    /// @return feeDue atoms owed to the exchange
    /// @return claimable atoms a claim of `ids` would add to free
    function balanceOf(uint32 account, address token, uint256[] calldata ids) external view returns (uint256 free, uint256 feeDue, uint256 claimable) {
        uint256 number = token == address(0) ? 1 : read(TOKEN_OF, uint160(token));
        uint256 word = read(BAL, Keys.bal(account, number));
        free = Ledger.free(word);
        feeDue = Ledger.feeDue(word);
        for (uint256 i = 0; i < ids.length; ++i) {
            claimable += proceeds(account, number, ids[i]);
        }
    }

    /// @dev Atoms of `number` that a claim of the order would credit.
    function proceeds(uint256 account, uint256 number, uint256 id) private view returns (uint256 atoms) {
        (uint256 record,, uint256 filled, uint256 back) = split(id);
        if (record == 0 || Orders.accountOf(record) != account) return 0;
        uint256 level = Keys.levelOf(id);
        uint256 cfg = read(CFG, Keys.marketOf(level));
        uint256 price = Fees.unit(cfg, Keys.tickOf(level));
        (uint256 due, uint256 rebate) = Fees.maker(cfg, price);
        bool ask = Keys.sideOf(level) == Keys.ASK;
        if (number == Markets.base(cfg)) atoms = (ask ? back : filled) * Markets.basePerLot(cfg);
        if (number == Markets.quote(cfg)) atoms = ask ? filled * (price - due + rebate) : filled * rebate + back * (price + due);
    }

    /// @dev What an order's lots are now: they rest, are filled, or wait to go back.
    function split(uint256 id) private view returns (uint256 record, uint256 left, uint256 filled, uint256 back) {
        uint256 level = Keys.levelOf(id);
        uint256 index = Keys.indexOf(id);
        record = recordOf(level, index);
        if (record == 0) return (0, 0, 0, 0);
        uint256 word = read(LVL, level);
        uint256 lots = Orders.lotsOf(record);
        if (record >> 127 == 1) return (record, 0, record >> 80 & Orders.LOTS_MAX, lots);
        if (index < Levels.head(word)) return (record, 0, lots, 0);
        if (index == Levels.head(word)) filled = Levels.headFilled(word);
        left = lots - filled;
    }

    function recordOf(uint256 level, uint256 index) private view returns (uint256) {
        return read(ORD, Orders.key(level, index)) >> Orders.shift(index) & Orders.RECORD;
    }

    /// @dev The nearest used tick at `from` or beyond it, away from the touch; 0 none. Looks in the leaf, then depth 1, then the root, and down again.
    function nearest(uint256 half, uint256 side, uint256 from) private view returns (uint256 tick) {
        if (from > type(uint24).max) from = type(uint24).max;
        uint256 word = beyond(bits(half, 2, from >> 8), side, from & 255, true);
        if (word != 0) return from >> 8 << 8 | Bitmap.pick(word, side);
        word = beyond(bits(half, 1, from >> 16), side, from >> 8 & 255, false);
        if (word != 0) {
            tick = from >> 16 << 8 | Bitmap.pick(word, side);
        } else {
            word = beyond(bits(half, 0, 0), side, from >> 16, false);
            if (word == 0) return 0;
            tick = Bitmap.pick(word, side);
            tick = tick << 8 | Bitmap.pick(bits(half, 1, tick), side);
        }
        return tick << 8 | Bitmap.pick(bits(half, 2, tick), side);
    }

    function beyond(uint256 word, uint256 side, uint256 bit, bool inclusive) private pure returns (uint256) {
        uint256 own = 1 << bit;
        uint256 mask = side == Keys.ASK ? ~(own | (own - 1)) : own - 1;
        return word & (inclusive ? mask | own : mask);
    }

    function bits(uint256 half, uint256 depth_, uint256 word) private view returns (uint256) {
        return read(BITS, half | depth_ << 32 | word);
    }

    /// @dev One word of one mapping, by its base in the layout.
    function read(uint256 base, uint256 key) private view returns (uint256) {
        bytes32[] memory slots = new bytes32[](1);
        slots[0] = keccak256(abi.encode(key, base));
        return uint256(exchange.load(slots)[0]);
    }
}
