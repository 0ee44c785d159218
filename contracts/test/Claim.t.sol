// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Payment of makers: by anyone, in any order and split, once.
contract ClaimTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant T = 305;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
    }

    function testIdsWithNothingToPayHaveNoEffect() public {
        uint256 live = ask(A, 100, 5);
        uint256[] memory ids = new uint256[](4);
        ids[0] = live;
        ids[1] = 0;
        ids[2] = type(uint256).max;
        ids[3] = live + 1;
        vm.recordLogs();
        x.claim(ids);
        eq(vm.getRecordedLogs().length, 0, "no log");
        isLevel(ASK, 100, 1, 0, 0, 5);
    }

    function testOnceOnly() public {
        uint256 id = ask(A, 100, 5);
        buy(T, 100, 5);
        uint256[] memory ids = new uint256[](3);
        ids[0] = ids[1] = ids[2] = id;
        x.claim(ids);
        eq(free(A, 3), FUNDS + 5000, "paid once");
        claim(id);
        eq(free(A, 3), FUNDS + 5000, "still once");
    }

    function testHeadIsRebased() public {
        uint256 id = ask(A, 100, 5);
        buy(T, 100, 2);
        claim(id);
        isLevel(ASK, 100, 1, 0, 0, 3);
        eq(record(id), uint256(A) << 48 | 3, "record");
        buy(T, 100, 1);
        claim(id);
        buy(T, 100, 2);
        claim(id);
        eq(free(A, 3), FUNDS + 5000, "in three parts");
        eq(record(id), 0, "gone");
    }

    function testSettleRidesOnDepositAndWithdrawal() public {
        uint256 id = ask(A, 100, 5);
        uint256 other = bid(B, 90, 4);
        buy(T, 100, 5);
        sell(T, 90, 4);
        vm.prank(ownerOf(A));
        eq(x.withdraw(A, address(quote), type(uint256).max, address(7), one(id)), FUNDS + 5000, "what the claim brought goes out with it");
        eq(quote.balanceOf(address(7)), FUNDS + 5000, "received");
        base.mint(address(this), 1);
        base.approve(address(x), 1);
        x.deposit(A, address(base), 1, one(other));
        eq(free(B, 2), FUNDS + 4000, "anybody's order is paid to its owner");
    }

    /// Any order and split of claims pays alike.
    function testSplits(uint256 seed) public {
        market = createMarket(1, 700, seed & 1 == 0 ? int16(-430) : int16(430));
        uint256 a = ask(A, 777, 9);
        uint256 b = ask(A, 777, 9);
        uint256 start = vm.snapshotState();
        buy(T, 777, 15);
        claim(b);
        claim(a);
        uint256 paid = get(8, uint256(A) << 24 | 3);
        vm.revertToState(start);
        uint48 lots = 15;
        while (lots > 0) {
            uint48 n = 1 + uint48(seed % lots);
            buy(T, 777, n);
            lots -= n;
            seed >>= 4;
            if (seed & 1 == 0) claim(seed & 2 == 0 ? a : b);
        }
        claim(a);
        claim(b);
        eq(get(8, uint256(A) << 24 | 3), paid, "balance word");
    }
}
