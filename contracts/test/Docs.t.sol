// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IConditional} from "../src/interfaces/IConditional.sol";
import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice The worked examples of docs/contract.md, one test each, named there: every number the page states is asserted here.
contract DocsTest is Base {
    uint32 private constant A = 300;
    uint32 private constant B = 301;
    uint32 private constant T = 305;
    address private constant AGENT = address(0xa6e47);
    address private constant STRANGER = address(0x57a);
    uint256 private constant KEY = 0xb0b;

    uint256 private takeWithoutHoles; // gas

    uint8 private constant SLIDE = 2 << 1;
    uint8 private constant TRACK = 128;
    uint24 private constant AT = 160_000;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
        market = x.createMarket(address(base), address(quote), 10, 1e15, 1, 500, -100, 0, 1);
    }

    /// Resting: 5 lots at 160,000, then 7 at 160,010.
    function twoAsks() private {
        ask(A, AT, 5);
        ask(B, AT + 10, 7);
    }

    function takes(uint32 account, uint8 mode, uint24 tick, uint48 lots) private returns (uint256 id, uint48 filled, uint256 paid) {
        uint256 before = free(account, 3);
        (id, filled) = place(account, mode, tick, lots);
        paid = before - free(account, 3);
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- orders

    function test_market() public view {
        uint256 cfg = get(9, market);
        eq(AT * (cfg >> 48 & type(uint64).max), 1_600_000, "a lot costs");
        eq(quote.decimals(), 6, "quote decimals");
        eq((cfg >> 112 & type(uint64).max) * 1000, 10 ** base.decimals(), "a lot is 0.001 base");
    }

    function test_limit() public {
        twoAsks();
        (uint256 id, uint48 filled, uint256 paid) = takes(T, GTC, AT + 5, 10);
        eq(filled, 5, "takes 5");
        eq(id, levelId(market, BID, AT + 5) << 40, "the rest at its limit");
        eq(record(id) & type(uint48).max, 5, "5 lots");
        eq(paid, 16_004_250, "left the free balance");
        eq(paid, 8_000_000 + 4000 + 8_000_250, "price, fee, escrow");
    }

    function test_immediate() public {
        twoAsks();
        refuse(abi.encodeWithSelector(IExchange.NotFilled.selector, 5), T, FOK, AT + 5, 10);
        (uint256 id, uint48 filled, uint256 paid) = takes(T, IOC, AT + 5, 10);
        eq(id, 0, "nothing rests");
        eq(filled, 5, "5 lots");
        eq(paid, 8_004_000, "paid");
    }

    function test_passive() public {
        twoAsks();
        refuse(abi.encodeWithSelector(IExchange.WouldCross.selector, 160_000), T, POST_ONLY, AT + 3, 1);
        (uint256 id,) = place(T, SLIDE, AT + 3, 1);
        eq(id, levelId(market, BID, 159_999) << 40, "one tick behind");
    }

    function test_expiry() public {
        vm.warp(900);
        uint256 id = until(A, AT, 5, 1000);
        ask(B, AT, 4);
        uint256 start = free(A, 2);
        vm.warp(999);
        eq(buy(T, AT, 2), 2, "alive at 999");
        vm.warp(1000);
        vm.recordLogs();
        eq(buy(T, AT, 8), 4, "only the next order");
        isLog(vm.getRecordedLogs()[0], IExchange.Reduced.selector, abi.encode(id), abi.encode(0, 3, 5));
        uint256 earned = free(A, 3);
        claim(id);
        eq(free(A, 3) - earned, 3_200_320, "proceeds of 2");
        eq(free(A, 2) - start, 3e15, "3 lots back");
    }

    function until(uint32 account, uint24 tick, uint48 lots, uint32 expiry) private returns (uint256 id) {
        vm.prank(ownerOf(account));
        (id,) = x.place(account, market, ASK | POST_ONLY, tick, lots, expiry, 0, 0);
    }

    function test_selfTrade() public {
        uint8[5] memory filled = [uint8(8), 0, 6, 0, 4];
        bool[5] memory home = [false, false, true, true, true];
        for (uint8 stp = 0; stp < 5; ++stp) {
            uint256 state = vm.snapshotState();
            uint256 own = ask(A, AT, 4);
            ask(B, AT, 6);
            (, uint48 got,) = takes(A, IOC | stp << 4, AT, 8);
            eq(got, filled[stp], "filled");
            require((record(own) == 0) == home[stp], "the own order");
            vm.revertToState(state);
        }
    }

    function test_budget() public {
        twoAsks();
        uint256 spend = uint256(10_000_000) * 16_000_000 / (16_000_000 + 16 * 500);
        eq(spend, 9_995_002, "what may go to makers");
        uint256 before = free(T, 3);
        uint256 word = run(T, take(BID | IOC, AT + 100, 1000, 10_000_000, 6e15))[0];
        eq(word & type(uint128).max, 6e15, "out");
        eq(word >> 128 & type(uint48).max, 6, "filled");
        eq(word >> 176 & 0xff, 4, "ended for budget");
        eq(before - free(T, 3), 9_600_100 + 4801, "paid");
    }

    function test_budget_slippage() public {
        twoAsks();
        bytes memory ops = abi.encodePacked(uint8(0), take(BID | IOC, AT + 100, 1000, 10_000_000, 7e15));
        vm.expectRevert(abi.encodeWithSelector(IExchange.Slippage.selector, 6_000_000_000_000_000));
        vm.prank(ownerOf(T));
        x.execute(T, ops);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- batches

    function test_requote() public {
        uint256[10] memory old;
        for (uint24 i = 0; i < 5; ++i) {
            old[i] = bid(A, AT - 10 - i, 3);
            old[5 + i] = ask(A, AT + i, 3);
        }
        buy(T, AT, 3); // the best ask
        bytes memory ops;
        for (uint256 i = 0; i < 10; ++i) {
            ops = bytes.concat(ops, abi.encodePacked(uint8(3), uint104(old[i])));
        }
        ops = bytes.concat(ops, ladder(BID | POST_ONLY, AT - 8, -1), ladder(ASK | POST_ONLY, AT + 2, 1));
        uint256 bidding;
        uint256 earned = free(A, 3);
        uint256[] memory results = run(A, 1, ops);
        eq(results.length, 20, "results");
        eq(results[5], uint256(3) << 48, "the filled one is paid: 3 lots, nothing back");
        for (uint24 i = 0; i < 5; ++i) {
            eq(results[10 + i] & type(uint104).max, levelId(market, BID, AT - 8 - i) << 40 | (i < 2 ? 0 : 1), "a bid rests");
            eq(results[15 + i] >> 152 & 0xff, 1, "an ask rests");
            bidding += 3 * 10 * 2; // two ticks higher
        }
        eq(earned + 3 * 1_600_160 - bidding, free(A, 3), "1,600,160 a lot");
    }

    function ladder(uint8 mode, uint24 tick, int16 step) private view returns (bytes memory) {
        bytes memory lots = abi.encodePacked(uint48(3), uint48(3), uint48(3), uint48(3), uint48(3));
        return bytes.concat(abi.encodePacked(uint8(7), market, mode, tick, step), bytes12(0), hex"05", lots); // no expiry, no cloid, five rungs
    }

    function test_skipFailed() public {
        twoAsks();
        bytes memory ops = bytes.concat(placing(BID | POST_ONLY, AT, 1, 0), placing(BID | POST_ONLY, AT - 1, 1, 0));
        bytes memory reason = abi.encodeWithSelector(IExchange.WouldCross.selector, 160_000);
        vm.expectRevert(reason);
        vm.prank(ownerOf(T));
        x.execute(T, bytes.concat(hex"00", ops));
        uint256[] memory results = run(T, 1, ops);
        eq(results[0], 1 << 255 | uint32(IExchange.WouldCross.selector), "why");
        eq(results[1], levelId(market, BID, AT - 1) << 40 | 1 << 152, "the second rests");
    }

    function test_preCancel() public {
        vm.warp(900);
        run(A, abi.encodePacked(uint8(9), uint64(7), uint40(960)));
        bytes memory ops = placing(ASK | POST_ONLY | TRACK, AT, 1, 7);
        vm.warp(960);
        vm.expectRevert(err(IExchange.PreCancelled.selector));
        vm.prank(ownerOf(A));
        x.execute(A, bytes.concat(hex"00", ops));
        vm.warp(961);
        eq(run(A, ops)[0] >> 152, 1, "it rests");
        vm.expectRevert(err(IExchange.CloidInUse.selector));
        vm.prank(ownerOf(A));
        x.execute(A, bytes.concat(hex"00", ops));
    }

    function test_deadMan() public {
        vm.warp(900);
        run(A, abi.encodePacked(uint8(10), uint40(1000)));
        uint256 id = ask(A, AT, 5);
        vm.warp(999);
        vm.prank(STRANGER);
        x.poke(A, one(id));
        eq(record(id) & type(uint48).max, 5, "not yet");
        vm.warp(1000);
        uint256 before = free(A, 2);
        vm.prank(STRANGER);
        x.poke(A, one(id));
        eq(free(A, 2) - before, 5e15, "5 lots home");
        refuse(err(IExchange.Expired.selector), A, ASK | POST_ONLY, AT, 5);
        run(A, abi.encodePacked(uint8(10), uint40(2000)));
        ask(A, AT, 5);
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- rights

    function test_agent() public {
        vm.warp(900);
        uint32[3] memory anywhere;
        vm.prank(ownerOf(A));
        x.approveAgent(A, AGENT, 1000, 1 | 4, 8_000_000, anywhere);
        vm.prank(AGENT);
        (uint256 id,) = x.place(A, market, BID | POST_ONLY, AT, 5, 0, 0, 0);
        eq(record(id) & type(uint48).max, 5, "5 lots rest");
        deny(IExchange.OverCap.selector, BID | POST_ONLY, 6);
        deny(IExchange.NotAuthorized.selector, BID | IOC, 5);
        vm.warp(1000);
        deny(IExchange.NotAuthorized.selector, BID | POST_ONLY, 5);
    }

    function deny(bytes4 reason, uint8 mode, uint48 lots) private {
        vm.expectRevert(err(reason));
        vm.prank(AGENT);
        x.place(A, market, mode, AT, lots, 0, 0, 0);
    }

    function test_signed() public {
        vm.warp(900);
        uint32 account = 777;
        set(7, account, uint160(vm.addr(KEY)));
        set(8, uint256(account) << 24 | 2, 1e18);
        IExchange.Batch memory b = IExchange.Batch(account, 5, 1000, address(0), bytes.concat(hex"00", placing(ASK | POST_ONLY, AT, 1, 0)));
        bytes memory sig = signature(b);
        vm.prank(STRANGER);
        x.executeSigned(b, vm.addr(KEY), sig);
        eq(record(levelId(market, ASK, AT) << 40) >> 48, account, "it rests");
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        x.executeSigned(b, vm.addr(KEY), sig);
        b.nonce = 6;
        sig = signature(b);
        vm.warp(1001);
        vm.expectRevert(err(IExchange.Expired.selector));
        x.executeSigned(b, vm.addr(KEY), sig);
    }

    function signature(IExchange.Batch memory b) private view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("hifi Exchange"),
                keccak256("1"),
                block.chainid,
                address(x)
            )
        );
        bytes32 kind = keccak256("Batch(uint32 account,uint64 nonce,uint40 deadline,address relayer,bytes ops)");
        bytes32 hash = keccak256(abi.encode(kind, b.account, b.nonce, b.deadline, b.relayer, keccak256(b.ops)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, keccak256(abi.encodePacked(hex"1901", domain, hash)));
        return abi.encodePacked(r, s, v);
    }

    function test_swap() public {
        bid(A, AT, 10);
        base.mint(STRANGER, 55e14);
        vm.prank(STRANGER);
        base.approve(address(x), 55e14);
        uint32[] memory way = new uint32[](1);
        way[0] = market;
        vm.prank(STRANGER);
        uint256 out = x.swapExactIn(address(base), 55e14, way, 0, STRANGER, type(uint40).max, 0);
        eq(out, 7_996_000, "out");
        eq(quote.balanceOf(STRANGER), 7_996_000, "sent");
        eq(base.balanceOf(STRANGER), 5e14, "change");
    }

    function test_conditional() public {
        IConditional stop = IConditional(predeploy("Conditional", address(0xe3), uint160(address(x))));
        uint32[3] memory anywhere;
        vm.prank(ownerOf(A));
        x.approveAgent(A, address(stop), type(uint40).max, 2, 0, anywhere);
        bytes memory ops = bytes.concat(hex"00", take(ASK | IOC, 158_000, 5, type(uint128).max, 0));
        IConditional.Order memory c = IConditional.Order(A, market, 0, 159_000, 10, 0, type(uint40).max, 1, ops);
        vm.deal(ownerOf(A), 1 ether);
        vm.prank(ownerOf(A));
        stop.create{value: 0.001 ether}(c);

        bid(B, 158_990, 9);
        uint256 above = bid(B, AT, 3);
        early(stop, c); // the best bid is above the stop
        cancel(B, above);
        early(stop, c); // 9 lots are fewer than 10
        bid(T, 158_990, 1);
        uint256 before = free(A, 3);
        vm.prank(STRANGER);
        eq(stop.run(c) >> 128 & type(uint48).max, 5, "filled");
        eq(free(A, 3) - before, 7_945_525, "proceeds");
        eq(STRANGER.balance, 0.001 ether, "the tip");
    }

    function early(IConditional stop, IConditional.Order memory c) private {
        vm.expectRevert(IConditional.NotTriggered.selector);
        vm.prank(STRANGER);
        stop.run(c);
    }

    // --------------------------------------------------------------------------------------------------------------------------------------- money

    function test_claim() public {
        uint256 id = ask(A, AT, 5);
        uint256 before = free(A, 3);
        buy(T, AT, 3);
        eq(free(A, 3), before, "nothing yet");
        claim(id);
        eq(free(A, 3) - before, 4_800_480, "3 lots");
        eq(record(id) & type(uint48).max, 2, "2 rest");
        buy(T, AT, 2);
        claim(id);
        eq(free(A, 3) - before, 4_800_480 + 3_200_320, "and 2");
    }

    function test_fees() public {
        uint256 id = ask(A, 160_007, 3);
        (,, uint256 paid) = takes(T, IOC, 160_007, 3);
        eq(paid, 4_800_210 + 2401, "fee up");
        eq(feeDue(T, 3), 1921, "less the rebate");
        uint256 before = free(A, 3);
        claim(id);
        eq(free(A, 3) - before, 4_800_210 + 480, "rebate down");
        set(7, T, uint160(ownerOf(T)) | 4 << 160);
        ask(A, 160_007, 3);
        (,, paid) = takes(T, IOC, 160_007, 3);
        eq(paid, 4_800_210 + 1801, "tier 4");
        set(7, T, uint160(ownerOf(T)) | 15 << 160);
        ask(A, 160_007, 3);
        (,, paid) = takes(T, IOC, 160_007, 3);
        eq(paid, 4_800_210 + 481, "tier 15");
        market = x.createMarket(address(base), address(quote), 10, 1e15, 1, 500, 100, 0, 1);
        id = ask(A, 160_007, 3);
        buy(T, 160_007, 3);
        before = free(A, 3);
        claim(id);
        eq(free(A, 3) - before, 4_799_727, "a maker's fee");
    }

    function test_logs() public {
        ask(A, AT, 3);
        ask(B, AT, 4);
        ask(A, AT, 5);
        vm.recordLogs();
        buy(T, AT, 5);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(logs.length, 2, "two logs");
        uint256 word = uint256(3) << 216 | 1 << 176 | uint256(2) << 128 | 7 << 64;
        isLog(logs[0], IExchange.LevelFill.selector, abi.encode(levelId(market, ASK, AT)), abi.encode(word));
        isLog(logs[1], IExchange.Taken.selector, abi.encode(market, T), abi.encode(5 | 5 << 48 | uint256(IOC) << 160, 8_000_000, 4000));
    }

    function test_holes() public {
        uint256 spent_;
        uint256[20] memory gone;
        for (uint256 holes = 0; holes < 2; ++holes) {
            market = x.createMarket(address(base), address(quote), 10, 1e15, 1, 500, -100, 0, 1);
            ask(A, AT + 1, 1); // the side stays in use
            ask(A, AT, 1);
            for (uint256 i = 0; i < 20 * holes; ++i) {
                gone[i] = ask(B, AT, 1);
                if (i == 3) spent_ = lastGas;
            }
            ask(A, AT, 9);
            for (uint256 i = 0; i < 20 * holes; ++i) {
                cancel(B, gone[i]);
                if (i == 3) require(spent_ + lastGas > 95_000, "what making a hole costs");
            }
            buy(T, AT, 2);
            if (holes == 1) require(lastGas - takeWithoutHoles <= 20 * 1900, "what passing one costs");
            takeWithoutHoles = lastGas;
        }
    }

    function test_quote() public {
        twoAsks();
        (uint48 filled, uint256 amountIn, uint256 out, uint256 fee, uint16 steps) =
            lens.quoteTake(T, market, BID, type(uint24).max, 10, type(uint128).max);
        eq(filled, 10, "filled");
        eq(amountIn, 16_000_500 + 8001, "in");
        eq(fee, 8001, "fee");
        eq(out, 1e16, "out");
        eq(steps, 2, "steps");
    }

    // --------------------------------------------------------------------------------------------------------------------------------- operations

    function placing(uint8 mode, uint24 tick, uint48 lots, uint64 cloid) private view returns (bytes memory) {
        return abi.encodePacked(uint8(1), market, mode, tick, lots, uint32(0), cloid, bytes2(0));
    }

    function take(uint8 mode, uint24 limit, uint48 lots, uint128 maxIn, uint128 minOut) private view returns (bytes memory) {
        return bytes.concat(abi.encodePacked(uint8(2), market, mode, limit, lots, maxIn, minOut), bytes14(0)); // no deadline, no cloid, 256 steps
    }

    function run(uint32 account, bytes memory ops) private returns (uint256[] memory) {
        return run(account, 0, ops);
    }

    /// @return words of the results
    function run(uint32 account, uint8 flags, bytes memory ops) private returns (uint256[] memory words) {
        vm.prank(ownerOf(account));
        bytes memory results = x.execute(account, bytes.concat(bytes1(flags), ops));
        words = new uint256[](results.length / 32);
        for (uint256 i = 0; i < words.length; ++i) {
            assembly ("memory-safe") {
                mstore(add(add(words, 32), mul(i, 32)), mload(add(add(results, 32), mul(i, 32))))
            }
        }
    }
}
