// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Rogue} from "./Hostile.t.sol";

/// @notice What broke other order books, each as a test of its own (docs/contract.md lists them). The name says the bug; the test does what triggered it.
contract BugClassesTest is Batches {
    uint32 constant A = 300;
    uint32 constant B = 301;
    uint32 constant T = 305;
    uint256 constant KEY = 0xa11ce;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        enrol(T);
    }

    /// A cancel behind a partly filled head moved the head, or took its fill.
    function test_aCancelThatCorruptsTheHead() public {
        uint256 head = ask(A, 100, 5);
        uint256 middle = ask(B, 100, 5);
        uint256 tail = ask(A, 100, 5);
        buy(T, 100, 2);
        cancel(B, middle);
        isLevel(ASK, 100, 3, 0, 2, 8);
        cancel(A, tail);
        isLevel(ASK, 100, 3, 0, 2, 3);
        eq(buy(T, 100, 9), 3, "what is left of the head");
        claim(head);
        eq(free(A, 3), FUNDS + 5000, "paid for all five");
    }

    /// An order too small to fill, or a trade that costs nothing, blocked a side: the least order at the least price is bought like any other.
    function test_dustAndZeroCostTradesThatBlockASide() public {
        uint256 dust = ask(A, 1, 1);
        uint256 more = ask(B, 1, 5);
        eq(buy(T, 1, 1), 1, "one lot at tick 1");
        require(feeDue(T, 3) > 0, "no trade is free of its fee");
        // What fills leave may be less than a new order must have, and is taken nevertheless.
        market = createMarket(5, 500, 0);
        ask(A, 100, 9);
        buy(T, 100, 5);
        ask(B, 100, 5);
        (, uint48 filled) = place(T, BID | FOK, 100, 9);
        eq(filled, 9, "the dust of 4 stands in nobody's way");
        claim(dust);
        claim(more);
        eq(free(A, 3), FUNDS + 10, "paid");
    }

    /// Orders that live a second, again and again, made others pay for walking past them.
    function test_spamOfShortLivedOrders() public {
        uint32 strict = x.createMarket(address(base), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 500, 0, 30, 1);
        refuse(err(IExchange.Expired.selector), A, strict, ASK | POST_ONLY, 100, 1, uint32(block.timestamp + 29), 0);
        for (uint256 i = 0; i < 100; ++i) {
            placeUntil(A, ASK | POST_ONLY, 100, 1, uint32(block.timestamp + 1));
        }
        ask(B, 100, 1);
        vm.warp(block.timestamp + 1);
        // A taker's steps bound what it walks past; whoever prunes clears the way for all.
        (, uint48 filled) = place(T, market, BID | IOC, 100, 1, 40);
        eq(filled, 0, "out of steps");
        eq(level(ASK, 100).head, 40, "but they are gone for good");
        x.prune(uint64(levelId(market, ASK, 100)), 0);
        (, filled) = place(T, market, BID | IOC, 100, 1, 1);
        eq(filled, 1, "one step");
    }

    /// Fees rounded once a level, or once an order, added up to more than the fee.
    function test_doubleRounding() public {
        for (uint24 tick = 1; tick <= 9; ++tick) {
            ask(A, tick, 1);
            ask(B, tick, 1);
        }
        buy(T, 9, 17); // 2 x (10 + .. + 80) + 90 = 810 at 500 ppm: 0.405
        eq(feeDue(T, 3), 1, "rounded up once");
        eq(free(T, 3), FUNDS - 811, "and paid once");
        // A maker's claims in parts come to what one claim pays.
        market = createMarket(1, 500, 333);
        uint256 parts = ask(A, 7, 10);
        uint256 whole = ask(B, 7, 10);
        (uint256 a, uint256 b) = (free(A, 3), free(B, 3));
        for (uint256 i = 0; i < 10; ++i) {
            buy(T, 7, 1);
            claim(parts);
        }
        buy(T, 7, 10);
        claim(whole);
        eq(free(A, 3) - a, free(B, 3) - b, "alike");
        eq(feeDue(A, 3), feeDue(B, 3), "fees too");
    }

    /// The least proceeds were compared with the amount before the fee.
    function test_slippageCheckedBeforeFees() public {
        bid(A, 100, 10);
        // 10,000 less a fee of 5.
        Take memory t = Take(market, ASK | IOC, 0, 10, ALL_FREE, 9996, 0, 0, 0);
        refuseBatch(abi.encodeWithSelector(IExchange.Slippage.selector, 9995), T, bytes.concat(ops(false), opTake(t)));
        t.minOut = 9995;
        eq(uint128(word(run(T, bytes.concat(ops(false), opTake(t))), 0)), 9995, "net of the fee");
        // And the most a buyer pays includes it: 10 lots cost 10,000 and 5.
        ask(A, 100, 10);
        t = Take(market, BID | IOC, 200, 10, 10_004, 0, 0, 0, 0);
        uint256 result = word(run(T, bytes.concat(ops(false), opTake(t))), 0);
        eq(result >> 128 & type(uint48).max, 9, "nine fit");
        eq(result >> 176, 4, "the budget ended it");
    }

    /// Routers pulled from whoever had approved them. The exchange pulls from the sender alone, also behind a permit that does nothing.
    function test_approvalsStolenThroughRouters() public {
        address victim = address(0xdead1);
        base.mint(victim, 5000);
        vm.prank(victim);
        base.approve(address(x), type(uint256).max);
        ask(A, 100, 5);
        bid(A, 90, 5);
        address thief = ownerOf(B);
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(thief);
        x.deposit(B, address(base), 5000, none());
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(thief);
        x.depositPermit(B, address(base), 5000, type(uint256).max, 27, bytes32(uint256(1)), bytes32(uint256(1)));
        uint32[] memory way = new uint32[](1);
        way[0] = market;
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(thief);
        x.swapExactIn(address(base), 5000, way, 0, thief, type(uint40).max, 0);
        eq(base.balanceOf(victim), 5000, "untouched");
    }

    /// Balances were written after the token had been called: a second withdrawal from inside the first paid twice.
    function test_reservesUpdatedAfterATransfer() public {
        Rogue rogue = rogueWith(A, 1000);
        bytes memory all = abi.encodeCall(IExchange.withdraw, (A, address(rogue), type(uint256).max, address(0x666), none()));
        rogue.aim(all);
        rogue.play(Rogue.Trick.Reenter);
        rogue.act(all);
        require(rogue.caught(), "the second is refused");
        eq(rogue.balanceOf(address(0x666)), 1000, "paid once");
        eq(free(A, 4), 0, "and debited");
    }

    /// The amount asked for was credited, not what came.
    function test_feeOnTransferCredit() public {
        Rogue rogue = rogueWith(A, 1000);
        rogue.play(Rogue.Trick.FeeIn);
        rogue.act(abi.encodeCall(IExchange.deposit, (A, address(rogue), 1000, none())));
        eq(free(A, 4), 1990, "10 were the token's");
        eq(rogue.balanceOf(address(x)), 1990, "the vault has them all");
    }

    /// Orders and exits while a token has control.
    function test_reentry() public {
        Rogue rogue = rogueWith(A, 1000);
        bytes[3] memory calls = [
            abi.encodeCall(IExchange.execute, (A, bytes.concat(ops(true), opPlace(ASK | POST_ONLY, 100, 1)))),
            abi.encodeCall(IExchange.withdraw, (A, address(quote), 1, address(0x666), none())),
            abi.encodeCall(IExchange.claim, (none()))
        ];
        rogue.play(Rogue.Trick.Reenter);
        for (uint256 i = 0; i < 3; ++i) {
            rogue.aim(calls[i]);
            rogue.act(abi.encodeCall(IExchange.deposit, (A, address(rogue), 1, none())));
            require(rogue.caught(), "Reentered");
        }
        // The way back in for the exchange's own operations is shut for everybody else, whatever they send.
        (bool ok, bytes memory why) = address(x).call(new bytes(18 * 32));
        require(!ok && bytes4(why) == IExchange.NotAuthorized.selector, "nobody else's");
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.addToken(address(x));
    }

    /// An order that had expired, in a market that was paused or delisted, could not be taken back.
    function test_ordersUncancellableWhenExpiredPausedOrDelisted() public {
        uint256[4] memory ids;
        for (uint256 i = 0; i < 4; ++i) {
            ids[i] = placeUntil(A, ASK | POST_ONLY, 100, 5, uint32(block.timestamp + 10));
        }
        vm.warp(block.timestamp + 10);
        cancel(A, ids[0]);
        halt(2);
        cancel(A, ids[1]);
        halt(3);
        cancel(A, ids[2]);
        halt(4);
        cancel(A, ids[3]);
        eq(free(A, 2), FUNDS, "all of it");
    }

    /// Fills waited in an event queue of bounded length; when it was full, nobody traded. Here a fill leaves no work behind.
    function test_fullCrankQueues() public {
        uint256[] memory ids = new uint256[](300);
        for (uint256 i = 0; i < 300; ++i) {
            ids[i] = ask(A, 100, 1);
        }
        eq(buy(T, 100, 300), 300, "three hundred makers, none paid yet");
        ask(B, 100, 1);
        eq(buy(T, 100, 1), 1, "the book goes on");
        x.claim(ids);
        eq(free(A, 3), FUNDS + 300_000, "paid when they ask");
    }

    /// An id named another order later: a late cancel took the wrong one.
    function test_idReuse() public {
        uint256 old = ask(A, 100, 5);
        cancel(A, old);
        uint256 fresh = ask(A, 100, 5);
        require(fresh != old, "never again");
        vm.expectRevert(err(IExchange.UnknownOrder.selector));
        vm.prank(ownerOf(A));
        x.cancel(A, old);
        buy(T, 100, 5);
        require(ask(A, 100, 5) != fresh, "not after a sweep either");
        eq(record(fresh) & type(uint48).max, 5, "the filled one waits for its claim");
    }

    /// A full book dropped its worst orders, of the wrong side too. Here a level that is full refuses the newcomer, and nobody goes.
    function test_wrongSideEviction() public {
        uint256 honest = ask(A, 100, 5);
        uint256 other = bid(A, 50, 5);
        set(11, levelId(market, ASK, 100), uint256(type(uint40).max) << 216 | 5 << 64);
        refuse(err(IExchange.LevelFull.selector), B, ASK | POST_ONLY, 100, 5);
        eq(record(honest) & type(uint48).max, 5, "it rests");
        eq(record(other) & type(uint48).max, 5, "so does the other side");
        eq(buy(T, 100, 5), 5, "and is filled");
    }

    /// Tick or lot sizes were changed while orders rested at the old ones. There is no such call: only the status of a market's word can change.
    function test_unitsChangedUnderRestingOrders() public {
        ask(A, 100, 5);
        uint256 cfg = get(9, market) & ~(uint256(0xff) << 240);
        for (uint8 status = 2; status <= 4; ++status) {
            halt(status);
            eq(get(9, market) & ~(uint256(0xff) << 240), cfg, "units and fees stay");
        }
        uint32 again = createMarket(7, 900, 100);
        require(again != market, "other units are another market");
        eq(get(9, market) & ~(uint256(0xff) << 240), cfg, "units and fees stay");
    }

    /// A pause forgot a function: one way to trade stayed open, or one exit was shut. Every entry point, in every status.
    function test_aPauseThatForgetsAFunction() public {
        uint32[] memory way = new uint32[](1);
        way[0] = market;
        base.mint(ownerOf(T), 10_000);
        vm.prank(ownerOf(T));
        base.approve(address(x), 10_000);
        uint256 id = ask(A, 100, 50);
        bid(A, 50, 50);
        for (uint8 status = 2; status <= 4; ++status) {
            halt(status);
            bytes memory shut = abi.encodeWithSelector(IExchange.NotLive.selector, status);
            bytes4 s = IExchange.NotLive.selector;
            refuse(shut, T, BID | GTC, 10, 1);
            refuse(shut, T, BID | IOC, 100, 1);
            refuse(shut, T, BID | FOK, 100, 1);
            isRefused(run(T, bytes.concat(ops(true), opTake(Take(market, BID | IOC, 100, 1, ALL_FREE, 0, 0, 0, 0)))), 0, s);
            isRefused(run(A, bytes.concat(ops(true), opReplace(id, ASK | GTC, 101, 1, 0, 0, 0))), 0, s);
            vm.expectRevert(shut);
            vm.prank(ownerOf(T));
            x.swapExactIn(address(base), 1000, way, 0, ownerOf(T), type(uint40).max, 0);
            if (status > 2) {
                refuse(shut, T, BID | POST_ONLY, 10, 1);
                refuse(shut, T, BID | SLIDE, 10, 1);
                isRefused(run(T, bytes.concat(ops(true), opLadder(market, BID | POST_ONLY, 10, 1, 0, 0, rungs(1, 1)))), 0, s);
                isRefused(run(A, bytes.concat(ops(true), opReplace(id, ASK | POST_ONLY, 101, 1, 0, 0, 0))), 0, s);
            }
            exits(id, status);
        }
    }

    function exits(uint256 id, uint8 status) private {
        reduce(A, id, 50 - status);
        claim(id);
        eq(word(run(A, bytes.concat(ops(false), opCancelUpTo(market, ASK, 10, 0), opSchedule(0))), 0), 0, "up to");
        uint256 extra = levelId(market, BID, 50) << 40;
        reduce(A, extra, 50 - status);
        vm.prank(ownerOf(A));
        x.withdraw(A, address(base), 1, ownerOf(A), none());
        fund(A, base, 1);
        x.prune(uint64(levelId(market, ASK, 100)), 0);
        uint32[] memory accounts = new uint32[](1);
        accounts[0] = T;
        x.sweepFees(3, accounts);
    }

    /// Trading with oneself earned more rebate than the fee cost.
    function test_washRebates() public {
        market = createMarket(1, 500, -500);
        for (uint24 tick = 1; tick < 400; tick += 37) {
            uint256 id = ask(A, tick, 3);
            buy(A, tick, 3);
            claim(id);
            id = bid(A, tick, 3);
            sell(A, tick, 3);
            claim(id);
        }
        eq(free(A, 2), FUNDS, "base went round");
        require(free(A, 3) <= FUNDS, "nothing is earned");
        eq(free(A, 3) + feeDue(A, 3), FUNDS, "nothing appears");
        // A tier lowers what the taker pays, never below what the maker gets.
        set(7, A, uint160(ownerOf(A)) | uint256(15) << 160);
        uint256 last = ask(A, 10_000, 10);
        buy(A, 10_000, 10);
        claim(last);
        require(free(A, 3) <= FUNDS, "nothing is earned with a tier");
    }

    /// The sum of a level ran over, and its orders could be had for little.
    function test_overflowOfLevelSums() public {
        uint256 id = ask(A, 100, 5);
        uint256 word_ = get(11, levelId(market, ASK, 100));
        set(11, levelId(market, ASK, 100), word_ + (uint256(type(uint64).max - 9) << 64));
        refuse(err(IExchange.LevelFull.selector), B, ASK | POST_ONLY, 100, 5);
        ask(B, 100, 4);
        eq(level(ASK, 100).open, type(uint64).max, "to the brim");
        refuse(err(IExchange.LevelFull.selector), B, ASK | POST_ONLY, 100, 1);
        cancel(A, id);
        eq(level(ASK, 100).open, type(uint64).max - 5, "and back");
    }

    /// A signature was used twice, on another chain, or after its time.
    function test_replayedSignatures() public {
        set(7, A, uint160(vm.addr(KEY)));
        bytes memory one_ = bytes.concat(ops(false), opPlace(ASK | POST_ONLY, 100, 1));
        IExchange.Batch memory b = IExchange.Batch(A, 7, uint40(block.timestamp + 5), address(0), one_);
        bytes memory sig = signed(b);
        uint256 start = vm.snapshotState();
        x.executeSigned(b, vm.addr(KEY), sig);
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        x.executeSigned(b, vm.addr(KEY), sig);
        vm.revertToState(start);
        vm.chainId(31_338);
        vm.expectRevert(err(IExchange.BadSignature.selector));
        x.executeSigned(b, vm.addr(KEY), sig);
        vm.chainId(31_337);
        IExchange.Batch memory other = b;
        other.nonce = 8;
        vm.expectRevert(err(IExchange.BadSignature.selector));
        x.executeSigned(other, vm.addr(KEY), sig);
        other.nonce = 7;
        vm.warp(block.timestamp + 6);
        vm.expectRevert(err(IExchange.Expired.selector));
        x.executeSigned(b, vm.addr(KEY), sig);
    }

    /// @dev EIP-712, spelled out here on its own.
    function signed(IExchange.Batch memory b) private view returns (bytes memory) {
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
        bytes32 content = keccak256(abi.encode(kind, b.account, b.nonce, b.deadline, b.relayer, keccak256(b.ops)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, keccak256(abi.encodePacked(hex"1901", domain, content)));
        return abi.encodePacked(r, s, v);
    }

    /// @dev A token of tricks that owns the account and has put some of itself there.
    function rogueWith(uint32 account, uint256 atoms) private returns (Rogue rogue) {
        rogue = new Rogue(x);
        x.addToken(address(rogue));
        set(7, account, uint160(address(rogue)));
        set(6, uint160(address(rogue)), account);
        rogue.act(abi.encodeCall(IExchange.deposit, (account, address(rogue), atoms, none())));
    }
}
