// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Orders taken back: at the head, behind it, filled in part, filled wholly, by the wrong hand, in every status.
contract CancelTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant T = 305;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
    }

    function testBidComesBackWhole() public {
        market = createMarket(1, 500, 100);
        uint256 id = bid(A, 12_345, 7);
        (uint48 back, uint48 filled) = cancel(A, id);
        eq(back, 7, "back");
        eq(filled, 0, "filled");
        eq(free(A, 3), FUNDS, "price and maker's fee");
        eq(feeDue(A, 3), 0, "no fee");
        require(!leafBit(market, BID, 12_345), "the level closed");
        eq(get(10, uint256(market) << 40), 0, "root");
    }

    /// The bug of other books: a cancel behind the head must not touch the head's fill.
    function testBehindAPartlyFilledHead() public {
        uint256 a = ask(A, 100, 5);
        uint256 b = ask(B, 100, 5);
        ask(A, 100, 5);
        buy(T, 100, 2);
        cancel(B, b);
        isLevel(ASK, 100, 3, 0, 2, 8);
        cancel(A, a);
        isLevel(ASK, 100, 3, 1, 0, 5);
        eq(buy(T, 100, 4), 4, "past the hole");
        isLevel(ASK, 100, 3, 2, 4, 1);
    }

    function testPartlyFilledHeadAloneClosesTheLevel() public {
        ask(A, 101, 1);
        uint256 id = bid(B, 100, 5);
        sell(T, 100, 2);
        (uint48 back, uint48 filled) = cancel(B, id);
        eq(back, 3, "back");
        eq(filled, 2, "filled");
        isLevel(BID, 100, 1, 1, 0, 0);
        require(!leafBit(1, BID, 100), "bit");
        eq(free(B, 2), FUNDS + 2000, "bought");
        eq(free(B, 3), FUNDS - 2000, "3 lots of quote back");
    }

    function testLostTheRaceIsPaid() public {
        uint256 id = ask(A, 100, 5);
        ask(B, 100, 5);
        buy(T, 100, 6);
        vm.recordLogs();
        (uint48 back, uint48 filled) = cancel(A, id);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(back, 0, "back");
        eq(filled, 5, "filled");
        eq(logs.length, 1, "no Reduced");
        isLog(logs[0], IExchange.Claimed.selector, abi.encode(id, A), abi.encode(5, 0));
        vm.expectRevert(err(IExchange.UnknownOrder.selector));
        vm.prank(ownerOf(A));
        x.cancel(A, id);
    }

    function testTheTailCancelledWhileTheLevelEmpties() public {
        uint256 a = ask(A, 100, 5);
        uint256 b = ask(B, 100, 5);
        uint256 c = ask(A, 100, 5);
        cancel(A, c);
        cancel(B, b);
        isLevel(ASK, 100, 3, 0, 0, 5);
        cancel(A, a);
        isLevel(ASK, 100, 3, 3, 0, 0);
    }

    function testWrongHands() public {
        uint256 id = ask(A, 100, 5);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(B));
        x.cancel(A, id); // not B's account
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(B));
        x.cancel(B, id); // not B's order
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(B));
        x.reduce(B, id, 1);
    }

    function testUnknownAndForgedIds(uint256 id) public {
        uint256 real = ask(A, 100, 5);
        vm.assume(id != real);
        vm.expectRevert(err(IExchange.UnknownOrder.selector));
        vm.prank(ownerOf(A));
        x.cancel(A, id);
        // The high bits of an id are not thrown away.
        vm.expectRevert(err(IExchange.UnknownOrder.selector));
        vm.prank(ownerOf(A));
        x.cancel(A, real | (1 << (104 + id % 152)));
    }

    function testInEveryStatus() public {
        for (uint8 status = 1; status <= 4; ++status) {
            market = createMarket(1, 500, 0);
            uint256 a = ask(A, 100, 5);
            uint256 b = ask(A, 101, 5);
            buy(T, 100, 2);
            if (status > 2) halt(3);
            if (status != 1) halt(status);
            reduce(A, a, 1);
            claim(a);
            cancel(A, a);
            cancel(A, b);
            vm.prank(ownerOf(A));
            x.withdraw(A, address(base), 1, ownerOf(A), none());
        }
        eq(free(A, 2), FUNDS - 4 * (2 * 1000 + 1), "all but what was sold and withdrawn");
    }
}
