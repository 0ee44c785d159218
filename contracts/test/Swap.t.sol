// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Token} from "../src/Token.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Swaps from wallet to wallet. MAKER's book: market 1 base for quote, market 2 third for quote, market 3 native coin for quote. TRADER has no account.
contract SwapTest is Base {
    uint32 constant MAKER = 300;
    address constant TRADER = address(0x7ade);
    address constant TO = address(0x70);
    uint32 constant SWAPS = 1 << 31; // + market: the account of a market's swaps

    Token private third; // token 4
    uint32 private second;
    uint32 private native;

    function setUp() public override {
        super.setUp();
        enrol(MAKER);
        third = new Token("Third", "THIRD", 18);
        second = x.createMarket(address(third), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 1000, -200, 0, 1);
        native = x.createMarket(address(0), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 500, 0, 0, 1);
        fund(MAKER, third, FUNDS);
        vm.deal(address(this), 1 ether);
        x.deposit{value: 1 ether}(MAKER, address(0), 1 ether, none());
        rest(market, BID, 100, 50);
        rest(market, ASK, 110, 50);
        rest(second, BID, 200, 50);
        rest(second, ASK, 250, 50);
        rest(native, BID, 300, 50);
        rest(native, ASK, 310, 50);
        vm.warp(1000);
    }

    function rest(uint32 market_, uint8 side, uint24 tick, uint48 lots) internal returns (uint256 id) {
        (id,) = place(MAKER, market_, side | POST_ONLY, tick, lots, 0);
    }

    function way(uint32 a) internal pure returns (uint32[] memory markets) {
        markets = new uint32[](1);
        markets[0] = a;
    }

    function way(uint32 a, uint32 b) internal pure returns (uint32[] memory markets) {
        markets = new uint32[](2);
        (markets[0], markets[1]) = (a, b);
    }

    function give(Token token, uint256 atoms) internal {
        token.mint(TRADER, atoms);
        vm.prank(TRADER);
        token.approve(address(x), atoms);
    }

    function swap(Token token, uint256 atoms, uint32[] memory markets, uint256 minOut, uint16 steps) internal returns (uint256) {
        give(token, atoms);
        vm.prank(TRADER);
        return x.swapExactIn(address(token), atoms, markets, minOut, TO, 1000, steps);
    }

    /// Fields of the last log, if it is Swapped.
    function swapped(uint24 tokenIn, uint24 tokenOut, uint256 atomsIn, uint256 atomsOut) internal {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = logs.length; i > 0; --i) {
            if (logs[i - 1].emitter != address(x) || logs[i - 1].topics[0] != IExchange.Swapped.selector) continue;
            return isLog(logs[i - 1], IExchange.Swapped.selector, abi.encode(TRADER, TO), abi.encode(tokenIn, tokenOut, atomsIn, atomsOut));
        }
        revert("no Swapped");
    }

    /// The words of a market's swaps hold fees due and nothing else.
    function onlyFees(uint32 market_, uint24 token, uint256 due) internal view {
        eq(get(8, uint256(SWAPS + market_) << 24 | token), due << 128, "a word of the swaps");
    }

    // ---------------------------------------------------------------------------------------------------------------------------------------- ways

    function testSell() public {
        vm.recordLogs();
        eq(swap(base, 10_500, way(market), 9995, 0), 9995, "10 lots at 1,000, fee 5");
        swapped(2, 3, 10_500, 9995);
        eq(quote.balanceOf(TO), 9995, "proceeds");
        eq(base.balanceOf(TRADER), 500, "less than a lot comes back");
        onlyFees(market, 3, 5);
        onlyFees(market, 2, 0);
        isLevel(BID, 100, 1, 0, 10, 40);
    }

    function testBuy() public {
        vm.recordLogs();
        eq(swap(quote, 11_007, way(market), 10_000, 0), 10_000, "10 lots at 1,100, fee 6");
        swapped(3, 2, 11_007, 10_000);
        eq(base.balanceOf(TO), 10_000, "proceeds");
        eq(quote.balanceOf(TRADER), 1, "change");
        onlyFees(market, 3, 6);
        onlyFees(market, 2, 0);
    }

    /// One atom less than ten lots and their fee buys nine.
    function testBuyNeverSpendsMoreThanCameIn() public {
        eq(swap(quote, 11_005, way(market), 0, 0), 9000, "9 lots");
        eq(quote.balanceOf(TRADER), 11_005 - 9900 - 5, "change");
    }

    function testTwoHops() public {
        // 20 lots of base give 20,000 less 10; of 19,990 quote atoms 7 lots of third cost 17,500 and fee 18 (17.5).
        vm.recordLogs();
        eq(swap(base, 20_000, way(market, second), 7000, 0), 7000, "out");
        swapped(2, 4, 20_000, 7000);
        eq(third.balanceOf(TO), 7000, "proceeds");
        eq(quote.balanceOf(TRADER), 19_990 - 17_518, "change of the second hop");
        eq(base.balanceOf(TRADER), 0, "no change of the first");
        onlyFees(market, 3, 10);
        // The rebate of 200 ppm of 2,500 is 0 an atom a lot (0.5 down), so all of the fee is due.
        onlyFees(second, 3, 18);
        onlyFees(second, 4, 0);
    }

    function testTakenNamesTheSwapsAccount() public {
        vm.recordLogs();
        swap(base, 3000, way(market), 0, 0);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IExchange.Taken.selector) continue;
            uint256 data = ((1 << 47) - 1) | 3 << 48 | uint256(ASK | IOC) << 160 | uint256(4) << 168; // BUDGET
            return isLog(logs[i], IExchange.Taken.selector, abi.encode(market, SWAPS + market), abi.encode(data, 3000, 2));
        }
        revert("no Taken");
    }

    function testFourHopsAndBack() public {
        uint32[] memory markets = new uint32[](4);
        (markets[0], markets[1], markets[2], markets[3]) = (market, second, second, market);
        uint256 out = swap(base, 20_000, markets, 0, 0);
        // 19,990 quote; 7,000 third; back: 14,000 less 14; 12 lots at 1,100 (13,200 and 7).
        eq(out, 12_000, "round trip");
        eq(base.balanceOf(TO), 12_000, "same token");
        onlyFees(market, 3, 10 + 7);
        onlyFees(second, 3, 18 + 14);
    }

    function testNativeIn() public {
        vm.deal(TRADER, 10_500);
        vm.prank(TRADER);
        eq(x.swapExactIn{value: 10_500}(address(0), 10_500, way(native), 0, TO, 1000, 0), 29_985, "10 lots at 3,000, fee 15");
        eq(TRADER.balance, 500, "native change comes back");
        eq(quote.balanceOf(TO), 29_985, "proceeds");
    }

    function testNativeOut() public {
        eq(swap(quote, 31_016, way(native), 10_000, 0), 10_000, "10 lots at 3,100, fee 16");
        eq(TO.balance, 10_000, "wei");
    }

    function testNativeBetween() public {
        // third's book is against quote; the native coin is in hand between two hops over quote.
        uint32[] memory markets = new uint32[](3);
        (markets[0], markets[1], markets[2]) = (market, native, native);
        uint256 out = swap(base, 50_000, markets, 0, 0);
        // 49,975 quote; 16 lots (49,600 and 25) leave 350; 16,000 wei sell for 48,000 less 24.
        eq(out, 47_976, "out");
        eq(quote.balanceOf(TRADER), 350, "change");
        eq(TRADER.balance, 0, "no wei");
        eq(address(x).balance, 1 ether, "the vault holds what it held");
    }

    function testNativeRefundThatIsRefusedRevertsAll() public {
        Stubborn trader = new Stubborn(x);
        vm.deal(address(trader), 10_500);
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        trader.swap(10_500, native);
        trader.swap(10_000, native); // no change, no refund
        eq(address(trader).balance, 500, "the rest was never sent");
    }

    // --------------------------------------------------------------------------------------------------------------------------------------- bounds

    function testStepsAndShortBooksGiveChangeBack() public {
        rest(market, BID, 99, 10);
        eq(swap(base, 60_000, way(market), 0, 1), 49_975, "one step: the best level");
        eq(base.balanceOf(TRADER), 10_000, "change");
        eq(swap(base, 60_000, way(market), 0, 0), 9895, "what is left: 10 lots at 990, fee 5");
        eq(base.balanceOf(TRADER), 60_000, "the book ended");
        eq(swap(base, 60_000, way(market), 0, 0), 0, "nothing to get");
        eq(base.balanceOf(TRADER), 120_000, "all comes back");
    }

    function testSlippageIsJudgedNetOfFees() public {
        give(base, 10_000);
        vm.expectRevert(abi.encodeWithSelector(IExchange.Slippage.selector, 9995));
        vm.prank(TRADER);
        x.swapExactIn(address(base), 10_000, way(market), 9996, TO, 1000, 0);
        eq(base.balanceOf(TRADER), 10_000, "untouched");
        isLevel(BID, 100, 1, 0, 0, 50);
    }

    function refused(bytes memory reason, address token, uint256 atoms, uint32[] memory markets, address to, uint40 deadline) internal {
        vm.expectRevert(reason);
        vm.prank(TRADER);
        x.swapExactIn(token, atoms, markets, 0, to, deadline, 0);
    }

    function testRefusals() public {
        give(base, 10_000);
        bytes memory noMarket = err(IExchange.NoMarket.selector);
        bytes memory badMarket = err(IExchange.BadMarket.selector);
        refused(err(IExchange.Expired.selector), address(base), 10_000, way(market), TO, 999);
        refused(err(IExchange.NotAuthorized.selector), address(base), 10_000, way(market), address(0), 1000);
        refused(badMarket, address(base), 10_000, new uint32[](0), TO, 1000);
        refused(badMarket, address(base), 10_000, new uint32[](5), TO, 1000);
        refused(err(IExchange.UnknownToken.selector), address(0xdead), 10_000, way(market), TO, 1000);
        refused(err(IExchange.TransferFailed.selector), address(base), 10_001, way(market), TO, 1000); // more than is approved
        refused(err(IExchange.BadAmount.selector), address(base), 0, way(market), TO, 1000);
        refused(noMarket, address(base), 10_000, way(99), TO, 1000);
        refused(noMarket, address(base), 10_000, way(market, 99), TO, 1000);
        refused(noMarket, address(base), 10_000, way(0), TO, 1000);
        refused(badMarket, address(base), 10_000, way(second), TO, 1000); // base is not in it
        eq(base.balanceOf(TRADER), 10_000, "untouched");
    }

    function testEveryMarketOfTheWayMustBeLive() public {
        give(base, 20_000);
        for (uint8 status = 2; status <= 4; ++status) {
            x.setStatus(second, status);
            refused(abi.encodeWithSelector(IExchange.NotLive.selector, status), address(base), 20_000, way(market, second), TO, 1000);
        }
    }

    function testValueMustBeWhatIsSold() public {
        vm.deal(TRADER, 3000);
        give(base, 1000);
        bytes memory bad = err(IExchange.BadAmount.selector);
        vm.expectRevert(bad);
        vm.prank(TRADER);
        x.swapExactIn{value: 999}(address(0), 1000, way(native), 0, TO, 1000, 0);
        vm.expectRevert(bad);
        vm.prank(TRADER);
        x.swapExactIn{value: 1}(address(base), 1000, way(market), 0, TO, 1000, 0);
        refused(bad, address(0), 1000, way(native), TO, 1000);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- thieves

    /// Approvals stolen through routers: whoever calls, it is the caller's tokens that are pulled.
    function testApprovalsAreNotStolenThroughASwap() public {
        give(base, 10_000); // TRADER approved them to the exchange
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(address(0xbad));
        x.swapExactIn(address(base), 10_000, way(market), 0, address(0xbad), 1000, 0);
        eq(base.balanceOf(TRADER), 10_000, "untouched");
    }

    /// The accounts of swaps are nobody's: not to act for, not to deposit to, not to give a tier.
    function testNobodyOwnsTheAccountsOfSwaps() public {
        swap(base, 10_000, way(market), 0, 0);
        bytes memory no = err(IExchange.NotAuthorized.selector);
        vm.expectRevert(no);
        x.withdraw(SWAPS + market, address(quote), 1, address(9), none());
        vm.expectRevert(no);
        x.place(SWAPS + market, market, POST_ONLY, 50, 1, 0, 0, 0);
        vm.expectRevert(err(IExchange.UnknownAccount.selector));
        x.deposit(SWAPS + market, address(base), 1, none());
    }

    function testFeesOfSwapsAreSwept() public {
        swap(base, 10_000, way(market), 0, 0);
        uint32[] memory accounts = new uint32[](1);
        accounts[0] = SWAPS + market;
        x.sweepFees(3, accounts);
        eq(free(1, 3), 5, "collected");
        onlyFees(market, 3, 0);
    }

    /// A hostile token sold, bought, and in the middle: what it calls from inside is refused, what it takes a cut of is credited as it came.
    function testHostileTokensInASwap() public {
        Cunning token = new Cunning(x); // takes 1% of every transfer and calls back
        uint32 odd = x.createMarket(address(token), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 500, 0, 0, 1);
        token.give(ownerOf(MAKER), 200_000);
        vm.prank(ownerOf(MAKER));
        x.deposit(MAKER, address(token), 100_000, none());
        rest(odd, BID, 100, 50);
        rest(odd, ASK, 110, 50);
        eq(token.refusals(), 1, "refused in the deposit");

        token.give(TRADER, 10_000);
        vm.prank(TRADER);
        eq(x.swapExactIn(address(token), 10_000, way(odd), 0, TO, 1000, 0), 8995, "9,900 came: 9 lots, fee 5 (4.5)");
        eq(token.balanceOf(TRADER), 891, "the change of 900, less its cut");
        eq(token.refusals(), 3, "refused in pull and change");

        swap(base, 12_000, way(market, odd), 10_000, 0); // bought: 11,994 quote buy 10 lots
        eq(token.balanceOf(TO), 9900, "its cut is the receiver's loss");
        eq(token.refusals(), 4, "refused in the payment");

        token.give(TRADER, 10_000);
        vm.prank(TRADER);
        x.swapExactIn(address(token), 10_000, way(odd, market), 0, TO, 1000, 0);
        eq(token.refusals(), 6, "refused in pull and change");
        vm.prank(ownerOf(MAKER));
        x.withdraw(MAKER, address(token), type(uint256).max, ownerOf(MAKER), none());
        eq(token.calls(), token.refusals(), "every call from inside was refused");
    }

    /// A swap moves nothing but its own: what the vault holds less what its words say stays the same, and the maker gets its price.
    function testFuzz_swapConserves(uint256 atoms, bool sells, bool twice, uint16 steps) public {
        atoms = 1 + atoms % 200_000;
        Token token = sells ? base : quote;
        uint32[] memory markets = !twice ? way(market) : sells ? way(market, second) : way(market, market);
        uint256[3] memory before = [base.balanceOf(address(x)), quote.balanceOf(address(x)), third.balanceOf(address(x))];
        uint256 out = swap(token, atoms, markets, 0, steps);
        Token last = !twice ? (sells ? quote : base) : (sells ? third : quote);
        eq(last.balanceOf(TO), out, "out is what was sent");
        uint256 due = feeDue(SWAPS + market, 3) + feeDue(SWAPS + second, 3);
        // What came in and was not sent out: paid to the maker's orders, or due.
        int256 earned = int256(before[1]) - int256(quote.balanceOf(address(x))) + int256(due);
        int256 bids = int256(50 - level(BID, 100).open) * 1000 - int256(50 - level(ASK, 110).open) * 1100;
        bids -= int256(50 - levelOf(get(11, levelId(second, ASK, 250))).open) * 2500;
        require(earned == bids, "quote");
        eq(before[2] - third.balanceOf(address(x)), (50 - levelOf(get(11, levelId(second, ASK, 250))).open) * 1000, "third");
        for (uint24 t = 2; t <= 4; ++t) {
            eq(free(SWAPS + market, t) + free(SWAPS + second, t), 0, "nothing stays in the swaps' accounts");
        }
    }
}

/// @notice A trader that accepts no coin.
contract Stubborn {
    IExchange private immutable x;

    constructor(IExchange x_) {
        x = x_;
    }

    function swap(uint256 atoms, uint32 market) external {
        uint32[] memory markets = new uint32[](1);
        markets[0] = market;
        x.swapExactIn{value: atoms}(address(0), atoms, markets, 0, address(0x70), 1000, 0);
    }
}

/// @notice Takes a hundredth of every transfer, needs no approval, and tries to swap, withdraw and claim from inside.
contract Cunning {
    IExchange private immutable x;
    mapping(address => uint256) public balanceOf;
    uint256 public calls;
    uint256 public refusals;
    uint8 public constant decimals = 18;

    constructor(IExchange x_) {
        x = x_;
    }

    function give(address to, uint256 atoms) external {
        balanceOf[to] += atoms;
    }

    function transferFrom(address from, address to, uint256 atoms) external returns (bool) {
        return move(from, to, atoms);
    }

    function transfer(address to, uint256 atoms) external returns (bool) {
        return move(msg.sender, to, atoms);
    }

    function move(address from, address to, uint256 atoms) private returns (bool) {
        balanceOf[from] -= atoms;
        balanceOf[to] += atoms - atoms / 100;
        ++calls;
        uint32[] memory markets = new uint32[](1);
        markets[0] = 4;
        bytes[3] memory again = [
            abi.encodeCall(IExchange.swapExactIn, (address(this), 1000, markets, 0, address(this), 1000, 0)),
            abi.encodeCall(IExchange.withdraw, (300, address(this), 1, address(this), new uint256[](0))),
            abi.encodeCall(IExchange.execute, (300, hex"00"))
        ];
        uint256 count;
        for (uint256 i = 0; i < 3; ++i) {
            (bool ok, bytes memory data) = address(x).call(again[i]);
            if (!ok && bytes4(data) == IExchange.Reentered.selector) ++count;
        }
        if (count == 3) ++refusals;
        return true;
    }
}
