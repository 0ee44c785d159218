// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";

/// @notice The native coin from end to end: as base and as quote of a market, in and out, by owner and agent; token 1, address 0.
contract NativeTest is Batches {
    uint32 constant MAKER = 300;
    uint32 constant TAKER = 301;
    uint256 constant WEI = 1 ether;
    address constant AGENT = address(0xb07);
    uint32 private sold; // native / quote
    uint32 private paid; // base / native

    function setUp() public override {
        super.setUp();
        sold = x.createMarket(address(0), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 500, 100, 0, 1);
        paid = x.createMarket(address(base), address(0), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 500, -100, 0, 1);
        load(MAKER);
        load(TAKER);
        vm.warp(1000);
    }

    function load(uint32 account) internal {
        enrol(account);
        address owner = ownerOf(account);
        vm.deal(owner, WEI);
        vm.prank(owner);
        x.deposit{value: WEI}(0, address(0), WEI, none());
    }

    function home(uint32 account) internal returns (uint256) {
        address owner = ownerOf(account);
        vm.prank(owner);
        x.withdraw(0, address(0), type(uint256).max, owner, none());
        return owner.balance;
    }

    function takes(uint32 market_, uint8 mode, uint24 limit, uint48 lots) internal {
        run(TAKER, bytes.concat(ops(false), opTake(Take(market_, mode, limit, lots, ALL_FREE, 0, 0, 0, 0))));
    }

    function testSoldForQuote() public {
        (uint256 id,) = place(MAKER, sold, ASK | POST_ONLY, 200, 10, 0);
        eq(free(MAKER, 1), WEI - 10_000, "escrow");
        takes(sold, BID | IOC, 200, 4);
        x.claim(one(id));
        eq(free(MAKER, 3), FUNDS + 8000 - 4, "4 lots at 2,000, the maker's fee 0.2 up to 1 a lot");
        eq(home(TAKER), WEI + 4000, "bought");
        vm.prank(ownerOf(MAKER));
        x.cancel(MAKER, id);
        eq(home(MAKER), WEI - 4000, "the rest is back");
        eq(address(x).balance, 0, "empty vault");
    }

    function testPaidWithForBase() public {
        (uint256 id,) = place(MAKER, paid, BID | POST_ONLY, 200, 10, 0);
        eq(free(MAKER, 1), WEI - 20_000, "escrow: no fee, the maker earns a rebate");
        takes(paid, ASK | IOC, 200, 4);
        eq(home(TAKER), WEI + 8000 - 4, "4 lots at 2,000, fee 4");
        vm.prank(ownerOf(MAKER));
        x.cancel(MAKER, id);
        eq(home(MAKER), WEI - 8000, "rebate of 0.2 a lot: 0");
        uint32[] memory accounts = new uint32[](1);
        accounts[0] = TAKER;
        x.sweepFees(1, accounts);
        x.withdraw(1, address(0), 4, address(0x99), none());
        eq(address(0x99).balance, 4, "fees are wei too");
        eq(address(x).balance, 0, "empty vault");
    }

    /// An agent sends wei home and nowhere else.
    function testAgentBringsWeiHome() public {
        vm.prank(ownerOf(MAKER));
        x.approveAgent(MAKER, AGENT, 2000, 8, 0, [uint32(0), 0, 0]);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(AGENT);
        x.withdraw(MAKER, address(0), 1, AGENT, none());
        vm.prank(AGENT);
        x.withdraw(MAKER, address(0), WEI, ownerOf(MAKER), none());
        eq(ownerOf(MAKER).balance, WEI, "home");
    }

    /// The exchange is no receiver of its own coin, with or without wei: its fallback is for itself and calls of one length.
    function testWeiNeverGoesToTheExchange() public {
        for (uint256 atoms = 0; atoms < 2; ++atoms) {
            vm.expectRevert(err(IExchange.TransferFailed.selector));
            vm.prank(ownerOf(MAKER));
            x.withdraw(MAKER, address(0), atoms, address(x), none());
        }
        (bool ok,) = address(x).call{value: 1}("");
        require(!ok, "a plain transfer");
        (ok,) = address(x).call(new bytes(576));
        require(!ok, "the fallback, by another");
    }

    /// Wei that was forced in, by a contract that ends or a block's reward, is nobody's and disturbs nothing.
    function testForcedWeiIsNobodys() public {
        vm.deal(address(x), address(x).balance + 5);
        eq(home(MAKER), WEI, "all of his");
        eq(home(TAKER), WEI, "all of his");
        eq(address(x).balance, 5, "stays");
    }

    /// A receiver that comes back from inside its payment finds the lock closed.
    function testReceiverCannotReenter() public {
        Returner returner = new Returner(x);
        vm.deal(address(returner), 100);
        uint32 account = returner.deposit(100);
        returner.withdraw(account, 60);
        eq(address(returner).balance, 60, "once");
        eq(free(account, 1), 40, "left");
        eq(returner.refusals(), 1, "refused");
    }
}

/// @notice Withdraws again from inside its receive.
contract Returner {
    IExchange private immutable x;
    uint256 public refusals;

    constructor(IExchange x_) {
        x = x_;
    }

    function deposit(uint256 atoms) external returns (uint32) {
        return x.deposit{value: atoms}(0, address(0), atoms, new uint256[](0));
    }

    function withdraw(uint32 account, uint256 atoms) external {
        x.withdraw(account, address(0), atoms, address(this), new uint256[](0));
    }

    receive() external payable {
        try x.withdraw(0, address(0), 1, address(this), new uint256[](0)) returns (uint256) {}
        catch (bytes memory reason) {
            if (bytes4(reason) == IExchange.Reentered.selector) ++refusals;
        }
    }
}
