// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice Batches: results, order of effects, all or nothing, what a failure leaves, malformed bytes, the call to itself.
contract ExecuteTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant POOR = 302;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        set(7, POOR, uint160(ownerOf(POOR)));
    }

    function testWorkedBytes() public {
        // Section 14: ask 7 at 100, POST_ONLY, cloid 42.
        bytes memory batch = hex"00010000000103000064000000000007" hex"00000000000000000000002a0000";
        uint256 result = word(run(A, batch), 0);
        eq(result, levelId(1, ASK, 100) << 40 | 1 << 152, "id, nothing filled, LIMIT");
    }

    function testEveryOperationOfMilestoneOne() public {
        uint256 old = ask(A, 100, 9);
        uint256 paid = ask(A, 99, 5);
        buy(B, 99, 5);
        uint256 other = ask(A, 101, 9);
        bytes memory batch =
            bytes.concat(ops(false), opClaim(paid), opCancel(old), opReduce(other, 4), opPlace(ASK | POST_ONLY, 100, 3), opPlace(BID | IOC, 100, 1));
        bytes memory r = run(A, batch);
        eq(r.length, 5 * 32, "a word each");
        eq(word(r, 0), 5 << 48, "CLAIM: back, filled");
        eq(word(r, 1), 9, "CANCEL: back, filled");
        eq(word(r, 2), 5, "REDUCE: back");
        eq(word(r, 3), levelId(1, ASK, 100) << 40 | 1 | 1 << 152, "PLACE rests");
        eq(word(r, 4), 1 << 104, "PLACE takes what the one before it placed");
    }

    function testFirstFailureRevertsAll() public {
        uint256 old = ask(A, 100, 9);
        bytes memory batch = bytes.concat(ops(false), opCancel(old), opCancel(old), opPlace(ASK, 0, 0));
        refuseBatch(err(IExchange.UnknownOrder.selector), A, batch);
        isLevel(ASK, 100, 1, 0, 0, 9);
        refuseBatch(abi.encodeWithSelector(IExchange.NotFilled.selector, 9), A, bytes.concat(ops(false), opPlace(BID | FOK, 100, 10)));
        halt(3);
        refuseBatch(abi.encodeWithSelector(IExchange.NotLive.selector, 3), A, bytes.concat(ops(false), opPlace(BID | FOK, 100, 10)));
    }

    function testSkippedFailuresLeaveNoTrace() public {
        uint256 theirs = ask(B, 100, 9);
        bytes memory batch = bytes.concat(ops(true), opCancel(theirs), opCancel(theirs + 1), opPlace(BID | FOK, 100, 10), opPlace(BID | POST_ONLY, 100, 1));
        batch = bytes.concat(batch, opPlace(market, BID | GTC, 100, 0, 0, 77, 0), opPlace(BID | IOC, 100, 2), opReduce(theirs, 1), opClaim(theirs));
        bytes32 before = keccak256(abi.encode(get(11, levelId(1, ASK, 100)), get(12, levelId(1, ASK, 100) << 40)));
        vm.recordLogs();
        bytes memory r = run(A, batch);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isRefused(r, 0, IExchange.NotAuthorized.selector);
        isRefused(r, 1, IExchange.UnknownOrder.selector);
        isRefused(r, 2, IExchange.NotFilled.selector);
        isRefused(r, 3, IExchange.WouldCross.selector);
        isRefused(r, 4, IExchange.BadLots.selector);
        eq(word(r, 5), 2 << 104, "the batch goes on");
        isRefused(r, 6, IExchange.NotAuthorized.selector);
        isRefused(r, 7, IExchange.NotAuthorized.selector);
        // forge also records what reverted calls logged; a chain does not.
        uint256 refusals;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IExchange.Rejected.selector) continue;
            if (refusals++ == 4) isLog(logs[i], IExchange.Rejected.selector, abi.encode(A), abi.encode(4, 1, IExchange.BadLots.selector, 77));
        }
        eq(refusals, 7, "each refusal is logged");
        require(before != keccak256(abi.encode(get(11, levelId(1, ASK, 100)), get(12, levelId(1, ASK, 100) << 40))), "two lots went");
        isLevel(ASK, 100, 1, 0, 2, 7);
        eq(free(A, 3), FUNDS - 2001, "paid for two lots, once");
    }

    /// A GTC that takes, and then cannot pay for what should rest, has taken nothing.
    function testTakenAndThenInsufficientIsUndone() public {
        ask(B, 100, 2);
        fund(POOR, quote, 2500);
        uint256 before = get(8, uint256(POOR) << 24 | 3);
        bytes memory r = run(POOR, bytes.concat(ops(true), opPlace(BID | GTC, 100, 3)));
        isRefused(r, 0, IExchange.Insufficient.selector);
        isLevel(ASK, 100, 1, 0, 0, 2);
        eq(get(8, uint256(POOR) << 24 | 3), before, "money");
        r = run(POOR, bytes.concat(ops(true), opPlace(BID | GTC, 100, 2)));
        eq(word(r, 0), 2 << 104, "this one it can pay");
    }

    /// Whoever sends a batch chooses its gas: too little must fail the batch, never look like a refusal of what took.
    function testTooLittleGasIsNoRefusal() public {
        for (uint24 tick = 100; tick < 220; ++tick) {
            ask(B, tick, 1);
        }
        bytes memory call = abi.encodeCall(IExchange.execute, (A, bytes.concat(ops(true), opPlace(BID | IOC, 300, 120))));
        uint256 snapshot = vm.snapshotState();
        uint256 failures;
        // The call inside leaves a 64th of the gas behind: here enough to log a refusal.
        for (uint256 gas_ = 600_000; gas_ < 1_400_000; gas_ += 39_973) {
            vm.prank(ownerOf(A));
            (bool ok, bytes memory out) = address(x).call{gas: gas_}(call);
            if (!ok) {
                ++failures;
                continue;
            }
            eq(word(abi.decode(out, (bytes)), 0), 120 << 104, "all");
            vm.revertToState(snapshot);
            snapshot = vm.snapshotState();
        }
        require(failures > 2 && failures < 18, "both are met");
    }

    function testMalformedBatches() public {
        bytes memory bad = err(IExchange.BadOps.selector);
        refuseBatch(bad, A, "");
        refuseBatch(bad, A, hex"02");
        refuseBatch(bad, A, hex"0000");
        refuseBatch(bad, A, hex"000b");
        refuseBatch(bad, A, hex"01ff");
        bytes memory whole = bytes.concat(ops(true), opPlace(ASK | POST_ONLY, 100, 3), opLadder(1, ASK | POST_ONLY, 100, 1, 0, 0, rungs(2, 1)));
        for (uint256 cut = 2; cut < whole.length; ++cut) {
            if (cut == 30) continue; // one operation, complete
            bytes memory part = new bytes(cut);
            for (uint256 i = 0; i < cut; ++i) {
                part[i] = whole[i];
            }
            refuseBatch(bad, A, part);
        }
        refuseBatch(bad, A, bytes.concat(whole, hex"00"));
        refuseBatch(bad, A, bytes.concat(ops(true), opLadder(1, ASK | POST_ONLY, 100, 1, 0, 0, rungs(65, 1))));
        refuseBatch(bad, A, bytes.concat(ops(true), opCancelUpTo(1, 2, 1, 0)));
        // Malformed comes before a stranger, and a stranger before what fails.
        refuseBatch(bad, 999, hex"02");
        refuseBatch(err(IExchange.NotAuthorized.selector), 999, bytes.concat(ops(true), opCancel(1)));
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        x.execute(A, whole);
        eq(run(A, ops(true)).length, 0, "nothing to do is no error");
        eq(run(A, bytes.concat(ops(false), opLadder(1, ASK | POST_ONLY, 100, 1, 0, 0, rungs(64, 1)))).length, 64 * 32, "as many as there may be");
    }

    function testNobodyElseMakesTheCallToItself() public {
        bytes memory words = new bytes(18 * 32);
        (bool ok, bytes memory out) = address(x).call(words);
        require(!ok && bytes4(out) == IExchange.NotAuthorized.selector, "only the exchange");
        // A withdrawal of nothing to the exchange itself calls it with empty calldata.
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(ownerOf(A));
        x.withdraw(A, address(0), 0, address(x), none());
    }
}
