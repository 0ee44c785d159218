// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Orders made smaller in their place.
contract ReduceTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant T = 305;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
    }

    function testKeepsItsPlace() public {
        uint256 a = ask(A, 100, 9);
        ask(B, 100, 9);
        vm.recordLogs();
        eq(reduce(A, a, 4), 5, "back");
        isLog(vm.getRecordedLogs()[0], IExchange.Reduced.selector, abi.encode(a), abi.encode(4, 5, 2));
        isLevel(ASK, 100, 2, 0, 0, 13);
        eq(free(A, 2), FUNDS - 4000, "escrow of what is left");
        buy(T, 100, 4);
        isLevel(ASK, 100, 2, 1, 0, 9);
    }

    function testFilledPartStaysUnclaimed() public {
        uint256 a = bid(A, 100, 9);
        sell(T, 100, 3);
        eq(reduce(A, a, 2), 4, "back");
        isLevel(BID, 100, 1, 0, 3, 2);
        eq(record(a), uint256(A) << 48 | 5, "left and filled");
        eq(free(A, 2), FUNDS, "not paid yet");
        eq(free(A, 3), FUNDS - 5000, "escrow back");
        sell(T, 100, 2);
        claim(a);
        eq(free(A, 2), FUNDS + 5000, "5 lots bought in all");
    }

    function testARepeatIsHarmless() public {
        uint256 a = ask(A, 100, 9);
        eq(reduce(A, a, 4), 5, "back");
        vm.recordLogs();
        eq(reduce(A, a, 4), 0, "nothing more");
        eq(reduce(A, a, 7), 0, "never more lots");
        eq(vm.getRecordedLogs().length, 0, "no log");
        eq(reduce(A, a, 0), 4, "0 cancels");
        vm.expectRevert(err(IExchange.UnknownOrder.selector));
        vm.prank(ownerOf(A));
        x.reduce(A, a, 0);
    }

    function testToNothingIsACancel() public {
        uint256 a = ask(A, 100, 9);
        buy(T, 100, 2);
        vm.recordLogs();
        eq(reduce(A, a, 0), 7, "back");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(a), abi.encode(0, 7, 1));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(a, A), abi.encode(2, 0));
    }

    function testMinLots() public {
        market = createMarket(5, 0, 0);
        uint256 a = ask(A, 100, 9);
        vm.expectRevert(err(IExchange.BadLots.selector));
        vm.prank(ownerOf(A));
        x.reduce(A, a, 4);
        buy(T, 100, 6);
        eq(reduce(A, a, 4), 0, "3 are left: that is no reduction");
        vm.expectRevert(err(IExchange.BadLots.selector));
        vm.prank(ownerOf(A));
        x.reduce(A, a, 2);
        eq(reduce(A, a, 0), 3, "but it can go");
    }

    function testFilledIsUnknown() public {
        uint256 a = ask(A, 100, 9);
        buy(T, 100, 9);
        vm.expectRevert(err(IExchange.UnknownOrder.selector));
        vm.prank(ownerOf(A));
        x.reduce(A, a, 1);
    }
}
