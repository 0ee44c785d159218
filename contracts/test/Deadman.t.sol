// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice The dead-man switch, and poke.
contract DeadmanTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        vm.warp(1000);
    }

    function schedule(uint40 when) private returns (bytes memory) {
        return run(A, bytes.concat(ops(true), opSchedule(when)));
    }

    function testSchedule() public {
        vm.recordLogs();
        eq(word(schedule(1100), 0), 0, "result");
        isLog(vm.getRecordedLogs()[0], IExchange.Scheduled.selector, abi.encode(A), abi.encode(1100));
        eq(get(7, A), uint256(1100) << 176 | uint160(ownerOf(A)), "account word");
        isRefused(schedule(1000), 0, IExchange.Expired.selector);
        schedule(0);
        eq(get(7, A), uint160(ownerOf(A)), "disarmed");
    }

    function testNewOrdersFailOnceItFired() public {
        uint256 id = ask(A, 100, 5);
        schedule(1100);
        vm.warp(1099);
        ask(A, 101, 5);
        vm.warp(1100);
        bytes memory e = err(IExchange.Expired.selector);
        refuse(e, A, ASK | POST_ONLY, 100, 5);
        refuse(e, A, BID | IOC, 100, 5);
        bytes memory batch = bytes.concat(ops(true), opTake(Take(market, BID | IOC, 50, 1, 0, 0, 0, 0, 0)), opReplace(id, ASK | POST_ONLY, 100, 1, 0, 0, 0));
        bytes memory r =
            run(A, bytes.concat(batch, opLadder(market, ASK | POST_ONLY, 100, 1, 0, 0, rungs(1, 5)), opReduce(id, 4), opSchedule(2000), opPlace(ASK, 100, 5)));
        isRefused(r, 0, IExchange.Expired.selector);
        isRefused(r, 1, IExchange.Expired.selector);
        isRefused(r, 2, IExchange.Expired.selector);
        eq(word(r, 3), 1, "exits work");
        require(word(r, 5) >> 255 == 0, "re-armed, in the same batch");
    }

    function testPoke() public {
        uint256[] memory ids = new uint256[](4);
        ids[0] = ask(A, 100, 5);
        ids[1] = ask(B, 100, 5);
        ids[2] = ask(A, 101, 5);
        ids[3] = 12_345;
        buy(B, 100, 2);
        schedule(1100);
        x.poke(A, ids);
        isLevel(ASK, 100, 2, 0, 2, 8);
        vm.warp(1100);
        vm.recordLogs();
        x.poke(A, ids);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(ids[0]), abi.encode(0, 3, 6));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(ids[0], A), abi.encode(2, 0));
        isLog(logs[2], IExchange.Reduced.selector, abi.encode(ids[2]), abi.encode(0, 5, 6));
        eq(logs.length, 3, "B's order is not A's");
        isLevel(ASK, 100, 2, 1, 0, 5);
        eq(free(A, 2), FUNDS - 2000, "escrow is home");
    }

    function testPokeInAHaltedMarket() public {
        uint256 id = ask(A, 100, 5);
        halt(3);
        x.poke(A, one(id));
        isLevel(ASK, 100, 1, 0, 0, 5);
        halt(4);
        vm.recordLogs();
        x.poke(A, one(id));
        isLog(vm.getRecordedLogs()[0], IExchange.Reduced.selector, abi.encode(id), abi.encode(0, 5, 7));
        eq(free(A, 2), FUNDS, "escrow is home");
    }

    function testFillsDoNotLookAtIt() public {
        ask(A, 100, 5);
        schedule(1100);
        vm.warp(1200);
        eq(buy(B, 100, 5), 5, "filled");
    }
}
