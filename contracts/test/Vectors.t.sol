// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Vm} from "./Vm.sol";

/// @notice The worked example of docs/contract.md, number by number: words, slots, money, logs, bytes.
contract VectorsTest is Batches {
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
        // 1
        vm.warp(900);
        ask(A, 100, 10);
        ask(B, 100, 7);
        uint256 c = placeUntil(C, ASK | POST_ONLY, 100, 5, 1000);
        isAt(3, 0, 0, 22, 1000);
        eq(c, 0x1010000640000000002, "id of C");
        eq(get(12, ORD | 1), 0x3e80000012e000000000005, "record of C");
        eq(get(11, 0x101000064), 0x000000000300000000000000000000000000000000000016000003e800000000, "level word");
        // 2
        eq(buy(T, 100, 4), 4, "T's lots");
        isAt(3, 0, 4, 18, 1000);
        eq(free(T, 2), FUNDS - 4002, "T pays 4,000 and 2");
        eq(feeDue(T, 2), 2, "fee due");
        eq(free(T, 1), FUNDS + 4 * 1000, "T's base");
        // 3
        vm.recordLogs();
        cancel(A, ORD);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isAt(3, 1, 0, 12, 1000);
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(ORD), abi.encode(0, 6, 1));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(ORD, A), abi.encode(4, 0));
        eq(free(A, 1), FUNDS - 4 * 1000, "6 lots back to A");
        eq(free(A, 2), FUNDS + 4000, "4,000 to A");
        expire(c);
    }

    /// Rows 4 and 5.
    function expire(uint256 c) private {
        vm.warp(1000);
        vm.recordLogs();
        eq(buy(T, 100, 8), 7, "B's lots");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isAt(3, 3, 0, 0, 0);
        eq(logs.length, 3, "one expired, one level, one taker");
        isLog(logs[0], IExchange.Reduced.selector, abi.encode(c), abi.encode(0, 5, 5));
        isLog(logs[1], IExchange.LevelFill.selector, abi.encode(0x101000064), abi.encode(uint256(3) << 216 | uint256(3) << 176));
        isLog(logs[2], IExchange.Taken.selector, abi.encode(1, T), abi.encode(8 | 7 << 48 | uint256(IOC) << 160 | 1 << 168, 7000, 4));
        eq(get(12, ORD | 1), 0x8000000000000000012e000000000005, "C's record");
        uint256[] memory ids = new uint256[](2);
        ids[0] = c;
        ids[1] = ORD | 1;
        vm.recordLogs();
        x.claim(ids);
        logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Claimed.selector, abi.encode(c, C), abi.encode(0, 5));
        isLog(logs[1], IExchange.Claimed.selector, abi.encode(ORD | 1, B), abi.encode(7, 0));
        eq(get(12, ORD), 0, "ord 0");
        eq(get(12, ORD | 1), 0, "ord 1");
        pass();
    }

    /// Rows 6 to 8.
    function pass() private {
        uint256 d = placeUntil(D, ASK | POST_ONLY, 100, 9, 2000);
        eq(d, ORD | 3, "id of D");
        eq(buy(T, 100, 2), 2, "T's lots");
        isAt(4, 3, 2, 7, 2000);
        vm.warp(2000);
        eq(bid(E, 100, 3), 0x1000000640000000000, "E rests");
        isAt(4, 4, 0, 0, 0);
        eq(record(d), 0x8000000000020000012f000000000007, "D's record");
        isLevel(BID, 100, 1, 0, 0, 3);
        uint256 quote_ = free(D, 2);
        uint256 base_ = free(D, 1);
        vm.recordLogs();
        claim(d);
        isLog(vm.getRecordedLogs()[0], IExchange.Claimed.selector, abi.encode(d, D), abi.encode(2, 7));
        eq(free(D, 2) - quote_, 2000, "2,000 quote atoms");
        eq(free(D, 1) - base_, 7000, "7 lots");
        isAt(4, 4, 0, 0, 0);
    }

    function isAt(uint256 tail, uint256 head, uint256 headFilled, uint256 open, uint256 minExpiry) private view {
        Level memory l = level(ASK, 100);
        eq(l.tail, tail, "tail");
        eq(l.head, head, "head");
        eq(l.headFilled, headFilled, "headFilled");
        eq(l.open, open, "open");
        eq(l.minExpiry, minExpiry, "minExpiry");
    }

    /// "ask 7 at 100, POST_ONLY, cloid 42", and CANCEL of C, as bytes.
    function testOperationBytes() public view {
        bytes memory ask7 = hex"00010000000103000064000000000007" hex"00000000000000000000002a0000";
        require(keccak256(bytes.concat(ops(false), opPlace(1, ASK | POST_ONLY, 100, 7, 0, 42, 0))) == keccak256(ask7), "PLACE");
        require(keccak256(bytes.concat(ops(false), opCancel(ORD | 2))) == keccak256(hex"000300000001010000640000000002"), "CANCEL");
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
