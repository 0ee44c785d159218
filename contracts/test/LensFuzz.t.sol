// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {ILens} from "../src/interfaces/ILens.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice The lens against the exchange on random books: what it says an order would do is what the order then does, refusals with their arguments included;
/// a quote is what the take then gives; depth is the sum of the orders that are alive, counted here from the records.
/// Method: four traders of whom one is poor, an agent with narrow rights, two markets (one with a rebate), ticks at the ends of bitmap words, and time that
/// passes. Every field of an order is now and then out of bounds.
contract LensFuzzTest is Base {
    uint32 private constant FIRST = 300;
    uint32 private constant POOR = 303;
    address private constant AGENT = address(0xa6e47);
    uint256 private constant ORDERS = 40;

    uint256 private seed;
    uint256[] private ids;
    mapping(bytes4 => uint256) private seen;

    function setUp() public override {
        super.setUp();
        for (uint32 i = 0; i < 4; ++i) {
            set(7, FIRST + i, uint160(ownerOf(FIRST + i)) | uint256(i * 5) << 160);
            set(6, uint160(ownerOf(FIRST + i)), FIRST + i);
            fund(FIRST + i, base, FIRST + i == POOR ? 9000 : 1e12);
            fund(FIRST + i, quote, FIRST + i == POOR ? 70_000 : 1e12);
        }
        x.createMarket(address(base), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 2, 700, -650, 9, 1);
        vm.warp(1_000_000);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- chance

    function roll(uint256 sides) private returns (uint256) {
        seed = uint256(keccak256(abi.encode(seed)));
        return seed % sides;
    }

    function tickAt(uint256 i) private pure returns (uint24) {
        uint24[10] memory ticks = [uint24(3), 4, 254, 255, 256, 257, 258, 65_535, 65_536, 70_000];
        return ticks[i];
    }

    function wish() private returns (ILens.Wish memory w) {
        w.account = FIRST + uint32(roll(4));
        w.sender = ownerOf(w.account);
        if (roll(12) == 0) w.sender = AGENT;
        if (roll(40) == 0) w.sender = ownerOf(FIRST + uint32(roll(5)));
        if (roll(10) == 0) w.account = roll(3) == 0 ? 1 : 0;
        w.market = 1 + uint32(roll(roll(30) == 0 ? 3 : 2));
        uint256 side = roll(2);
        uint256 tif = roll(8) > 4 ? 1 + roll(2) : roll(5);
        w.mode = uint8(side | tif << 1);
        if (roll(2) == 0) w.mode |= uint8(roll(5) << 4);
        if (roll(4) == 0) (w.mode, w.cloid) = (w.mode | 128, uint64(1 + roll(12)));
        if (roll(30) == 0) w.mode = uint8(roll(256));
        bool over = tif == 0 || tif > 2 || roll(5) == 0;
        uint256 nth = roll(6);
        w.tick = tickAt((side == BID) == over ? nth + 4 : nth);
        if (roll(40) == 0) w.tick = roll(2) == 0 ? 0 : uint24(roll(1 << 24));
        w.lots = uint48(2 + roll(roll(2) == 0 ? 8 : 30));
        if (roll(40) == 0) w.lots = [0, 1, uint48(1 << 47) - 1, uint48(1 << 47)][roll(4)];
        if (roll(3) == 0) w.expiry = uint32(block.timestamp + roll(60));
        w.maxSteps = roll(4) == 0 ? uint16(1 + roll(6)) : 0;
    }

    /// @dev What traders and operators do between orders.
    function otherwise() private {
        uint256 what = roll(12);
        if (what == 0) vm.warp(block.timestamp + roll(40));
        if (what == 1) x.setStatus(1, uint8(1 + roll(3)));
        if (what == 2) x.setStatus(1, 1);
        if (what == 3) set(13, uint256(FIRST + roll(4)) << 160 | uint160(AGENT), grant());
        if (what == 4) set(15, uint256(FIRST + roll(4)) << 64 | (1 + roll(12)), 1 << 254 | (block.timestamp + roll(20) - 5));
        if (what == 5) deadman(FIRST + uint32(roll(4)));
        if (what > 8 && ids.length != 0) {
            uint256 id = ids[roll(ids.length)];
            uint32 account = uint32(record(id) >> 48);
            if (account == 0) return;
            vm.prank(ownerOf(account));
            x.cancel(account, id);
        }
    }

    function grant() private returns (uint256 word) {
        word = block.timestamp + roll(50) | (1 + roll(3)) << 40;
        if (roll(2) == 0) word |= roll(30_000) << 56;
        if (roll(2) == 0) word |= (1 + roll(2)) << (152 + 32 * roll(3));
    }

    function deadman(uint32 account) private {
        uint256 word = get(7, account) & ~(uint256(type(uint40).max) << 176);
        set(7, account, roll(3) == 0 ? word | (block.timestamp + roll(30) - 5) << 176 : word);
    }

    // --------------------------------------------------------------------------------------------------------------------------------------- place

    /// A stream of orders, each foretold by both views.
    /// forge-config: full.fuzz.runs = 2000
    function testFuzz_canPlace_isWhatPlaceThenSays(uint256 seed_) public {
        seed = seed_;
        for (uint256 i = 0; i < ORDERS; ++i) {
            order(wish());
            otherwise();
        }
    }

    /// The same for as long as it takes to meet every refusal of `place`.
    function test_canPlace_meetsEveryRefusal() public {
        for (seed = 1; met() < 15; ++seed) {
            require(seed < 1 << 64 || ids.length < 20_000, "a refusal was never met");
            for (uint256 i = 0; i < 400; ++i) {
                order(wish());
                otherwise();
            }
        }
    }

    function met() private view returns (uint256 count) {
        bytes4[15] memory all = [
            IExchange.NoMarket.selector,
            IExchange.NotAuthorized.selector,
            IExchange.OverCap.selector,
            IExchange.BadMode.selector,
            IExchange.NotLive.selector,
            IExchange.BadTick.selector,
            IExchange.BadLots.selector,
            IExchange.Expired.selector,
            IExchange.CloidInUse.selector,
            IExchange.PreCancelled.selector,
            IExchange.WouldCross.selector,
            IExchange.Insufficient.selector,
            IExchange.NotFilled.selector,
            IExchange.StepLimit.selector,
            bytes4(0)
        ];
        for (uint256 i = 0; i < all.length; ++i) {
            if (seen[all[i]] != 0) ++count;
        }
    }

    function order(ILens.Wish memory w) private {
        vm.prank(w.sender);
        bytes4 said = lens.canPlace(w.account, w.market, w.mode, w.tick, w.lots, w.expiry, w.cloid, w.maxSteps);
        (bool foretold, bytes memory preview) = address(lens).staticcall(abi.encodeCall(ILens.previewPlace, (w)));
        vm.prank(w.sender);
        (bool ok, bytes memory answer) = address(x).call(
            abi.encodeCall(IExchange.place, (w.account, w.market, w.mode, w.tick, w.lots, w.expiry, w.cloid, w.maxSteps))
        );
        require(said == (ok ? bytes4(0) : bytes4(answer)), string.concat("canPlace, mode ", vm.toString(w.mode)));
        require(foretold == ok, "previewPlace");
        ++seen[said];
        if (ok) same(preview, answer);
        else require(keccak256(preview) == keccak256(answer), "arguments of the error");
    }

    function same(bytes memory preview, bytes memory answer) private {
        (uint256 id, uint48 filled) = abi.decode(answer, (uint256, uint48));
        (uint24 tick, uint48 rests, uint48 foretold) = abi.decode(preview, (uint24, uint48, uint48));
        eq(foretold, filled, "filled");
        if (id == 0) return eq(rests, 0, "nothing rests");
        eq(tick, id >> 40 & 0xffffff, "where it rests");
        eq(rests, record(id) & type(uint48).max, "how much");
        ids.push(id);
    }

    // ---------------------------------------------------------------------------------------------------------------------------------------- take

    /// A quote, then the same take, with as many steps as the quote says.
    /// forge-config: full.fuzz.runs = 2000
    function testFuzz_quoteTake_isWhatTheTakeThenGives(uint256 seed_) public {
        fill(seed_);
        x.setStatus(1, 1);
        for (uint32 i = 0; i < 4; ++i) {
            set(7, FIRST + i, get(7, FIRST + i) & ~(uint256(type(uint40).max) << 176));
        }
        for (uint256 i = 0; i < 6; ++i) {
            taken(FIRST + uint32(roll(3)), 1 + uint32(roll(2)), uint8(roll(2)), tickAt(roll(10)), uint48(2 + roll(120)));
            budgeted(FIRST + uint32(roll(4)), 1 + uint32(roll(2)), uint8(roll(2)), uint128(roll(3) == 0 ? type(uint128).max : roll(200_000)));
        }
    }

    /// The same for a market order with a budget; 2^128-1 is all that is free.
    function budgeted(uint32 account, uint32 market_, uint8 side, uint128 maxIn) private {
        uint24 limit = side == BID ? type(uint24).max : 0;
        (uint48 filled, uint256 amountIn, uint256 out,, uint16 steps) = lens.quoteTake(account, market_, side, limit, 1000, maxIn);
        uint256 held = free(account, side == BID ? 3 : 2);
        require(amountIn <= (maxIn == type(uint128).max ? held : maxIn), "within the budget");
        if (maxIn > held && maxIn != type(uint128).max) return; // the exchange would refuse it, the quote does not look
        bytes memory ops = abi.encodePacked(uint8(0), uint8(2), market_, side | IOC, limit, uint48(1000), maxIn);
        vm.prank(ownerOf(account));
        bytes memory results = x.execute(account, bytes.concat(ops, bytes16(0), bytes12(0), bytes2(steps)));
        uint256 word = uint256(bytes32(results));
        eq(word >> 128 & type(uint48).max, filled, "filled");
        eq(word & type(uint128).max, out, "out");
        eq(held - free(account, side == BID ? 3 : 2), amountIn, "in");
    }

    function taken(uint32 account, uint32 market_, uint8 side, uint24 limit, uint48 lots) private {
        (uint48 filled, uint256 amountIn, uint256 out, uint256 fee, uint16 steps) =
            lens.quoteTake(account, market_, side, limit, lots, type(uint128).max - 1);
        (uint256 held, uint256 lacked) = (free(account, side == BID ? 3 : 2), free(account, side == BID ? 2 : 3));
        vm.recordLogs();
        vm.prank(ownerOf(account));
        (, uint48 got) = x.place(account, market_, side | IOC, limit, lots, 0, 0, steps);
        eq(got, filled, "filled");
        eq(held - free(account, side == BID ? 3 : 2), amountIn, "in");
        eq(free(account, side == BID ? 2 : 3) - lacked, out, "out");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        (,, uint256 paid) = abi.decode(logs[logs.length - 1].data, (uint256, uint256, uint256));
        eq(paid, fee, "fee");
    }

    // --------------------------------------------------------------------------------------------------------------------------------------- books

    /// Every level of depth is the sum of the records alive; none is left out; best is its first.
    /// forge-config: full.fuzz.runs = 2000
    function testFuzz_depth_isTheSumOfLiveOrders(uint256 seed_) public {
        fill(seed_);
        vm.warp(block.timestamp + roll(30));
        for (uint32 m = 1; m <= 2; ++m) {
            (uint24 bid_, uint24 ask_) = lens.best(m);
            eq(check(m, BID), bid_, "best bid");
            eq(check(m, ASK), ask_, "best ask");
        }
    }

    function check(uint32 market_, uint8 side) private view returns (uint256 best) {
        uint256[] memory levels = lens.depth(market_, side, 0, 100);
        uint256 n;
        for (uint256 i = 0; i < 10; ++i) {
            uint24 tick = tickAt(side == BID ? 9 - i : i);
            (uint256 open, uint256 orders) = alive(market_, side, tick);
            while (n < levels.length && stray(uint24(levels[n]))) ++n; // an order at a random tick
            if (open == 0) continue;
            eq(levels[n] & 0xffffff, tick, "which level");
            eq(levels[n] >> 24 & type(uint64).max, open, "open");
            eq(lens.orders(uint64(levelId(market_, side, tick)), 0, 1000).length, orders, "orders");
            ++n;
        }
        while (n < levels.length && stray(uint24(levels[n]))) ++n;
        eq(n, levels.length, "no other level");
        return levels.length == 0 ? 0 : levels[0] & 0xffffff;
    }

    function stray(uint24 tick) private pure returns (bool) {
        for (uint256 i = 0; i < 10; ++i) {
            if (tickAt(i) == tick) return false;
        }
        return true;
    }

    function alive(uint32 market_, uint8 side, uint24 tick) private view returns (uint256 open, uint256 orders) {
        uint256 id = levelId(market_, side, tick);
        Level memory l = levelOf(get(11, id));
        for (uint256 i = l.head; i < l.tail; ++i) {
            uint256 r = record(id << 40 | i);
            uint256 expiry = r >> 80 & type(uint32).max;
            if (r == 0 || (expiry != 0 && expiry <= block.timestamp)) continue;
            open += (r & type(uint48).max) - (i == l.head ? l.headFilled : 0);
            ++orders;
        }
    }

    /// What balanceOf promises is what a claim then pays; ids twice, of others and of nobody among them.
    /// forge-config: full.fuzz.runs = 2000
    function testFuzz_balanceOf_isWhatAClaimThenPays(uint256 seed_) public {
        fill(seed_);
        uint256[] memory some = new uint256[](ids.length + 3);
        for (uint256 i = 0; i < some.length; ++i) {
            some[i] = i < ids.length ? ids[i] : ids.length == 0 ? roll(1 << 100) : ids[roll(ids.length)];
        }
        uint256[8] memory before;
        for (uint32 i = 0; i < 8; ++i) {
            (uint256 free_,, uint256 claimable) = lens.balanceOf(FIRST + i / 2, address(i % 2 == 0 ? base : quote), some);
            before[i] = free_ + claimable;
        }
        x.claim(some);
        for (uint32 i = 0; i < 8; ++i) {
            eq(free(FIRST + i / 2, uint24(2 + i % 2)), before[i], "free after the claim");
        }
    }

    function fill(uint256 seed_) private {
        seed = seed_;
        for (uint256 i = 0; i < ORDERS; ++i) {
            ILens.Wish memory w = wish();
            vm.prank(w.sender);
            (bool ok, bytes memory answer) = address(x).call(
                abi.encodeCall(IExchange.place, (w.account, w.market, w.mode, w.tick, w.lots, w.expiry, w.cloid, w.maxSteps))
            );
            if (ok && uint256(bytes32(answer)) != 0) ids.push(uint256(bytes32(answer)));
            otherwise();
        }
    }
}
