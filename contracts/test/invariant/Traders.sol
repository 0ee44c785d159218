// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {ILens} from "../../src/interfaces/ILens.sol";
import {Token} from "../../src/Token.sol";
import {Model} from "./Model.sol";

/// @notice Ten traders who do random things in three markets, and foresee each result: whoever is refused without reason, or served against
/// the rules, fails the test.
abstract contract Traders is Model {
    uint32 internal constant FIRST = 300;
    uint256 internal constant ACCOUNTS = 10;
    uint256 internal constant MARKETS = 3;
    uint256 internal constant CLOIDS = 6; // each account uses

    uint256[] internal orders; // every id ever given
    mapping(uint256 => bool) private known;
    mapping(uint24 => uint256) private vault; // token => deposits - withdrawals
    uint256 public calls;
    uint256 public refusals;
    uint256 private clock = 1000;

    constructor(IExchange x_, ILens lens_, Token base_, Token quote_) {
        (x, lens, base, quote) = (x_, lens_, base_, quote_);
        for (uint32 i = 0; i < ACCOUNTS; ++i) {
            set(7, FIRST + i, uint160(ownerOf(FIRST + i)));
            set(6, uint160(ownerOf(FIRST + i)), FIRST + i);
            put(FIRST + i, base, 500_000);
            put(FIRST + i, quote, 50_000_000);
        }
    }

    /// @dev Time goes on a little with some actions; what one run has warped does not leak into the next.
    modifier ticking() {
        vm.warp(clock);
        _;
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- actions

    /// Seconds go by, and orders die.
    function wait_(uint256 seed) external {
        clock += 1 + pick(seed, 0, 25);
        vm.warp(clock);
    }

    function place(uint256 seed) external ticking {
        Wish memory w = wish(seed);
        Outcome memory want = expected(w);
        if (!isTick(want.tick)) {
            w.tif = 1; // it would slide off the ticks looked at
            want = expected(w);
        }
        (bool ok, bytes memory data) = act(w.account, calldataOf(w), want.reason);
        if (!ok) return;
        uint256 id;
        if (w.isTake) {
            eq(word(abi.decode(data, (bytes)), 0), want.out | want.filled << 128 | want.why << 176, "result word");
        } else {
            uint48 filled;
            (id, filled) = abi.decode(data, (uint256, uint48));
            eq(filled, want.filled, "filled");
        }
        if (id == 0) eq(0, want.rests, "it should rest");
        else remember(id, w, want.tick, want.rests);
        eq(get(8, uint256(w.account) << 24 | 2), want.base, "base word");
        eq(get(8, uint256(w.account) << 24 | 3), want.quote, "quote word");
    }

    function wish(uint256 seed) internal view returns (Wish memory w) {
        w.account = FIRST + uint32(pick(seed, 0, ACCOUNTS));
        w.market = 1 + uint32(pick(seed, 1, MARKETS));
        w.side = uint8(pick(seed, 2, 2));
        uint8[8] memory tifs = [0, 0, 1, 1, 2, 3, 3, 4];
        w.tif = tifs[pick(seed, 3, 8)];
        w.isTake = w.tif >= 3 && pick(seed, 9, 2) == 0;
        // Bids lean low and asks high, so that books fill up; takers reach over.
        uint256 nth = pick(seed, 4, 6);
        bool over = w.tif >= 3 || pick(seed, 5, 6) == 0;
        w.tick = tickAt((w.side == BID) == over ? nth + 4 : nth);
        w.lots = 1 + uint48(pick(seed, 6, pick(seed, 7, 2) == 0 ? 8 : 30));
        uint16[6] memory steps = [uint16(0), 0, 0, 0, 2, 4];
        w.steps = steps[pick(seed, 8, 6)];
        w.stp = pick(seed, 10, 2) == 0 ? 0 : uint8(pick(seed, 11, 5));
        if (pick(seed, 12, 3) == 0) w.expiry = uint32(block.timestamp + pick(seed, 13, 16) * 5);
        w.cloid = uint64(1 + pick(seed, 14, CLOIDS));
        w.track = !w.isTake && pick(seed, 15, 12) == 0;
        w.maxIn = NO_BOUND;
        if (!w.isTake) return w;
        w.maxIn = pick(seed, 16, 3) == 0 ? type(uint128).max : 1 + pick(seed, 17, w.side == BID ? 3_000_000 : 40_000);
        if (pick(seed, 18, 12) == 0) w.minOut = uint128(pick(seed, 19, 20_000));
        if (pick(seed, 20, 8) == 0) w.tick = w.side == BID ? type(uint24).max : 0;
    }

    function isTick(uint24 tick) internal pure returns (bool) {
        for (uint256 i = 0; i < TICKS; ++i) {
            if (tickAt(i) == tick) return true;
        }
        return tick == 0 || tick == type(uint24).max;
    }

    function calldataOf(Wish memory w) internal pure returns (bytes memory) {
        uint8 mode = w.tif << 1 | w.side | w.stp << 4 | (w.track ? TRACK : 0);
        if (!w.isTake) return abi.encodeCall(IExchange.place, (w.account, w.market, mode, w.tick, w.lots, w.expiry, w.cloid, w.steps));
        Take memory t = Take(w.market, mode, w.tick, w.lots, uint128(w.maxIn), w.minOut, w.expiry, w.cloid, w.steps);
        return abi.encodeCall(IExchange.execute, (w.account, bytes.concat(ops(false), opTake(t))));
    }

    function remember(uint256 id, Wish memory w, uint24 tick, uint256 rests) private {
        admit(id);
        eq(id >> 40, levelId(w.market, w.side, tick), "level of the id");
        eq(record(id), uint256(w.expiry) << 80 | uint256(w.account) << 48 | rests, "record");
        if (w.track) eq(get(15, uint256(w.account) << 64 | w.cloid), 1 << 255 | id, "tracked");
    }

    function isKnown(uint256 id) internal view returns (bool) {
        return known[id];
    }

    /// @dev An id that was never seen before.
    function admit(uint256 id) internal {
        require(!known[id], "an id came twice");
        known[id] = true;
        orders.push(id);
    }

    function cancel(uint256 seed) external ticking {
        if (orders.length == 0) return;
        uint256 id = some(seed, 0);
        (uint256 left, uint256 filled, uint32 owner, uint256 refund) = stateOf(id);
        uint32 actor = pick(seed, 1, 16) == 0 || owner == 0 ? FIRST + uint32(pick(seed, 2, ACCOUNTS)) : owner;
        (bool ok, bytes memory data) = act(actor, abi.encodeCall(IExchange.cancel, (actor, id)), forbidden(owner, actor));
        if (!ok) return;
        (uint48 back, uint48 paid) = abi.decode(data, (uint48, uint48));
        eq(back, left + refund, "back");
        eq(paid, filled, "paid");
        eq(record(id), 0, "the record goes");
    }

    function reduce(uint256 seed) external ticking {
        if (orders.length == 0) return;
        uint256 id = some(seed, 0);
        (uint256 left, uint256 filled, uint32 owner,) = stateOf(id);
        uint32 actor = owner == 0 ? FIRST : owner;
        uint48 to = uint48(pick(seed, 1, left + 2));
        bytes memory reason = forbidden(owner, actor);
        if (reason.length == 0 && left == 0) reason = abi.encodeWithSelector(IExchange.UnknownOrder.selector);
        if (reason.length == 0 && to != 0 && to < left && to < terms(uint32(id >> 72)).minLots) reason = abi.encodeWithSelector(IExchange.BadLots.selector);
        (bool ok, bytes memory data) = act(actor, abi.encodeCall(IExchange.reduce, (actor, id, to)), reason);
        if (!ok) return;
        eq(abi.decode(data, (uint48)), to >= left ? 0 : left - to, "back");
        (uint256 now_, uint256 still,,) = stateOf(id);
        eq(now_, to >= left ? left : to, "left");
        eq(still, to == 0 ? 0 : filled, "filled");
    }

    function collect(uint256 seed) external ticking {
        uint256[] memory ids = list(seed);
        act(FIRST, abi.encodeCall(IExchange.claim, (ids)), "");
        for (uint256 i = 0; i < ids.length; ++i) {
            (, uint256 filled,, uint256 refund) = stateOf(ids[i]);
            eq(filled + refund, 0, "nothing is left to pay");
        }
    }

    function deposit(uint256 seed) external ticking {
        put(FIRST + uint32(pick(seed, 0, ACCOUNTS)), pick(seed, 1, 2) == 0 ? base : quote, 1 + pick(seed, 2, 100_000));
    }

    function withdraw(uint256 seed) external ticking {
        uint32 account = FIRST + uint32(pick(seed, 0, ACCOUNTS));
        uint24 token = pick(seed, 1, 2) == 0 ? 2 : 3;
        uint256 held = free(account, token);
        bool all = pick(seed, 2, 40) == 0;
        uint256 atoms = pick(seed, 3, held / 16 + 2);
        if (pick(seed, 4, 16) == 0) atoms = held + 1;
        bytes memory reason = !all && atoms > held ? abi.encodeWithSelector(IExchange.Insufficient.selector) : bytes("");
        address token_ = address(token == 2 ? base : quote);
        (bool ok, bytes memory data) =
            act(account, abi.encodeCall(IExchange.withdraw, (account, token_, all ? type(uint256).max : atoms, address(0x77), none())), reason);
        if (!ok) return;
        eq(abi.decode(data, (uint256)), all ? held : atoms, "withdrawn");
        vault[token] -= all ? held : atoms;
    }

    /// @dev Mostly back to LIVE, so that the books stay alive; HALTED ends one market of some runs.
    function turn(uint256 seed) external ticking {
        uint32 market_ = 1 + uint32(pick(seed, 0, MARKETS));
        if (terms(market_).status == 4) return;
        uint256 to = pick(seed, 1, 32);
        if (to >= 4) to = 1;
        if (to == 0) to = market_ == 3 && pick(seed, 2, 4) == 0 ? 4 : 1;
        if (to == 4) x.setStatus(market_, 3);
        x.setStatus(market_, uint8(to));
        eq(terms(market_).status, to, "status");
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- checks

    /// I5, I6: every level and every bitmap word. I3: no book crosses.
    function checkLevels() external view {
        for (uint32 m = 1; m <= MARKETS; ++m) {
            uint24[2] memory best;
            bool stale; // an order may have expired: the lens looks past it, the words do not
            for (uint8 side = 0; side < 2; ++side) {
                for (uint256 i = 0; i < TICKS; ++i) {
                    uint24 tick = tickAt(i);
                    uint256 id = levelId(m, side, tick);
                    uint256 word = get(11, id);
                    bool open = word != 0 && checkLevel(id, levelOf(word));
                    require(open == leafBit(m, side, tick), "leaf bit");
                    if (open && (side == BID || best[1] == 0)) best[side] = tick;
                    if (open && mayHaveExpired(levelOf(word))) stale = true;
                }
                checkParents(m, side);
            }
            require(best[0] == 0 || best[1] == 0 || best[0] < best[1], "the book crosses");
            (uint24 b, uint24 a) = lens.best(m);
            require(stale || (b == best[0] && a == best[1]), "best");
        }
    }

    function checkLevel(uint256 id, Level memory l) private view returns (bool) {
        uint256 sum;
        for (uint256 i = l.head; i < l.tail; ++i) {
            uint256 r = record(id << 40 | i);
            require(r >> 127 == 0, "a skipped record lies before the head");
            sum += r & type(uint48).max;
            uint256 expiry = r >> 80 & type(uint32).max;
            if (expiry != 0) require(l.minExpiry != 0 && l.minExpiry <= expiry, "minExpiry is a lower bound");
        }
        eq(l.open, l.open == 0 ? 0 : sum - l.headFilled, "open");
        if (l.open == 0) require(l.head == l.tail && l.headFilled == 0 && l.minExpiry == 0, "an empty level is at rest");
        if (l.headFilled > 0) require(record(id << 40 | l.head) & type(uint48).max > l.headFilled, "the head has more");
        eq(record(id << 40 | l.tail), 0, "nothing behind the tail");
        return l.open > 0;
    }

    /// @dev The used ticks lie in leaf words 0, 1, 255, 256, 273 and depth-1 words 0, 1.
    function checkParents(uint32 m, uint8 side) private view {
        uint256 half = uint256(m) << 40 | uint256(side) << 36;
        uint16[5] memory leaves = [0, 1, 255, 256, 273];
        uint256[2] memory want;
        for (uint256 i = 0; i < 5; ++i) {
            if (get(10, half | 2 << 32 | leaves[i]) != 0) want[leaves[i] >> 8] |= 1 << (leaves[i] & 255);
        }
        eq(get(10, half | 1 << 32), want[0], "depth 1, word 0");
        eq(get(10, half | 1 << 32 | 1), want[1], "depth 1, word 1");
        eq(get(10, half), (want[0] != 0 ? 1 : 0) | (want[1] != 0 ? 2 : 0), "root");
    }

    /// I1: per token, what everybody can still claim is what came in less what went out, and lies in the vault.
    function checkMoney() external view {
        uint256 inBase;
        uint256 inQuote;
        for (uint32 i = 0; i < ACCOUNTS; ++i) {
            inBase += free(FIRST + i, 2);
            inQuote += free(FIRST + i, 3) + feeDue(FIRST + i, 3);
            eq(feeDue(FIRST + i, 2), 0, "fees are in quote");
        }
        inBase += free(1, 2);
        inQuote += free(1, 3); // swept fees
        for (uint256 i = 0; i < orders.length; ++i) {
            (uint256 b, uint256 q) = worth(orders[i]);
            inBase += b;
            inQuote += q;
        }
        eq(inBase, vault[2], "base");
        eq(inQuote, vault[3], "quote");
        eq(base.balanceOf(address(x)), vault[2], "base vault");
        eq(quote.balanceOf(address(x)), vault[3], "quote vault");
    }

    /// @dev Atoms inside an order: escrow of what is left or waits to go back, proceeds, fee and rebate of what is filled.
    function worth(uint256 id) private view returns (uint256 b, uint256 q) {
        (uint256 left, uint256 filled, uint32 owner, uint256 refund) = stateOf(id);
        if (owner == 0) return (0, 0);
        left += refund;
        Terms memory t = terms(uint32(id >> 72));
        uint256 tick = id >> 40 & 0xffffff;
        (uint256 fee, uint256 rebate) = makerPart(t, tick);
        if (id >> 64 & 1 == ASK) return (left * t.lot, filled * (tick * t.price + rebate));
        return (filled * t.lot, left * (tick * t.price + fee) + filled * (fee + rebate));
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- inside

    function put(uint32 account, Token token, uint256 atoms) internal {
        fund(account, token, atoms);
        uint24 number = address(token) == address(base) ? 2 : 3;
        vault[number] += atoms;
    }

    /// @dev Calls as the account's owner; the answer must be the one foreseen, and a refusal leaves nothing behind (I9).
    function act(uint32 account, bytes memory call, bytes memory reason) internal returns (bool ok, bytes memory data) {
        ++calls;
        vm.prank(ownerOf(account));
        (ok, data) = address(x).call(call);
        if (ok != (reason.length == 0)) revert(string.concat("foreseen otherwise: ", ok ? "it passed" : "it was refused"));
        if (ok) return (ok, data);
        ++refusals;
        require(keccak256(data) == keccak256(reason), "refused for another reason");
    }

    function forbidden(uint32 owner, uint32 actor) internal pure returns (bytes memory) {
        if (owner == 0) return abi.encodeWithSelector(IExchange.UnknownOrder.selector);
        if (owner != actor) return abi.encodeWithSelector(IExchange.NotAuthorized.selector);
        return "";
    }

    /// @return left lots that rest, filled lots not paid, owner 0 if the record is gone, refund lots of an order passed after its expiry
    function stateOf(uint256 id) internal view returns (uint256 left, uint256 filled, uint32 owner, uint256 refund) {
        uint256 r = record(id);
        if (r == 0) return (0, 0, 0, 0);
        owner = uint32(r >> 48);
        uint256 lots = r & type(uint48).max;
        if (r >> 127 == 1) return (0, r >> 80 & ((1 << 47) - 1), owner, lots);
        Level memory l = levelOf(get(11, id >> 40));
        uint256 index = id & type(uint40).max;
        if (index < l.head) filled = lots;
        else if (index == l.head) filled = l.headFilled;
        left = lots - filled;
    }

    /// @dev An order, more often a young one whose record is still there.
    function some(uint256 seed, uint256 nth) internal view returns (uint256 id) {
        uint256 n = pick(seed, nth + 40, 3) != 0 && orders.length > 12 ? 12 : orders.length;
        for (uint256 i = 0; i < 4; ++i) {
            id = orders[orders.length - 1 - pick(seed, nth + 50 + i * 10, n)];
            if (record(id) != 0) return id;
        }
    }

    function list(uint256 seed) internal view returns (uint256[] memory ids) {
        ids = new uint256[](orders.length == 0 ? 0 : pick(seed, 0, 4));
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = some(seed, i);
        }
    }

    function pick(uint256 seed, uint256 nth, uint256 n) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, nth))) % n;
    }
}
