// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../../src/interfaces/IExchange.sol";
import {ILens} from "../../src/interfaces/ILens.sol";
import {Token} from "../../src/Token.sol";
import {Traders} from "./Traders.sol";

/// @notice The traders' other operations. What has a plain meaning in terms of simpler ones is held to them: both are run from one state, and every word of
/// the exchange must come out alike. So a batch is its operations one after another, a ladder its rungs, a replace a cancel and a place, a cancel up to a tick
/// the cancels of those orders, and an agent is its owner as far as its rights go.
contract Keepers is Traders {
    address private constant AGENT = address(0xa6e27);

    constructor(IExchange x_, ILens lens_, Token base_, Token quote_) Traders(x_, lens_, base_, quote_) {}

    // ------------------------------------------------------------------------------------------------------------------------------------- batches

    /// A batch of up to six operations is those operations, a batch each; without SKIP_FAILED it fails as the first of them does, and leaves nothing.
    function batch(uint256 seed) external ticking {
        uint32 account = FIRST + uint32(pick(seed, 0, ACCOUNTS));
        uint256 n = 1 + pick(seed, 1, 6);
        bytes[] memory list_ = new bytes[](n);
        bytes memory all;
        for (uint256 i = 0; i < n; ++i) {
            list_[i] = operation(uint256(keccak256(abi.encode(seed, "operation", i))), account);
            all = bytes.concat(all, list_[i]);
        }
        compare(account, list_, all);
    }

    /// A ladder is its rungs.
    function ladder(uint256 seed) external ticking {
        Wish memory w = wish(seed);
        uint256 n = pick(seed, 91, 4);
        w.tif = 1;
        // 255 .. 257, a neighbour on each side: three rungs stay on the ticks looked at if they go up or down by one from there.
        int24 step = int24(int256(pick(seed, 92, 3))) - 1;
        int24 tick = 256 - step;
        bytes[] memory list_ = new bytes[](n);
        uint48[] memory lots = new uint48[](n);
        for (uint256 i = 0; i < n; ++i) {
            lots[i] = uint48(1 + pick(seed, 94 + i, 8));
            list_[i] = opPlace(w.market, modeOf(w), uint24(tick + step * int24(int256(i))), lots[i], w.expiry, w.cloid + uint64(i), 0);
        }
        compare(w.account, list_, opLadder(w.market, modeOf(w), uint24(tick), int16(step), w.expiry, w.cloid, lots));
    }

    /// @dev Runs the operations one by one, takes that back, runs them as one batch: results and words must be the same. The batch stays.
    function compare(uint32 account, bytes[] memory list_, bytes memory all) private {
        uint256 start = vm.snapshotState();
        bytes memory results;
        bytes4 first;
        for (uint256 i = 0; i < list_.length; ++i) {
            vm.prank(ownerOf(account));
            bytes memory result = x.execute(account, bytes.concat(ops(true), list_[i]));
            results = bytes.concat(results, result);
            if (first == 0 && word(result, 0) >> 255 == 1) first = bytes4(uint32(word(result, 0)));
        }
        bytes32 state = digest(results);
        vm.revertToState(start);
        start = vm.snapshotState();
        ++calls;
        vm.prank(ownerOf(account));
        (bool ok, bytes memory data) = address(x).call(abi.encodeCall(IExchange.execute, (account, bytes.concat(ops(false), all))));
        require(ok == (first == 0), "a batch without SKIP_FAILED goes as its operations do");
        if (!ok) require(bytes4(data) == first, "it fails as the first that fails");
        vm.revertToState(start);
        vm.prank(ownerOf(account));
        bytes memory together = x.execute(account, bytes.concat(ops(true), all));
        require(keccak256(together) == keccak256(results), "results of the batch");
        require(digest(together) == state, "words after the batch");
        learn(together);
    }

    /// @dev New orders of a batch, told by their ids in the results.
    function learn(bytes memory results) private {
        for (uint256 i = 0; 32 * i < results.length; ++i) {
            uint256 w = word(results, i);
            uint256 id = w & type(uint104).max;
            bool isId = w >> 255 == 0 && w >> 152 == 1 && id >> 72 != 0 && id >> 72 <= MARKETS;
            if (isId && record(id) != 0 && !isKnown(id)) admit(id);
        }
    }

    function operation(uint256 seed, uint32 account) private view returns (bytes memory) {
        uint256 kind = pick(seed, 70, 12);
        Wish memory w = wish(seed);
        if (w.tif == 2) w.tif = 1; // see Traders.place
        if (kind < 3 && !w.isTake) return placing(w);
        if (kind < 4) return opTake(Take(w.market, IOC | (modeOf(w) & 0x71), w.tick, w.lots, type(uint128).max, w.minOut, w.expiry, 0, w.steps));
        if (kind == 9) return opCancelCloid(w.cloid, uint40(block.timestamp + pick(seed, 71, 30)));
        if (kind == 10) return opCancelUpTo(w.market, w.side, w.tick, uint16(pick(seed, 72, 12)));
        if (kind == 11 && pick(seed, 73, 4) == 0) return opSchedule(dead(account) || pick(seed, 74, 2) == 0 ? 0 : uint40(block.timestamp + pick(seed, 75, 60)));
        if (orders.length == 0) return opClaim(1);
        uint256 id = mine(seed, account);
        if (kind == 4) return opReduce(id, uint48(pick(seed, 76, 12)));
        if (kind == 5) return opClaim(id);
        if (kind == 6) return replacing(w, id);
        return opCancel(id);
    }

    /// @dev An order of the account, if a few tries find one.
    function mine(uint256 seed, uint32 account) private view returns (uint256 id) {
        for (uint256 i = 0; i < 6; ++i) {
            id = some(seed, 200 + i * 7);
            if (uint32(record(id) >> 48) == account) return id;
        }
    }

    // ------------------------------------------------------------------------------------------------------------- what other operations amount to

    /// A replace is a cancel and a place; if one of them fails, nothing.
    function replace(uint256 seed) external ticking {
        if (orders.length == 0) return;
        uint256 id = some(seed, 60);
        (uint256 left,, uint32 owner,) = stateOf(id);
        Wish memory w = wish(seed);
        w.account = owner == 0 ? FIRST : owner;
        w.market = uint32(id >> 72);
        w.side = uint8(id >> 64 & 1);
        if (w.tif == 2) w.tif = 1;
        (bytes memory want, bytes32 state) = cancelAndPlace(w.account, left == 0 || owner == 0 ? 0 : id, placing(w));
        ++calls;
        bytes memory put_ = bytes.concat(ops(true), replacing(w, id));
        vm.prank(ownerOf(w.account));
        bytes memory got = x.execute(w.account, put_);
        require(keccak256(got) == keccak256(want), "result of the place, or why it fails");
        require(digest("") == state, "words after the replace");
        learn(got);
    }

    function modeOf(Wish memory w) private pure returns (uint8) {
        return w.tif << 1 | w.side | w.stp << 4 | (w.track ? TRACK : 0);
    }

    function placing(Wish memory w) private pure returns (bytes memory) {
        return opPlace(w.market, modeOf(w), w.tick, w.lots, w.expiry, w.cloid, w.steps);
    }

    function replacing(Wish memory w, uint256 id) private pure returns (bytes memory) {
        return opReplace(id, modeOf(w), w.tick, w.lots, w.expiry, w.cloid, w.steps);
    }

    /// @dev What a cancel and a place come to: the place's result and the words after; if one fails, that and the words before. Taken back.
    /// @param id 0: there is nothing to cancel
    function cancelAndPlace(uint32 account, uint256 id, bytes memory put_) private returns (bytes memory result, bytes32 state) {
        bytes32 before = digest("");
        if (id == 0) return (abi.encode(1 << 255 | uint256(uint32(IExchange.UnknownOrder.selector))), before);
        uint256 start = vm.snapshotState();
        cancel_(account, id);
        vm.prank(ownerOf(account));
        result = x.execute(account, bytes.concat(ops(true), put_));
        state = word(result, 0) >> 255 == 1 ? before : digest("");
        vm.revertToState(start);
    }

    /// A cancel up to a tick cancels the own orders it meets, level by level, record by record.
    function cancelUpTo(uint256 seed) external ticking {
        Wish memory w = wish(seed);
        uint256 steps = w.steps == 0 ? 256 : w.steps;
        uint256 start = vm.snapshotState();
        uint256 want;
        for (uint256 i = 0; i < TICKS && steps != 0; ++i) {
            uint24 tick = tickAt(w.side == ASK ? i : TICKS - 1 - i);
            if (w.side == ASK ? tick > w.tick : tick < w.tick) break;
            uint256 more;
            (more, steps) = cancelLevel(w.account, levelId(w.market, w.side, tick), steps);
            want += more;
        }
        bytes32 state = digest("");
        vm.revertToState(start);
        ++calls;
        vm.prank(ownerOf(w.account));
        eq(word(x.execute(w.account, bytes.concat(ops(true), opCancelUpTo(w.market, w.side, w.tick, w.steps))), 0), want, "orders and lots");
        require(digest("") == state, "words after the cancels");
    }

    function cancelLevel(uint32 account, uint256 id, uint256 steps) private returns (uint256 result, uint256) {
        Level memory l = levelOf(get(11, id));
        for (uint256 n = l.head; n < l.tail && steps != 0 && levelOf(get(11, id)).open != 0; ++n) {
            --steps;
            uint256 r = record(id << 40 | n);
            if (r == 0 || uint32(r >> 48) != account) continue;
            (uint48 back,) = cancel_(account, id << 40 | n);
            result += 1 | uint256(back) << 16;
        }
        return (result, steps);
    }

    function cancel_(uint32 account, uint256 id) private returns (uint48 back, uint48 filled) {
        vm.prank(ownerOf(account));
        return x.cancel(account, id);
    }

    // -------------------------------------------------------------------------------------------------------------------------------- keeping house

    /// Poke takes exactly the live orders of the account whose switch has fired, or that lie in a halted market.
    function poke(uint256 seed) external ticking {
        uint256[] memory ids = list(seed);
        uint32 account = ids.length == 0 ? FIRST : uint32(record(ids[0]) >> 48);
        uint256[] memory left = new uint256[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            (left[i],,,) = stateOf(ids[i]);
        }
        bytes32 before = digest("");
        bool any;
        for (uint256 i = 0; i < ids.length; ++i) {
            bool due_ = dead(account) || terms(uint32(ids[i] >> 72)).status == 4;
            any = any || (due_ && left[i] != 0 && uint32(record(ids[i]) >> 48) == account);
        }
        ++calls;
        x.poke(account, ids);
        require((digest("") == before) == !any, "it takes what is due and nothing else");
        for (uint256 i = 0; i < ids.length; ++i) {
            bool due_ = dead(account) || terms(uint32(ids[i] >> 72)).status == 4;
            if (due_ && left[i] != 0 && record(ids[i]) != 0) require(uint32(record(ids[i]) >> 48) != account, "it stays though it is due");
        }
    }

    /// Prune pays nobody and fills nothing: every live order keeps what is left, the head stands at a live record or the steps are used up.
    function prune(uint256 seed) external ticking {
        uint256 id = levelId(1 + uint32(pick(seed, 0, MARKETS)), uint8(pick(seed, 1, 2)), tickAt(pick(seed, 2, TICKS)));
        Level memory l = levelOf(get(11, id));
        uint16 steps = uint16(pick(seed, 3, 5));
        uint256 left = steps == 0 ? 256 : steps;
        uint256 head = l.head;
        uint256 open = l.open;
        while (open != 0 && left != 0) {
            uint256 r = record(id << 40 | head);
            if (r != 0 && !expired(r)) break;
            if (r != 0) open -= (r & type(uint48).max) - (head == l.head ? l.headFilled : 0);
            ++head;
            --left;
        }
        ++calls;
        x.prune(uint64(id), steps);
        Level memory after_ = levelOf(get(11, id));
        eq(after_.open, open, "open");
        eq(after_.head, open == 0 ? l.tail : head, "head");
        eq(after_.headFilled, open != 0 && head == l.head ? l.headFilled : 0, "headFilled");
    }

    /// The dead-man switch; it is disarmed more often than armed, so that most traders live.
    function schedule(uint256 seed) external ticking {
        uint32 account = FIRST + uint32(pick(seed, 0, ACCOUNTS));
        uint40 second = dead(account) || pick(seed, 1, 3) == 0 ? 0 : uint40(block.timestamp + pick(seed, 2, 60));
        bytes memory reason = second != 0 && second <= block.timestamp ? err(IExchange.Expired.selector) : bytes("");
        (bool ok,) = act(account, abi.encodeCall(IExchange.execute, (account, bytes.concat(ops(false), opSchedule(second)))), reason);
        if (ok) eq(get(7, account) >> 176 & type(uint40).max, second, "scheduled");
    }

    /// A cloid cancels its order, once; an unknown one is refused from then on until its time.
    function cancelCloid(uint256 seed) external ticking {
        uint32 account = FIRST + uint32(pick(seed, 0, ACCOUNTS));
        uint64 cloid = uint64(1 + pick(seed, 1, CLOIDS));
        uint256 key = uint256(account) << 64 | cloid;
        uint40 until = uint40(block.timestamp + pick(seed, 2, 20));
        uint256 id = get(15, key) >> 255 == 1 ? get(15, key) & type(uint104).max : 0;
        uint256 want = resultOf(id);
        bytes memory reason = id == 0 && until <= block.timestamp ? err(IExchange.UnknownOrder.selector) : bytes("");
        bytes memory one_ = bytes.concat(ops(false), opCancelCloid(cloid, until));
        (bool ok, bytes memory data) = act(account, abi.encodeCall(IExchange.execute, (account, one_)), reason);
        if (!ok) return;
        eq(word(abi.decode(data, (bytes)), 0), want, "back and filled");
        eq(get(15, key), id != 0 ? 0 : 1 << 254 | uint256(until), "its word");
        if (id != 0) eq(record(id), 0, "the record goes");
    }

    /// @dev What a cancel of the order would answer; 0 for none.
    function resultOf(uint256 id) private view returns (uint256) {
        if (id == 0) return 0;
        (uint256 left, uint256 filled,, uint256 refund) = stateOf(id);
        return left + refund | filled << 48;
    }

    function tier(uint256 seed) external ticking {
        uint32 account = FIRST + uint32(pick(seed, 0, ACCOUNTS));
        uint8 to = uint8(pick(seed, 1, 18));
        vm.store(address(x), bytes32(uint256(2)), bytes32(uint256(uint160(address(this)))));
        (bool ok,) = address(x).call(abi.encodeCall(IExchange.setTier, (account, to)));
        require(ok == (to <= 15), "0 .. 15");
        if (ok) eq(get(7, account) >> 160 & 15, to, "tier");
    }

    /// Fees due move to the collector, and nothing else moves.
    function sweep(uint256 seed) external ticking {
        uint32[] memory accounts = new uint32[](3);
        uint256 sum = free(1, 3);
        uint256[3] memory kept;
        for (uint256 i = 0; i < 3; ++i) {
            accounts[i] = FIRST + uint32(pick(seed, i, 3)) * 3 + uint32(i);
            sum += feeDue(accounts[i], 3);
            kept[i] = free(accounts[i], 3);
        }
        ++calls;
        x.sweepFees(3, accounts);
        eq(free(1, 3), sum, "the collector's");
        for (uint256 i = 0; i < 3; ++i) {
            eq(feeDue(accounts[i], 3), 0, "paid");
            eq(free(accounts[i], 3), kept[i], "free stays");
        }
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- agents

    /// An agent does what its owner could do, within its rights: all else is refused and changes nothing (I10).
    function agent(uint256 seed) external ticking {
        Wish memory w = wish(seed);
        Grant memory g;
        g.until = uint40(block.timestamp + pick(seed, 80, 3));
        g.perms = uint16(pick(seed, 81, 16));
        g.cap = pick(seed, 82, 2) == 0 ? 0 : uint96(1 + pick(seed, 83, 5_000_000));
        g.markets = [uint32(pick(seed, 84, 4)), 0, uint32(pick(seed, 85, 2)) * 3];
        vm.prank(ownerOf(w.account));
        x.approveAgent(w.account, AGENT, g.until, g.perms, g.cap, g.markets);
        if (pick(seed, 86, 2) == 0 || orders.length == 0) {
            w.isTake = false;
            uint256 worth_ = uint256(w.lots) * w.tick * terms(w.market).price;
            tryOut(w.account, calldataOf(w), judge(g, w.market, w.tif == 1 || w.tif == 2 ? 1 : 2, worth_));
        } else {
            uint256 id = some(seed, 87);
            tryOut(w.account, abi.encodeCall(IExchange.cancel, (w.account, id)), judge(g, uint32(id >> 72), 4, 0));
        }
    }

    /// Rights of an agent.
    struct Grant {
        uint40 until;
        uint16 perms;
        uint96 cap;
        uint32[3] markets;
    }

    /// @return why the rights do not cover it, empty if they do
    function judge(Grant memory g, uint32 there, uint256 need, uint256 worth_) private view returns (bytes memory) {
        bool anywhere = g.markets[0] == 0 && g.markets[2] == 0;
        bool here = anywhere || there == 0 || g.markets[0] == there || g.markets[2] == there;
        if (g.until <= block.timestamp || g.perms & need == 0 || !here) return err(IExchange.NotAuthorized.selector);
        return g.cap != 0 && worth_ > g.cap ? err(IExchange.OverCap.selector) : bytes("");
    }

    /// @dev The call by the agent, and from the same state by the owner. Both are taken back.
    function tryOut(uint32 account, bytes memory call, bytes memory reason) private {
        bytes32 before = digest("");
        uint256 start = vm.snapshotState();
        vm.prank(AGENT);
        (bool ok, bytes memory data) = address(x).call(call);
        bytes32 state = digest("");
        vm.revertToState(start);
        if (reason.length != 0) {
            require(!ok && keccak256(data) == keccak256(reason), "refused for want of rights");
            require(state == before, "a refusal changes nothing");
            return;
        }
        start = vm.snapshotState();
        vm.prank(ownerOf(account));
        (bool owners, bytes memory said) = address(x).call(call);
        require(owners == ok && keccak256(said) == keccak256(data), "as its owner");
        require(digest("") == state, "the same words");
        vm.revertToState(start);
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- inside

    /// @dev All words that a trade can change, of every account, level, order and cloid known here.
    function digest(bytes memory more) private view returns (bytes32 sum) {
        sum = keccak256(more);
        for (uint32 m = 1; m <= MARKETS; ++m) {
            for (uint8 side = 0; side < 2; ++side) {
                for (uint256 i = 0; i < TICKS; ++i) {
                    uint24 tick = tickAt(i);
                    uint256 l = get(11, levelId(m, side, tick));
                    sum = keccak256(abi.encode(sum, l, leafBit(m, side, tick)));
                    // The newest records, also those not admitted yet.
                    uint256 tail = l >> 216;
                    for (uint256 n = tail < 4 ? 0 : tail - 4; n < tail; ++n) {
                        sum = keccak256(abi.encode(sum, record(levelId(m, side, tick) << 40 | n)));
                    }
                }
            }
        }
        for (uint32 i = 0; i < ACCOUNTS; ++i) {
            sum = keccak256(abi.encode(sum, get(8, uint256(FIRST + i) << 24 | 2), get(8, uint256(FIRST + i) << 24 | 3), get(7, FIRST + i)));
            for (uint256 c = 1; c <= CLOIDS; ++c) {
                sum = keccak256(abi.encode(sum, get(15, uint256(FIRST + i) << 64 | c)));
            }
        }
        for (uint256 i = 0; i < orders.length; ++i) {
            sum = keccak256(abi.encode(sum, record(orders[i])));
        }
    }
}
