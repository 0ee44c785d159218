// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice REPLACE: one goes, one comes, or neither.
contract ReplaceTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
    }

    function op(uint256 id, uint8 mode, uint24 tick, uint48 lots) private pure returns (bytes memory) {
        return opReplace(id, mode, tick, lots, 0, 0, 0);
    }

    function testMovesAnOrder() public {
        uint256 id = ask(A, 100, 9);
        buy(B, 100, 2);
        vm.recordLogs();
        bytes memory r = run(A, bytes.concat(ops(false), op(id, ASK | POST_ONLY, 101, 5)));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(id), abi.encode(0, 7, 3));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(id, A), abi.encode(2, 0));
        eq(word(r, 0), levelId(1, ASK, 101) << 40 | 1 << 152, "rests");
        eq(logs.length, 3, "Placed");
        eq(free(A, 2), FUNDS - 2000 - 5000, "base");
        eq(free(A, 3), FUNDS + 2000, "quote");
    }

    function testEscrowOfTheOldOnePaysForTheNew() public {
        uint32 poor = 306;
        set(7, poor, uint160(ownerOf(poor)));
        fund(poor, base, 9000);
        uint256 id = ask(poor, 100, 9);
        run(poor, bytes.concat(ops(false), op(id, ASK | POST_ONLY, 90, 9)));
        isLevel(ASK, 90, 1, 0, 0, 9);
    }

    function testBothOrNeither() public {
        uint256 id = ask(A, 100, 9);
        bid(B, 90, 5);
        bytes memory r = run(A, bytes.concat(ops(true), op(id, ASK | POST_ONLY, 90, 5), op(id, BID | POST_ONLY, 80, 5), op(id, ASK | POST_ONLY, 80, 0)));
        isRefused(r, 0, IExchange.WouldCross.selector);
        isRefused(r, 1, IExchange.BadMode.selector);
        isRefused(r, 2, IExchange.BadLots.selector);
        isLevel(ASK, 100, 1, 0, 0, 9);
        r = run(A, bytes.concat(ops(true), op(id, ASK | GTC, 90, 7)));
        eq(word(r, 0), levelId(1, ASK, 90) << 40 | 5 << 104 | 1 << 152, "takes five, rests two");
    }

    function testNeverDoublesAFill() public {
        uint256 id = ask(A, 100, 2);
        uint256 theirs = bid(B, 10, 2);
        buy(B, 100, 2);
        bytes memory r = run(A, bytes.concat(ops(true), op(id, ASK | POST_ONLY, 101, 2), op(theirs, BID | POST_ONLY, 11, 2), op(id + 1, ASK, 101, 2)));
        isRefused(r, 0, IExchange.UnknownOrder.selector);
        isRefused(r, 1, IExchange.NotAuthorized.selector);
        isRefused(r, 2, IExchange.UnknownOrder.selector);
    }
}
