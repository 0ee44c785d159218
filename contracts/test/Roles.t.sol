// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice The three roles, tiers and the sweep of fees: what each may do, and that none has power over balances.
contract RolesTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;
    address constant GUARDIAN = address(0x6);
    address constant CLERK = address(0x7); // the fee manager

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- roles

    function testSetRole() public {
        vm.recordLogs();
        x.setRole(1, GUARDIAN);
        x.setRole(2, CLERK);
        x.setRole(0, address(0x5));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        address[3] memory who = [GUARDIAN, CLERK, address(0x5)];
        for (uint256 i = 0; i < 3; ++i) {
            isLog(logs[i], IExchange.Role.selector, "", abi.encode((i + 1) % 3, who[i]));
            eq(uint256(vm.load(address(x), bytes32((i + 1) % 3))), uint160(who[i]), "slot");
        }
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        x.setRole(0, address(this)); // handed over
        vm.prank(address(0x5));
        x.setRole(2, address(0)); // a role may be left empty
        eq(uint256(vm.load(address(x), bytes32(uint256(2)))), 0, "nobody");
    }

    function testOnlyTheOwnerSetsRoles() public {
        x.setRole(1, GUARDIAN);
        x.setRole(2, CLERK);
        address[3] memory others = [GUARDIAN, CLERK, ownerOf(A)];
        for (uint256 i = 0; i < 3; ++i) {
            for (uint8 role = 0; role < 3; ++role) {
                vm.expectRevert(err(IExchange.NotAuthorized.selector));
                vm.prank(others[i]);
                x.setRole(role, others[i]);
            }
        }
        vm.expectRevert(err(IExchange.BadMode.selector));
        x.setRole(3, CLERK);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        x.setRole(0, address(0)); // the owner cannot become nobody
    }

    /// A guardian may stop a market's trading, never start it and never stop the exits.
    function testGuardianStopsTradingButNoExits() public {
        uint256 id = ask(A, 100, 5);
        x.setRole(1, GUARDIAN);
        vm.prank(GUARDIAN);
        x.setStatus(market, 3);
        refuse(abi.encodeWithSelector(IExchange.NotLive.selector, 3), B, POST_ONLY, 50, 5);
        for (uint8 to = 0; to < 6; ++to) {
            vm.expectRevert(err(IExchange.NotAuthorized.selector));
            vm.prank(GUARDIAN);
            x.setStatus(market, to);
        }
        cancel(A, id);
        vm.prank(ownerOf(A));
        x.withdraw(A, address(base), FUNDS, ownerOf(A), none());
    }

    /// A guardian that was replaced is nobody.
    function testReplacedGuardianIsOut() public {
        x.setRole(1, GUARDIAN);
        x.setRole(1, address(0x66));
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(GUARDIAN);
        x.setStatus(market, 3);
    }

    /// Neither owner, guardian nor fee manager can touch an account: not its orders, not its money, not its agents.
    function testRolesHaveNoPowerOverBalances() public {
        uint256 id = ask(A, 100, 5);
        x.setRole(1, GUARDIAN);
        x.setRole(2, CLERK);
        address[3] memory roles = [address(this), GUARDIAN, CLERK];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory no = err(IExchange.NotAuthorized.selector);
            vm.expectRevert(no);
            vm.prank(roles[i]);
            x.withdraw(A, address(base), 1, roles[i], none());
            vm.expectRevert(no);
            vm.prank(roles[i]);
            x.cancel(A, id);
            vm.expectRevert(no);
            vm.prank(roles[i]);
            x.approveAgent(A, roles[i], 2000, 15, 0, [uint32(0), 0, 0]);
            vm.expectRevert(no);
            vm.prank(roles[i]);
            x.cancelNonces(A, 0, 1);
        }
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- tiers

    function testTierLowersTheTakersFee() public {
        x.setRole(2, CLERK);
        ask(A, 1000, 1000);
        uint256 acct = get(7, B);
        vm.recordLogs();
        vm.prank(CLERK);
        x.setTier(B, 4);
        isLog(vm.getRecordedLogs()[0], IExchange.Tier.selector, abi.encode(B), abi.encode(4));
        eq(get(7, B), acct | 4 << 160, "only the tier changed");
        buy(B, 1000, 100);
        eq(feeDue(B, 3), 375, "12 of 16 parts of 500 ppm of 1,000,000");
        vm.prank(CLERK);
        x.setTier(B, 15);
        eq(get(7, B), acct | 15 << 160, "replaced, not added");
        buy(B, 1000, 1);
        eq(feeDue(B, 3), 376, "0.3125 rounds up");
        vm.prank(CLERK);
        x.setTier(B, 0);
        eq(get(7, B), acct, "none");
    }

    function testTierRefusals() public {
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        x.setTier(A, 1); // the owner is no fee manager
        x.setRole(2, CLERK);
        vm.prank(CLERK);
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.setTier(A, 16);
        uint32[4] memory nobodys = [uint32(0), 1, (1 << 31) + 1, 4711];
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectRevert(err(IExchange.UnknownAccount.selector));
            vm.prank(CLERK);
            x.setTier(nobodys[i], 1);
        }
    }

    /// An account nobody set a tier for, with no fee manager: the zero address is not one.
    function testNobodyIsNoFeeManager() public {
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(A));
        x.setTier(A, 15);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- sweeps

    function two(uint32 a, uint32 b) private pure returns (uint32[] memory accounts) {
        accounts = new uint32[](2);
        (accounts[0], accounts[1]) = (a, b);
    }

    function testSweepFees() public {
        ask(A, 1000, 1000);
        bid(A, 900, 1000);
        buy(B, 1000, 100);
        sell(B, 900, 100);
        eq(feeDue(B, 3), 950, "500 + 450");
        uint256 free_ = free(B, 3);
        vm.recordLogs();
        vm.prank(address(0x99)); // anyone
        x.sweepFees(3, two(B, B)); // twice is once
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(logs.length, 1, "who owes nothing logs nothing");
        isLog(logs[0], IExchange.FeesSwept.selector, abi.encode(B, 3), abi.encode(950));
        eq(feeDue(B, 3), 0, "paid");
        eq(free(B, 3), free_, "the trader's own stays");
        eq(free(1, 3), 950, "collected");
        x.withdraw(1, address(quote), 950, address(9), none());
        eq(quote.balanceOf(address(9)), 950, "by the owner");
    }

    /// The flag of the word and a fee of the collector itself survive; a word that changes twice in one call is right.
    function testSweepOfTheCollectorItself() public {
        set(8, 1 << 24 | 3, uint256(1) << 240 | uint256(7) << 128 | 100);
        set(8, uint256(A) << 24 | 3, uint256(1) << 240 | uint256(5) << 128 | 1000);
        x.sweepFees(3, two(1, A));
        eq(get(8, 1 << 24 | 3), uint256(1) << 240 | 112, "100 + 7 + 5");
        eq(get(8, uint256(A) << 24 | 3), uint256(1) << 240 | 1000, "A");
    }

    function testSweepOfNothing() public {
        vm.recordLogs();
        x.sweepFees(0xffffff, two(A, 4711));
        x.sweepFees(3, new uint32[](0));
        eq(vm.getRecordedLogs().length, 0, "no log");
        eq(get(8, 1 << 24 | 3), 0, "no word");
    }

    /// Fees can be swept in every status of every market.
    function testSweepInEveryStatus() public {
        for (uint8 status = 1; status <= 4; ++status) {
            set(9, market, (get(9, market) & ~(uint256(0xff) << 240)) | uint256(status) << 240);
            set(8, uint256(A) << 24 | 3, uint256(5) << 128);
            x.sweepFees(3, two(A, B));
            eq(free(1, 3), 5 * status, "collected");
        }
    }
}
