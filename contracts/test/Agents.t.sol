// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Agents: what an owner hands out, and every way beyond it. A is the account, BOT its agent.
contract AgentsTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;
    address constant BOT = address(0xb07);

    uint16 constant PLACE = 1;
    uint16 constant TAKE = 2;
    uint16 constant CANCEL = 4;
    uint16 constant WITHDRAW = 8;

    uint32 private second; // a market more

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        second = createMarket(1, 500, 0);
        vm.warp(1000);
    }

    function approve(uint40 expiry, uint16 perms, uint96 cap, uint32 only) internal {
        vm.prank(ownerOf(A));
        x.approveAgent(A, BOT, expiry, perms, cap, [only, 0, 0]);
    }

    function botPlaces(bytes4 reason, uint32 market_, uint8 mode, uint24 tick, uint48 lots) internal returns (uint256 id) {
        if (reason != 0) vm.expectRevert(err(reason));
        vm.prank(BOT);
        (id,) = x.place(A, market_, mode, tick, lots, 0, 0, 0);
    }

    function botCancels(bytes4 reason, uint256 id) internal {
        if (reason != 0) vm.expectRevert(err(reason));
        vm.prank(BOT);
        x.cancel(A, id);
    }

    // ----------------------------------------------------------------------------------------------------------------------------------- approval

    function testApproveAgentStoresAndLogsTheWord() public {
        vm.recordLogs();
        vm.prank(ownerOf(A));
        x.approveAgent(0, BOT, 2000, 0x8007, 77, [uint32(1), 0xfffffffe, 3]);
        uint256 word = 2000 | 0x8007 << 40 | 77 << 56 | 1 << 152 | uint256(0xfffffffe) << 184 | uint256(3) << 216;
        eq(get(13, uint256(A) << 160 | uint160(BOT)), word, "agents");
        isLog(vm.getRecordedLogs()[0], IExchange.Agent.selector, abi.encode(A, BOT), abi.encode(word));
        vm.recordLogs();
        vm.prank(ownerOf(A));
        x.approveAgent(A, BOT, 0, 7, 77, [uint32(1), 2, 3]);
        eq(get(13, uint256(A) << 160 | uint160(BOT)), 0, "revoked: no word");
        isLog(vm.getRecordedLogs()[0], IExchange.Agent.selector, abi.encode(A, BOT), abi.encode(0));
    }

    function testOnlyTheOwnerApproves() public {
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(B));
        x.approveAgent(A, BOT, 2000, 15, 0, [uint32(0), 0, 0]);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        x.approveAgent(4711, BOT, 2000, 15, 0, [uint32(0), 0, 0]); // nobody's account
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        x.approveAgent(0, BOT, 2000, 15, 0, [uint32(0), 0, 0]); // no account
        // An agent with every right cannot make another, nor prolong itself.
        approve(2000, 0xffff, 0, 0);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(BOT);
        x.approveAgent(A, address(0xb08), 2000, 15, 0, [uint32(0), 0, 0]);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(BOT);
        x.approveAgent(A, BOT, 3000, 15, 0, [uint32(0), 0, 0]);
    }

    function testAgentOfOneAccountIsNoAgentOfAnother() public {
        approve(2000, 15, 0, 0);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(BOT);
        x.place(B, market, ASK | POST_ONLY, 100, 5, 0, 0, 0);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(BOT);
        x.place(0, market, ASK | POST_ONLY, 100, 5, 0, 0, 0); // account 0: its own, and it has none
        uint256 id = ask(B, 100, 5);
        botCancels(IExchange.NotAuthorized.selector, id); // as agent of A, an order of B
    }

    function testTheFeeCollectorHasAgentsOfTheOwnerRole() public {
        x.approveAgent(1, BOT, 2000, WITHDRAW, 0, [uint32(0), 0, 0]);
        set(8, 1 << 24 | 2, 9);
        // Its acct word names no owner, so there is nowhere an agent could send to.
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(BOT);
        x.withdraw(1, address(base), 9, address(this), none());
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- rights

    function testEachRightIsNeededAndEnough() public {
        ask(B, 200, 50);
        bid(B, 50, 50);
        uint256 own = ask(A, 100, 50);
        for (uint16 perms = 0; perms < 16; ++perms) {
            approve(2000, perms, 0, 0);
            uint256 start = vm.snapshotState();
            bytes4 none_ = bytes4(0);
            bytes4 no = IExchange.NotAuthorized.selector;
            bytes4 places = perms & PLACE != 0 ? none_ : no;
            bytes4 takes = perms & TAKE != 0 ? none_ : no;
            bytes4 cancels = perms & CANCEL != 0 ? none_ : no;
            botPlaces(places, market, ASK | POST_ONLY, 100, 5);
            botPlaces(takes, market, BID | IOC, 99, 5);
            botPlaces(takes, market, BID | FOK, 100, 1);
            botPlaces(takes, market, BID, 60, 1);
            if (cancels != 0) vm.expectRevert(err(cancels));
            vm.prank(BOT);
            x.reduce(A, own, 40);
            botCancels(cancels, own);
            if (perms & WITHDRAW == 0) vm.expectRevert(err(no));
            vm.prank(BOT);
            x.withdraw(A, address(base), 1, ownerOf(A), none());
            vm.revertToState(start);
        }
    }

    function testAgentExpires() public {
        approve(1001, 15, 0, 0);
        uint256 id = botPlaces(0, market, ASK | POST_ONLY, 100, 5);
        vm.warp(1001); // living while now < expiry
        botPlaces(IExchange.NotAuthorized.selector, market, ASK | POST_ONLY, 100, 5);
        botCancels(IExchange.NotAuthorized.selector, id);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(BOT);
        x.withdraw(A, address(base), 1, ownerOf(A), none());
    }

    function testRevokedAgentIsOut() public {
        approve(2000, 15, 0, 0);
        botPlaces(0, market, ASK | POST_ONLY, 100, 5);
        approve(0, 15, 0, 0);
        botPlaces(IExchange.NotAuthorized.selector, market, ASK | POST_ONLY, 100, 5);
    }

    function testAgentKeepsToItsMarkets() public {
        approve(2000, 15, 0, second);
        botPlaces(IExchange.NotAuthorized.selector, market, ASK | POST_ONLY, 100, 5);
        botPlaces(IExchange.NoMarket.selector, 99, ASK | POST_ONLY, 100, 5); // comes first
        uint256 id = botPlaces(0, second, ASK | POST_ONLY, 100, 5);
        botCancels(0, id);
        uint256 own = ask(A, 100, 5);
        botCancels(IExchange.NotAuthorized.selector, own);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(BOT);
        x.reduce(A, own, 1);
        botCancels(IExchange.NotAuthorized.selector, own + 1); // before one learns whether the order exists
        // Each of the three places names a market.
        for (uint256 i = 0; i < 3; ++i) {
            uint32[3] memory markets;
            markets[i] = market;
            vm.prank(ownerOf(A));
            x.approveAgent(A, BOT, 2000, 15, 0, markets);
            botPlaces(0, market, ASK | POST_ONLY, 100, 5);
            botPlaces(IExchange.NotAuthorized.selector, second, ASK | POST_ONLY, 100, 5);
        }
    }

    function testAgentKeepsToItsCap() public {
        approve(2000, 15, 100 * 10 * 5, 0); // five lots at 100
        botPlaces(0, market, ASK | POST_ONLY, 100, 5);
        botPlaces(IExchange.OverCap.selector, market, ASK | POST_ONLY, 100, 6);
        botPlaces(IExchange.OverCap.selector, market, ASK | POST_ONLY, 101, 5);
        botPlaces(IExchange.OverCap.selector, market, BID | IOC, 101, 5);
        botPlaces(IExchange.OverCap.selector, market, BID | POST_ONLY, type(uint24).max, type(uint48).max); // the product does not wrap
        botPlaces(0, market, BID | IOC, 100, 5);
        approve(2000, 15, 4999, 0); // an atom less
        botPlaces(IExchange.OverCap.selector, market, ASK | POST_ONLY, 100, 5);
        // The owner has no cap.
        ask(A, 101, 6);
    }

    /// The order of checks: the right before the mode, the status and the fields.
    function testRightsComeBeforeFields() public {
        approve(2000, PLACE, 1, 0);
        botPlaces(IExchange.NotAuthorized.selector, market, 7 << 1, 0, 0); // no such tif: whoever may not TAKE is told that
        botPlaces(IExchange.OverCap.selector, market, POST_ONLY, 100, 0xffffffffffff);
        halt(3);
        botPlaces(IExchange.NotAuthorized.selector, market, IOC, 100, 1);
    }

    function testAgentWithdrawsOnlyToTheOwner() public {
        approve(2000, 0xffff, 0, 0);
        address[4] memory elsewhere = [BOT, address(x), ownerOf(B), address(0)];
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectRevert(err(IExchange.NotAuthorized.selector));
            vm.prank(BOT);
            x.withdraw(A, address(base), 1, elsewhere[i], none());
        }
        vm.prank(BOT);
        eq(x.withdraw(A, address(base), 7, ownerOf(A), none()), 7, "home");
        eq(base.balanceOf(ownerOf(A)), 7, "received");
    }

    /// An owner that was made an agent of its own account with few rights is still the owner.
    function testTheOwnerNeedsNoRights() public {
        vm.prank(ownerOf(A));
        x.approveAgent(A, ownerOf(A), 2000, 0, 1, [second, 0, 0]);
        ask(A, 100, 50);
    }

    function testFuzz_cap(uint96 cap, uint24 tick, uint48 lots) public {
        vm.assume(cap != 0 && tick != 0 && lots != 0 && lots < 1 << 47);
        approve(2000, TAKE, cap, 0);
        bool over = uint256(lots) * tick * QUOTE_PER_LOT_TICK > cap;
        botPlaces(over ? IExchange.OverCap.selector : bytes4(0), market, BID | IOC, tick, lots); // an empty book: nothing to pay
    }
}
