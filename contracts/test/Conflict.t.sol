// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice What two traders share. Both transactions of a row run from one state; a slot both change counts as WW, a slot one changes and the other only reads
/// as RW. Rows of the first test must be 0 for ever: they are why orders run in parallel. Those of the second conflict by nature and are pinned.
contract ConflictTest is Batches {
    uint32 constant MAKER = 300; // everything the book holds at the start
    uint32 constant A = 301;
    uint32 constant B = 302;

    uint24 constant TOUCH = 1000; // best ask; bids end at 900; leaf words 3 and 4
    uint256 private filled; // a claimable ask of MAKER, alone in its word
    uint256 private filledTwo; // two more that share a word
    uint256 private mine; // A's ask behind another at 1100
    uint256 private lonely; // A's ask alone on its level, in a far leaf

    struct Call {
        address from;
        bytes data;
    }

    /// What one transaction did to the exchange's storage.
    struct Trace {
        bytes32[] slots;
        bool[] changed;
        uint256 count;
        uint256 changes;
    }

    function setUp() public override {
        super.setUp();
        enrol(MAKER);
        enrol(A);
        enrol(B);
        filled = ask(MAKER, 950, 5);
        ask(MAKER, 951, 5);
        filledTwo = ask(MAKER, 952, 5);
        ask(MAKER, 952, 5);
        buy(B, 952, 20);
        sellInto(A);
        for (uint24 tick = TOUCH; tick < TOUCH + 8; ++tick) {
            queue(MAKER, ASK, tick, 3);
        }
        for (uint24 tick = 893; tick <= 900; ++tick) {
            queue(MAKER, BID, tick, 3);
        }
        queue(MAKER, ASK, 1100, 2);
        mine = ask(A, 1100, 5);
        ask(MAKER, 1100, 5);
        ask(MAKER, 20_001, 5);
        lonely = ask(A, 20_000, 5);
        queue(MAKER, ASK, 70_000, 3);
        queue(MAKER, BID, 300, 3);
        // Balance words in use on both sides, also of the fees.
        bid(A, 300, 1);
        bid(B, 300, 1);
        ask(A, 70_000, 1);
        ask(B, 70_000, 1);
        queue(MAKER, ASK, 70_000, 2); // an even tail: the next place starts a word
    }

    /// @dev Gives A quote fees and B base, so that no balance word is born during a measurement.
    function sellInto(uint32 account) private {
        bid(MAKER, 890, 10);
        sell(account, 890, 5);
        sell(B, 890, 5);
        ask(MAKER, 990, 5);
        buy(account, 990, 5);
    }

    function queue(uint32 account, uint8 side, uint24 tick, uint256 n) private {
        for (uint256 i = 0; i < n; ++i) {
            place(account, side | POST_ONLY, tick, 5);
        }
    }

    // --------------------------------------------------------------------------------------------------------------------------------------- calls

    function placing(uint32 account, uint8 mode, uint24 tick, uint48 lots) private view returns (Call memory) {
        return Call(ownerOf(account), abi.encodeCall(IExchange.place, (account, market, mode, tick, lots, 0, 0, 0)));
    }

    function asking(uint32 account, uint24 tick) private view returns (Call memory) {
        return placing(account, ASK | POST_ONLY, tick, 5);
    }

    function bidding(uint32 account, uint24 tick) private view returns (Call memory) {
        return placing(account, BID | POST_ONLY, tick, 5);
    }

    function buying(uint32 account, uint48 lots) private view returns (Call memory) {
        return placing(account, BID | IOC, 1200, lots);
    }

    function selling(uint32 account, uint48 lots) private view returns (Call memory) {
        return placing(account, ASK | IOC, 800, lots);
    }

    function cancelling(uint32 account, uint256 id) private pure returns (Call memory) {
        return Call(ownerOf(account), abi.encodeCall(IExchange.cancel, (account, id)));
    }

    function claiming(uint256 id) private pure returns (Call memory) {
        return Call(address(0x9), abi.encodeCall(IExchange.claim, (one(id))));
    }

    function batching(uint32 account, bytes memory batch) private pure returns (Call memory) {
        return Call(ownerOf(account), abi.encodeCall(IExchange.execute, (account, batch)));
    }

    /// @dev Two old quotes out, two new ones in, a batch that goes on after failures.
    function requoting(uint32 account, uint256 first, uint256 second, uint24 tick) private view returns (Call memory) {
        bytes memory batch = bytes.concat(ops(true), opCancel(first), opCancel(second));
        return batching(account, bytes.concat(batch, opLadder(market, ASK | POST_ONLY, tick, 1, 0, 0, rungs(2, 5))));
    }

    // --------------------------------------------------------------------------------------------------------------------------------------- gates

    /// Batches share no more than their operations do: makers requote side by side, beside takers, agents, switches and signatures of others.
    function testBatchesShareNothing() public {
        uint256[4] memory ids;
        for (uint24 i = 0; i < 2; ++i) {
            ids[i] = ask(A, 1002 + i, 5);
            ids[2 + i] = ask(B, 1005 + i, 5);
        }
        Call memory a = requoting(A, ids[0], ids[1], 1002);
        Call memory b = requoting(B, ids[2], ids[3], 1005);
        zero("requote / requote on own ticks", a, b);
        zero("requote / take that leaves the touch", a, buying(B, 2));
        zero("requote / place elsewhere", a, asking(B, 1001));
        zero("requote / bid", a, bidding(B, 899));
        zero("requote / claim", a, claiming(filled));
        zero("dead-man switch of the maker / take of his order", batching(MAKER, bytes.concat(ops(false), opSchedule(9_999_999))), buying(B, 2));
        zero("claims in batches of two makers", batching(MAKER, bytes.concat(ops(true), opClaim(filled))), batching(A, bytes.concat(ops(true), opClaim(mine))));
        bytes memory sells = bytes.concat(ops(true), opTake(Take(market, ASK | IOC, 800, 2, ALL_FREE, 0, 0, 0, 0)));
        bytes memory buys = bytes.concat(ops(true), opTake(Take(market, BID | IOC, 1200, 2, ALL_FREE, 0, 0, 0, 0)));
        zero("market buy / market sell", batching(A, buys), batching(B, sells));
        zero("cancel up to / place of another on the other side", batching(A, bytes.concat(ops(true), opCancelUpTo(market, ASK, 1003, 0))), bidding(B, 899));
        Call memory granting = Call(ownerOf(A), abi.encodeCall(IExchange.approveAgent, (A, address(9), 1, 1, 0, [uint32(0), 0, 0])));
        zero("approve an agent / the owner's place", granting, asking(A, 1001));
        zero("nonces / nonces", nonces(A), nonces(B));
        zero("nonces / take", nonces(A), buying(A, 2));
    }

    function nonces(uint32 account) private pure returns (Call memory) {
        return Call(ownerOf(account), abi.encodeCall(IExchange.cancelNonces, (account, 0, 1)));
    }

    /// What a batch adds to the conflicts of its operations: nothing.
    function testBatchesByNature() public {
        bytes memory buys = bytes.concat(ops(true), opTake(Take(market, BID | IOC, 1200, 2, ALL_FREE, 0, 0, 0, 0)));
        pin("two takers on one side, in batches", batching(A, buys), batching(B, buys), 1, 0);
        uint256 own = ask(A, 1002, 5);
        ask(MAKER, 1002, 5);
        bytes memory out = bytes.concat(ops(true), opReplace(own, ASK | POST_ONLY, 1004, 5, 0, 0, 0));
        pin("replace / place on the level it leaves", batching(A, out), asking(B, 1002), 1, 0);
        pin("place / cancel by one account on one level", asking(A, 1002), batching(A, bytes.concat(ops(true), opCancel(own))), 2, 0);
        pin("prune / take of that side", Call(address(9), abi.encodeCall(IExchange.prune, (uint64(levelId(market, ASK, TOUCH)), 0))), buying(A, 2), 0, 1);
    }

    function testNothingShared() public {
        zero("ask / ask, far", asking(A, 70_000), asking(B, 1001));
        zero("ask / ask, near", asking(A, 1002), asking(B, 1001));
        zero("ask / bid", asking(A, 1001), bidding(B, 899));
        zero("ask / bid at the touch", asking(A, 1000), bidding(B, 900));
        zero("buy / sell", buying(A, 2), selling(B, 2));
        zero("buy / sell that empty their levels", buying(A, 15), selling(B, 15));
        zero("place / cancel elsewhere, level stays", asking(B, 1001), cancelling(A, mine));
        zero("place / cancel elsewhere, emptied", asking(B, 1001), cancelling(A, lonely));
        zero("bid / cancel of an ask", bidding(B, 899), cancelling(A, mine));
        zero("place / take that leaves the touch", asking(B, 1003), buying(A, 2));
        zero("far place / take that empties it", asking(B, 70_000), buying(A, 15));
        zero("place / take of its own side's other book", bidding(B, 300), buying(A, 2));
        zero("claim / claim in other words", claiming(filled), claiming(mine));
        zero("claim / take elsewhere", claiming(filled), buying(A, 2));
        zero("claim / place elsewhere", claiming(filled), asking(A, 1001));
        zero("claim / cancel elsewhere", claiming(filled), cancelling(A, mine));
        zero("cancel / take elsewhere", cancelling(A, mine), buying(B, 2));
        zero("register / register", registering(address(0x51)), registering(address(0x52)));
        zero("register / take", registering(address(0x51)), buying(A, 2));
        uint32 first = market;
        market = createMarket(1, 500, 0);
        queue(MAKER, ASK, TOUCH, 3);
        Call memory there = buying(A, 2);
        Call memory rests = asking(A, TOUCH);
        market = first;
        zero("two markets: take / take", there, buying(B, 2));
        zero("two markets: place / take that empties", rests, buying(B, 15));
    }

    function testByNature() public {
        // ords: 3 orders at each tick, so the next index is odd and shares its word with a record of MAKER, not with the other newcomer's.
        pin("place / place on one level, one word", asking(A, 1001), asking(B, 1001), 2, 0);
        pin("place / cancel on one level", asking(B, 1100), cancelling(A, mine), 1, 0);
        pin("two takers on one side", buying(A, 2), buying(B, 2), 1, 0);
        pin("two takers that empty the touch", buying(A, 15), buying(B, 15), 2, 0);
        pin("two new levels in one leaf", asking(A, 1020), asking(B, 1021), 1, 0);
        pin("bid near the touch / take that empties a level there", bidding(B, 999), buying(A, 15), 0, 1);
        uint256 own = ask(A, TOUCH, 5);
        buy(B, TOUCH, 12); // the first word of records, and a part of the next
        uint256 head = levelId(market, ASK, TOUCH) << 40;
        pin("claim of a filled order / place on its level", claiming(head), asking(A, TOUCH), 0, 1);
        pin("claim of a filled order / cancel on its level", claiming(head), cancelling(A, own), 0, 1);
        pin("claim of a filled order / take on its level", claiming(head), buying(B, 2), 0, 1);
        pin("claim of the head / take on its level", claiming(head + 2), buying(B, 2), 1, 1);
        // Two claims of one maker, in one word of records, meet in his balance as well.
        pin("two claims in one word, one maker", claiming(filledTwo), claiming(filledTwo + 1), 2, 0);
    }

    function testTwoClaimsInOneWord() public {
        uint256 a = ask(A, 905, 5);
        eq(a & 1, 0, "an even index");
        uint256 b = ask(B, 905, 5);
        buy(MAKER, 905, 10);
        pin("two claims in one word", claiming(a), claiming(b), 1, 0);
    }

    /// Slots a transaction touches and changes.
    function testFootprints() public {
        footprint("place", asking(A, 1001), 8, 3);
        footprint("place on a new level", asking(A, 3_000_000), 11, 6);
        footprint("cancel", cancelling(A, mine), 5, 3);
        footprint("cancel that empties its level", cancelling(A, lonely), 6, 4);
        footprint("partial take", buying(A, 2), 9, 3);
        footprint("claim", claiming(filled), 4, 2);
    }

    // ----------------------------------------------------------------------------------------------------------------------------------- measuring

    function registering(address who) private pure returns (Call memory) {
        return Call(who, abi.encodeCall(IExchange.register, (0)));
    }

    function zero(string memory name, Call memory a, Call memory b) private {
        pin(name, a, b, 0, 0);
    }

    function pin(string memory name, Call memory a, Call memory b, uint256 ww, uint256 rw) private {
        Trace memory first = trace(name, a);
        Trace memory second = trace(name, b);
        uint256 both;
        uint256 mixed;
        for (uint256 i = 0; i < first.count; ++i) {
            for (uint256 j = 0; j < second.count; ++j) {
                if (first.slots[i] != second.slots[j]) continue;
                if (first.changed[i] && second.changed[j]) ++both;
                else if (first.changed[i] || second.changed[j]) ++mixed;
            }
        }
        eq(both, ww, string.concat(name, ", WW"));
        eq(mixed, rw, string.concat(name, ", RW"));
    }

    function footprint(string memory name, Call memory a, uint256 touched, uint256 changed) private {
        Trace memory t = trace(name, a);
        eq(t.count, touched, string.concat(name, ", touched"));
        eq(t.changes, changed, string.concat(name, ", changed"));
    }

    /// @dev Runs the call and takes it back.
    function trace(string memory name, Call memory c) private returns (Trace memory t) {
        uint256 start = vm.snapshotState();
        vm.startStateDiffRecording();
        vm.prank(c.from);
        (bool ok,) = address(x).call(c.data);
        Vm.AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();
        require(ok, string.concat(name, " failed"));
        t.slots = new bytes32[](64);
        t.changed = new bool[](64);
        bytes32[] memory before = new bytes32[](64);
        for (uint256 i = 0; i < accesses.length; ++i) {
            for (uint256 j = 0; j < accesses[i].storageAccesses.length; ++j) {
                Vm.StorageAccess memory s = accesses[i].storageAccesses[j];
                if (s.account != address(x) || s.reverted) continue;
                uint256 k = 0;
                while (k < t.count && t.slots[k] != s.slot) ++k;
                if (k == t.count) {
                    t.slots[k] = s.slot;
                    before[k] = s.previousValue;
                    ++t.count;
                }
                t.changed[k] = s.newValue != before[k];
            }
        }
        for (uint256 k = 0; k < t.count; ++k) {
            if (t.changed[k]) ++t.changes;
        }
        require(t.count > 0, string.concat(name, " touched nothing: the recording is blind"));
        vm.revertToState(start);
    }
}
