// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../interfaces/IExchange.sol";
import {ILens} from "../interfaces/ILens.sol";
import {Agents} from "../libraries/Agents.sol";
import {Fees} from "../libraries/Fees.sol";
import {Keys} from "../libraries/Keys.sol";
import {Ledger} from "../libraries/Ledger.sol";
import {Levels} from "../libraries/Levels.sol";
import {Markets} from "../libraries/Markets.sol";
import {Orders} from "../libraries/Orders.sol";
import {Preview} from "./Preview.sol";

/// @title Books, balances and what an order would do, read from the words of the exchange
/// @notice Replaceable: it only calls `load` and holds nothing but the exchange's address, in slot 0, where a genesis file may set it. Answers are of the block
/// of the call, and of its time: an order whose expiry has come counts nowhere as resting, whatever storage still says. Ask by `eth_call`; nothing here is
/// cheap enough for a contract.
contract Lens is ILens, Preview {
    uint256 private constant STEPS_MAX = type(uint16).max;

    uint8 private constant RESTS = 1;
    uint8 private constant FILLED = 2;
    uint8 private constant EXPIRED = 3;
    uint8 private constant SKIPPED = 4;

    /// @param exchange_ what is read
    constructor(IExchange exchange_) {
        exchange = exchange_;
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- books

    /// @inheritdoc ILens
    function best(uint32 market) external view returns (uint24 bid, uint24 ask) {
        (uint256 bid_,) = touch(market, Keys.BID, true);
        (uint256 ask_,) = touch(market, Keys.ASK, true);
        (bid, ask) = (uint24(bid_), uint24(ask_));
    }

    /// @inheritdoc ILens
    function depth(uint32 market, uint8 side, uint24 from, uint256 n) external view returns (uint256[] memory levels) {
        if (n > ROWS_MAX) n = ROWS_MAX;
        levels = new uint256[](n);
        uint256 count;
        uint256 next = from == 0 ? touchward(side & 1) : from;
        bool none;
        while (count < n && !none) {
            uint256 wanted = n - count < 64 ? n - count : 64;
            uint256[] memory ticks = ticksFrom(market, side & 1, next, wanted);
            bytes32[] memory words = levelWords(market, side & 1, ticks);
            for (uint256 i = 0; i < ticks.length; ++i) {
                (uint256 open, uint256 places) = living(Keys.level(uint256(market) << 32, side & 1, ticks[i]), uint256(words[i]), false);
                if (open != 0) levels[count++] = ticks[i] | open << 24 | places << 88;
            }
            if (ticks.length < wanted) break;
            (next, none) = further(side & 1, ticks[wanted - 1]);
        }
        shorten(levels, count);
    }

    /// @inheritdoc ILens
    function orders(uint64 level, uint40 from, uint256 n) external view returns (uint256[] memory orders_) {
        if (n > ROWS_MAX) n = ROWS_MAX;
        orders_ = new uint256[](n);
        uint256 word = read(LVL, level);
        uint256 head = Levels.head(word);
        uint256 tail = Levels.tail(word);
        Page memory page = openPage(level);
        uint256 count;
        for (uint256 index = from < head ? head : from; count < n && index < tail; ++index) {
            uint256 record = recordAt(page, index, tail);
            if (record == 0 || expired(record)) continue;
            uint256 left = Orders.lotsOf(record) - (index == head ? Levels.headFilled(word) : 0);
            orders_[count++] = index | Orders.accountOf(record) << 40 | left << 72 | Orders.expiryOf(record) << 120;
        }
        shorten(orders_, count);
    }

    /// @inheritdoc ILens
    function orderInfo(uint256 id) external view returns (uint32 account, uint48 lots, uint48 left, uint48 claimable, uint32 expiry, uint8 state) {
        bytes32[] memory words = exchange.load(slotsOf(one(id), 0));
        uint256 record = recordIn(words, 0, id);
        if (record == 0) return (0, 0, 0, 0, 0, 0);
        (uint256 filled, uint256 back, uint8 state_) = split(record, uint256(words[1]), Keys.indexOf(id));
        account = uint32(Orders.accountOf(record));
        expiry = uint32(Orders.expiryOf(record));
        state = state_;
        claimable = uint48(filled);
        lots = uint48(filled + back);
        left = state_ == RESTS ? uint48(back) : 0;
    }

    /// @inheritdoc ILens
    function balanceOf(uint32 account, address token, uint256[] calldata ids) external view returns (uint256 free, uint256 feeDue, uint256 claimable) {
        uint256 number = token == address(0) ? 1 : read(TOKEN_OF, uint160(token));
        bytes32[] memory words = slotsOf(ids, 1);
        words[0] = slotOf(BAL, Keys.bal(account, number));
        words = exchange.load(words);
        free = Ledger.free(uint256(words[0]));
        feeDue = Ledger.feeDue(uint256(words[0]));
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 record = recordIn(words, 1 + 3 * i, ids[i]);
            if (record == 0 || Orders.accountOf(record) != account || repeated(ids, i)) continue;
            claimable += proceeds(record, words, 1 + 3 * i, ids[i], number);
        }
    }

    // --------------------------------------------------------------------------------------------------------------------------------- what would be

    /// @inheritdoc ILens
    function quoteTake(uint32 account, uint32 market, uint8 side, uint24 limit, uint48 lots, uint128 maxIn)
        external
        view
        returns (uint48 filled, uint256 amountIn, uint256 out, uint256 fee, uint16 steps)
    {
        Taking memory t = taker(account, market, side & 1, maxIn);
        if (t.cfg == 0) return (0, 0, 0, 0, 0);
        t.limit = limit;
        t.rem = lots;
        take(t);
        fee = Fees.taker(t.cfg, t.tier, t.quote);
        filled = uint48(t.filled);
        amountIn = t.filled * Markets.basePerLot(t.cfg);
        out = t.quote - fee;
        if (t.side == Keys.BID) (amountIn, out) = (t.quote + fee, amountIn);
        steps = uint16(STEPS_MAX - t.steps);
    }

    /// @inheritdoc ILens
    function canPlace(uint32 account, uint32 market, uint8 mode, uint24 tick, uint48 lots, uint32 expiry, uint64 cloid, uint16 maxSteps)
        external
        view
        returns (bytes4)
    {
        Wish memory w = Wish(msg.sender, account, market, mode, tick, lots, expiry, cloid, maxSteps);
        try this.previewPlace(w) returns (uint24, uint48, uint48) {
            return 0;
        } catch (bytes memory reason) {
            if (reason.length < 4) revert(); // out of gas: no answer is better than a wrong one
            return bytes4(reason);
        }
    }

    /// @inheritdoc ILens
    function previewPlace(Wish calldata w) external view returns (uint24 tick, uint48 rests, uint48 filled) {
        (uint256 tick_, uint256 rests_, uint256 filled_) = placed(w);
        return (uint24(tick_), uint48(rests_), uint48(filled_));
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- inside

    /// @dev A taker before it takes: its tier and budget.
    function taker(uint256 account, uint256 market, uint256 side, uint256 maxIn) private view returns (Taking memory t) {
        if (account == 0) account = read(ACCT_OF, uint160(msg.sender));
        bytes32[] memory words = new bytes32[](2);
        (words[0], words[1]) = (slotOf(CFG, market), slotOf(ACCT, account));
        words = exchange.load(words);
        t.cfg = uint256(words[0]);
        (t.account, t.market, t.side, t.steps) = (account, market, side, STEPS_MAX);
        if (t.cfg == 0) return t;
        t.tier = account == 0 ? 0 : Agents.tier(uint256(words[1]));
        t.spend = maxIn;
        if (maxIn == type(uint128).max && account != 0) {
            t.spend = Ledger.free(read(BAL, Keys.bal(account, side == Keys.BID ? Markets.quote(t.cfg) : Markets.base(t.cfg))));
        }
        if (side == Keys.BID) t.spend = Fees.budget(t.cfg, t.tier, t.spend);
    }

    /// @dev Slots of each id after the first `skip`: its record's word, its level, its market.
    function slotsOf(uint256[] memory ids, uint256 skip) private pure returns (bytes32[] memory slots) {
        slots = new bytes32[](skip + 3 * ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 level = Keys.levelOf(ids[i]);
            slots[skip + 3 * i] = slotOf(ORD, Orders.key(level, Keys.indexOf(ids[i])));
            slots[skip + 3 * i + 1] = slotOf(LVL, level);
            slots[skip + 3 * i + 2] = slotOf(CFG, Keys.marketOf(level));
        }
    }

    function recordIn(bytes32[] memory words, uint256 i, uint256 id) private pure returns (uint256) {
        return uint256(words[i]) >> Orders.shift(id) & Orders.RECORD;
    }

    /// @dev What an order's lots are now.
    /// @return filled lots a claim or cancel pays
    /// @return back lots that rest or would go back
    /// @return state as of `orderInfo`
    function split(uint256 record, uint256 word, uint256 index) private view returns (uint256 filled, uint256 back, uint8 state) {
        uint256 lots = Orders.lotsOf(record);
        if (record >> 127 == 1) return (record >> 80 & Orders.LOTS_MAX, lots, SKIPPED);
        if (index < Levels.head(word)) return (lots, 0, FILLED);
        if (index == Levels.head(word)) filled = Levels.headFilled(word);
        return (filled, lots - filled, expired(record) ? EXPIRED : RESTS);
    }

    /// @dev Atoms of a token that a claim of the order would credit.
    function proceeds(uint256 record, bytes32[] memory words, uint256 i, uint256 id, uint256 number) private view returns (uint256 atoms) {
        (uint256 filled, uint256 back, uint8 state) = split(record, uint256(words[i + 1]), Keys.indexOf(id));
        if (state != SKIPPED) back = 0;
        uint256 cfg = uint256(words[i + 2]);
        uint256 level = Keys.levelOf(id);
        uint256 price = Fees.unit(cfg, Keys.tickOf(level));
        (uint256 due, uint256 rebate) = Fees.maker(cfg, price);
        bool ask = Keys.sideOf(level) == Keys.ASK;
        if (number == Markets.base(cfg)) atoms = (ask ? back : filled) * Markets.basePerLot(cfg);
        if (number == Markets.quote(cfg)) atoms = ask ? filled * (price - due + rebate) : filled * rebate + back * (price + due);
    }

    function repeated(uint256[] calldata ids, uint256 i) private pure returns (bool) {
        for (uint256 j = 0; j < i; ++j) {
            if (ids[j] == ids[i]) return true;
        }
        return false;
    }

    function one(uint256 id) private pure returns (uint256[] memory ids) {
        ids = new uint256[](1);
        ids[0] = id;
    }
}
