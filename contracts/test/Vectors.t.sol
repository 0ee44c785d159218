// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice The worked example of docs/contract.md, number by number: words, slots, money, logs. Expired orders cannot be placed yet, so their records are
/// laid down by hand, as a walk past them will.
contract VectorsTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant C = 302;
    uint32 constant D = 303;
    uint32 constant E = 304;
    uint32 constant T = 305;
    uint256 constant ORD = 0x1010000640000000000; // level << 40

    function setUp() public override {
        super.setUp();
        // The example numbers its tokens 1 and 2.
        uint256 cfg = get(9, 1);
        eq(cfg & 0xffffffffffff, 3 << 24 | 2, "tokens of the market");
        set(9, 1, cfg >> 48 << 48 | 2 << 24 | 1);
        for (uint32 account = A; account <= T; ++account) {
            set(7, account, uint160(ownerOf(account)));
            set(8, uint256(account) << 24 | 1, FUNDS);
            set(8, uint256(account) << 24 | 2, FUNDS);
        }
    }

    function testWorkedExample() public {
        ask(A, 100, 10);
        ask(B, 100, 7);
        uint256 c = ask(C, 100, 5);
        isLevel(ASK, 100, 3, 0, 0, 22);
        eq(c, 0x1010000640000000002, "id of C");
        eq(get(12, ORD | 1), 0x12e000000000005, "record of C");
        eq(get(11, 0x101000064), 0x0000000003000000000000000000000000000000000000160000000000000000, "level word");

        eq(buy(T, 100, 4), 4, "T's lots");
        isLevel(ASK, 100, 3, 0, 4, 18);
        eq(free(T, 2), FUNDS - 4002, "T pays 4,000 and 2");
        eq(feeDue(T, 2), 2, "fee due");
        eq(free(T, 1), FUNDS + 4 * 1000, "T's base");

        vm.recordLogs();
        cancel(A, ORD);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLevel(ASK, 100, 3, 1, 0, 12);
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(ORD), abi.encode(0, 6, 1));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(ORD, A), abi.encode(4, 0));
        eq(free(A, 1), FUNDS - 4 * 1000, "6 lots back to A");
        eq(free(A, 2), FUNDS + 4000, "4,000 to A");

        // C never expires here, so T takes B and C: 12 lots, 12,000, fee 6.
        vm.recordLogs();
        eq(buy(T, 100, 12), 12, "T's lots");
        logs = vm.getRecordedLogs();
        isLevel(ASK, 100, 3, 3, 0, 0);
        eq(logs.length, 2, "one level, one taker");
        isLog(logs[0], IExchange.LevelFill.selector, abi.encode(0x101000064), abi.encode(uint256(3) << 216 | uint256(3) << 176));
        isLog(logs[1], IExchange.Taken.selector, abi.encode(1, T), abi.encode(12 | 12 << 48 | uint256(IOC) << 160, 12_000, 6));

        uint256[] memory ids = new uint256[](2);
        ids[0] = c;
        ids[1] = ORD | 1;
        vm.recordLogs();
        x.claim(ids);
        logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Claimed.selector, abi.encode(c, C), abi.encode(5, 0));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(ORD | 1, B), abi.encode(7, 0));
        eq(get(12, ORD), 0, "ord 0");
        eq(get(12, ORD | 1), 0, "ord 1");

        // 6: 9 lots of D at an odd index, T buys 2.
        uint256 d = ask(D, 100, 9);
        eq(d, ORD | 3, "id of D");
        eq(buy(T, 100, 2), 2, "T's lots");
        isLevel(ASK, 100, 4, 3, 2, 7);
        uint256 now_ = free(D, 2);
        vm.recordLogs();
        claim(d);
        isLog(vm.getRecordedLogs()[0], IExchange.Claimed.selector, abi.encode(d, D), abi.encode(2, 0));
        isLevel(ASK, 100, 4, 3, 0, 7);
        eq(free(D, 2), now_ + 2000, "2,000 to D");
        eq(record(d) & type(uint48).max, 7, "record rebased");
        cancel(D, d);
        isLevel(ASK, 100, 4, 4, 0, 0);
        eq(free(D, 1), FUNDS - 2000, "7 lots back to D");
        eq(bid(E, 100, 3), 0x1000000640000000000, "E rests");
        isLevel(BID, 100, 1, 0, 0, 3);
    }

    /// Rows 4, 5 and 8: what a walk leaves of an expired order is paid and given back in one claim.
    function testSkippedRecords() public {
        set(11, 0x101000064, uint256(4) << 216 | uint256(4) << 176);
        set(12, ORD | 1, 0x8000000000020000012f0000000000078000000000000000012e000000000005);
        vm.recordLogs();
        claim(ORD | 2);
        isLog(vm.getRecordedLogs()[0], IExchange.Claimed.selector, abi.encode(ORD | 2, C), abi.encode(0, 5));
        eq(free(C, 1), FUNDS + 5000, "5 lots back to C");
        vm.recordLogs();
        (uint48 back, uint48 filled) = cancel(D, ORD | 3);
        isLog(vm.getRecordedLogs()[0], IExchange.Claimed.selector, abi.encode(ORD | 3, D), abi.encode(2, 7));
        eq(back, 7, "back");
        eq(filled, 2, "filled");
        eq(free(D, 1), FUNDS + 7000, "7 lots back to D");
        eq(free(D, 2), FUNDS + 2000, "2,000 to D");
        eq(get(12, ORD | 1), 0, "both records are gone");
    }

    function testSlots() public pure {
        require(slot(11, 0x101000064) == 0xdcf00126bc61b03f222800cd229eb5b762931fe97b74d62c8e4fd51de6d8e204, "lvl");
        require(slot(12, ORD | 1) == 0xa238ed62d438d96abf20aaeb7630e030e0760a53a377a4a5f533569ace60ecee, "ord 1");
        require(slot(8, 300 << 24 | 2) == 0xf84587ccdba24c041416bccda74e7e88a49865aabedad05f2cc9e551628ddfca, "bal(300, 2)");
        require(slot(10, 1 << 40 | 1 << 36 | 2 << 32) == 0x0b73828640b5820f3483bc6f9b333bdf6f21e64124219e155223a20ee55ea332, "leaf");
    }

    function testAccountNumber() public {
        vm.prank(0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266);
        eq(x.register(0), 1_113_525_282, "account of the first test key");
    }
}
