// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Token} from "../src/Token.sol";
import {Base} from "./Base.sol";

/// @notice Markets and tokens are open to all, so some tokens are enemies. Whatever one does, nobody gets more out of the exchange than he brought in: the
/// honest traders of the same vault withdraw everything, to the atom. Each test plays one trick, then counts.
contract HostileTest is Base {
    uint32 constant A = 300; // honest
    uint32 constant B = 301; // honest
    uint32 constant VILLAIN = 302; // owns the token and this account; brought in VILLAIN_QUOTE
    uint256 constant STAKE = 1_000_000;

    Rogue private rogue; // token 4
    uint32 private trap; // market rogue / quote
    uint32 private snare; // market base / rogue

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        rogue = new Rogue(x);
        trap = x.createMarket(address(rogue), address(quote), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 500, 0, 0, 1);
        snare = x.createMarket(address(base), address(rogue), QUOTE_PER_LOT_TICK, BASE_PER_LOT, 1, 500, 0, 0, 1);
        // The token itself is the owner of the account: it can act from inside its own calls.
        set(7, VILLAIN, uint160(address(rogue)));
        set(6, uint160(address(rogue)), VILLAIN);
        stake(base);
        stake(quote);
        // Honest orders and fills, so that escrow, proceeds and fees lie in the vault while the villain works.
        ask(A, 100, 50);
        bid(B, 90, 50);
        buy(B, 100, 7);
        sell(A, 90, 3);
    }

    function stake(Token token) private {
        token.mint(address(this), STAKE);
        token.approve(address(x), STAKE);
        x.deposit(VILLAIN, address(token), STAKE, none());
    }

    /// @dev The honest leave with all they brought, less what they paid each other for; then the villain with no more than his stake.
    function settleUp() private {
        rogue.play(Rogue.Trick.None);
        uint256[] memory ids = new uint256[](2);
        ids[0] = levelId(market, ASK, 100) << 40;
        ids[1] = levelId(market, BID, 90) << 40;
        cancel(A, ids[0]);
        cancel(B, ids[1]);
        goHome(A, base, FUNDS - 10_000);
        goHome(A, quote, FUNDS + 7 * 1000 + 3 * 900 - 2); // fee: ceil(1.35)
        goHome(B, base, FUNDS + 10_000);
        goHome(B, quote, FUNDS - 7 * 1000 - 3 * 900 - 4); // fee: ceil(3.5)
        uint256 left = free(VILLAIN, 2);
        require(left <= STAKE && free(VILLAIN, 3) <= STAKE, "he made money out of nothing");
        rogue.act(abi.encodeCall(IExchange.withdraw, (VILLAIN, address(base), left, address(0x666), none())));
        eq(base.balanceOf(address(x)), STAKE - left, "nothing else lies in the base vault");
        eq(base.balanceOf(address(0x666)), left, "his own");
    }

    function goHome(uint32 account, Token token, uint256 atoms) private {
        vm.prank(ownerOf(account));
        eq(x.withdraw(account, address(token), type(uint256).max, ownerOf(account), none()), atoms, "what is his");
        eq(token.balanceOf(ownerOf(account)), atoms, "received");
    }

    function put(uint256 atoms) private {
        rogue.act(abi.encodeCall(IExchange.deposit, (VILLAIN, address(rogue), atoms, none())));
    }

    function take(uint256 atoms) private {
        rogue.act(abi.encodeCall(IExchange.withdraw, (VILLAIN, address(rogue), atoms, address(0x666), none())));
    }

    function refused(bytes4 reason, bytes memory call) private {
        require(keccak256(rogue.attempt(call)) == keccak256(err(reason)), "not refused, or for another reason");
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- tricks

    function testAHonestTokenFirst() public {
        put(5000);
        take(5000);
        eq(free(VILLAIN, 4), 0, "in and out");
        settleUp();
    }

    function testFeeOnTheWayIn() public {
        rogue.play(Rogue.Trick.FeeIn);
        put(1000);
        eq(free(VILLAIN, 4), 990, "what came");
        settleUp();
    }

    /// A fee on the way out is the receiver's loss: the vault gives what the balance says, never more.
    function testFeeOnTheWayOut() public {
        put(1000);
        rogue.play(Rogue.Trick.FeeOut);
        take(600);
        eq(free(VILLAIN, 4), 400, "debited whole");
        eq(rogue.balanceOf(address(x)), 400, "the vault gave 600");
        settleUp();
    }

    /// More leaves the vault than was asked for: the token robs its own holders, no other.
    function testATokenThatTakesMoreThanAsked() public {
        put(1000);
        rogue.play(Rogue.Trick.Drain);
        take(1);
        eq(rogue.balanceOf(address(x)), 0, "its own vault is empty");
        settleUp();
    }

    function testAFalseAnswer() public {
        put(1000);
        rogue.play(Rogue.Trick.False);
        refused(IExchange.TransferFailed.selector, abi.encodeCall(IExchange.deposit, (VILLAIN, address(rogue), 5, none())));
        refused(IExchange.TransferFailed.selector, abi.encodeCall(IExchange.withdraw, (VILLAIN, address(rogue), 5, address(0x666), none())));
        eq(free(VILLAIN, 4), 1000, "as before");
        settleUp();
    }

    /// Two words, three bytes, a 2: anything but exactly true or nothing is a failure.
    function testOddAnswers() public {
        put(1000);
        for (uint256 i = 0; i < 3; ++i) {
            rogue.play([Rogue.Trick.Two, Rogue.Trick.Short, Rogue.Trick.Long][i]);
            bytes memory said = rogue.attempt(abi.encodeCall(IExchange.deposit, (VILLAIN, address(rogue), 5, none())));
            // A second word behind a true is a true.
            require(i == 2 ? said.length == 0 : keccak256(said) == keccak256(err(IExchange.TransferFailed.selector)), "odd answer");
        }
        settleUp();
    }

    function testNoAnswerIsFine() public {
        rogue.play(Rogue.Trick.Silent);
        put(1000);
        take(400);
        eq(free(VILLAIN, 4), 600, "600 are left");
        settleUp();
    }

    function testARevertingTokenHoldsNobodyElse() public {
        put(1000);
        rogue.act(abi.encodeCall(IExchange.place, (VILLAIN, trap, ASK | POST_ONLY, 100, 1, 0, 0, 0)));
        rogue.play(Rogue.Trick.Revert);
        refused(IExchange.TransferFailed.selector, abi.encodeCall(IExchange.withdraw, (VILLAIN, address(rogue), 0, address(0x666), none())));
        // Trading calls no token: an honest buyer is served, and even the villain may cancel.
        uint256 start = vm.snapshotState();
        (, uint48 filled) = place(A, trap, BID | IOC, 100, 1, 0);
        eq(filled, 1, "a fill needs no token");
        claim(levelId(trap, ASK, 100) << 40);
        vm.revertToState(start);
        rogue.act(abi.encodeCall(IExchange.cancel, (VILLAIN, levelId(trap, ASK, 100) << 40)));
        settleUp();
    }

    /// A maker who is barred by the token can neither stop his fills nor his payment; he withdraws to another address.
    function testABarredMakerHurtsNobody() public {
        put(5000);
        rogue.hand(A);
        (uint256 id,) = place(A, trap, ASK | POST_ONLY, 100, 2, 0);
        rogue.bar(ownerOf(A));
        rogue.play(Rogue.Trick.Bar);
        (, uint48 filled) = place(B, trap, BID | IOC, 100, 1, 0);
        eq(filled, 1, "the taker is served");
        uint256 quoteBefore = free(A, 3);
        claim(id);
        eq(free(A, 3), quoteBefore + 1000, "the maker is paid");
        cancel(A, id);
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(ownerOf(A));
        x.withdraw(A, address(rogue), 1000, ownerOf(A), none());
        vm.prank(ownerOf(A));
        x.withdraw(A, address(rogue), 1000, address(0x77), none());
        eq(rogue.balanceOf(address(0x77)), 1000, "another way home");
    }

    /// From inside transfer and transferFrom every mutator is refused, whoever calls.
    function testReentry() public {
        put(9000);
        bytes[] memory calls = mutators();
        for (uint256 i = 0; i < calls.length; ++i) {
            rogue.aim(calls[i]);
            rogue.play(Rogue.Trick.Reenter);
            put(10);
            require(rogue.caught(), string.concat("from transferFrom, call ", vm.toString(i)));
            rogue.aim(calls[i]);
            take(10);
            require(rogue.caught(), string.concat("from transfer, call ", vm.toString(i)));
        }
        eq(free(VILLAIN, 4), 9000, "plain deposits and withdrawals");
        settleUp();
    }

    function mutators() private view returns (bytes[] memory calls) {
        calls = new bytes[](22);
        calls[0] = abi.encodeCall(IExchange.register, (1));
        calls[1] = abi.encodeCall(IExchange.deposit, (VILLAIN, address(rogue), 5, none()));
        calls[2] = abi.encodeCall(IExchange.withdraw, (VILLAIN, address(quote), 5, address(0x666), none()));
        calls[3] = abi.encodeCall(IExchange.claim, (none()));
        calls[4] = abi.encodeCall(IExchange.place, (VILLAIN, 1, ASK | POST_ONLY, 200, 1, 0, 0, 0));
        calls[5] = abi.encodeCall(IExchange.cancel, (VILLAIN, 1));
        calls[6] = abi.encodeCall(IExchange.reduce, (VILLAIN, 1, 1));
        calls[7] = abi.encodeCall(IExchange.createMarket, (address(base), address(quote), 1, 1, 1, 0, 0, 0, 1));
        calls[8] = abi.encodeCall(IExchange.addToken, (address(this)));
        calls[9] = abi.encodeCall(IExchange.setStatus, (1, 3));
        calls[10] = abi.encodeCall(IExchange.execute, (VILLAIN, hex"00"));
        calls[11] = abi.encodeCall(IExchange.poke, (VILLAIN, none()));
        calls[12] = abi.encodeCall(IExchange.prune, (1, 1));
        calls[13] = abi.encodeCall(IExchange.approveAgent, (VILLAIN, address(1), 1, 1, 1, [uint32(0), 0, 0]));
        calls[14] = abi.encodeCall(IExchange.cancelNonces, (VILLAIN, 1, 1));
        calls[15] = abi.encodeCall(IExchange.sweepFees, (2, new uint32[](0)));
        calls[16] = abi.encodeCall(IExchange.setTier, (1, 1));
        calls[17] = abi.encodeCall(IExchange.setRole, (1, address(1)));
        IExchange.AgentGrant memory grant;
        calls[18] = abi.encodeCall(IExchange.approveAgentSigned, (grant, ""));
        uint32[] memory way = new uint32[](1);
        way[0] = 1;
        calls[20] = abi.encodeCall(IExchange.swapExactIn, (address(quote), 0, way, 0, address(1), 1, 0));
        IExchange.Batch memory batch;
        calls[21] = abi.encodeCall(IExchange.executeSigned, (batch, address(1), ""));
        calls[19] = abi.encodeCall(IExchange.depositPermit, (VILLAIN, address(rogue), 5, 0, 0, 0, 0));
    }

    /// balanceOf grows without a transfer: the villain owns all of a worthless token, and not an atom of another.
    function testALyingBalance() public {
        rogue.play(Rogue.Trick.Lie);
        put(type(uint112).max - 1);
        eq(free(VILLAIN, 4), type(uint112).max - 1, "its own words say so");
        // With it he can offer in the markets that trade it; nobody must buy. Out of the honest markets he gets nothing.
        refused(IExchange.Insufficient.selector, abi.encodeCall(IExchange.withdraw, (VILLAIN, address(quote), STAKE + 1, address(0x666), none())));
        rogue.act(abi.encodeCall(IExchange.place, (VILLAIN, trap, ASK | POST_ONLY, 1, 1_000_000, 0, 0, 0)));
        rogue.act(abi.encodeCall(IExchange.place, (VILLAIN, trap, BID | IOC, 1, 50_000, 0, 0, 0))); // he buys from himself
        rogue.act(abi.encodeCall(IExchange.cancel, (VILLAIN, levelId(trap, ASK, 1) << 40)));
        eq(free(VILLAIN, 3) + feeDue(VILLAIN, 3), STAKE, "wash trades cost him the fee");
        settleUp();
    }

    /// balanceOf that falls during the transfer, or passes every bound, is no deposit.
    function testABalanceThatFallsOrOverflows() public {
        put(1000);
        rogue.play(Rogue.Trick.Shrink);
        refused(IExchange.BadAmount.selector, abi.encodeCall(IExchange.deposit, (VILLAIN, address(rogue), 5, none())));
        rogue.play(Rogue.Trick.Flood);
        refused(IExchange.BadAmount.selector, abi.encodeCall(IExchange.deposit, (VILLAIN, address(rogue), 5, none())));
        rogue.play(Rogue.Trick.Mute);
        refused(IExchange.TransferFailed.selector, abi.encodeCall(IExchange.deposit, (VILLAIN, address(rogue), 5, none())));
        eq(free(VILLAIN, 4), 1000, "as before");
        settleUp();
    }

    /// Decimals are a label: money is atoms. 0, 6 and 36 of them trade alike; 256 are no number of decimals.
    function testDecimals() public {
        uint256[3] memory decimals = [uint256(0), 6, 36];
        for (uint256 i = 0; i < 3; ++i) {
            Rogue token = new Rogue(x);
            token.setDecimals(decimals[i]);
            uint32 there = x.createMarket(address(token), address(quote), QUOTE_PER_LOT_TICK, 1, 1, 500, 0, 0, 1);
            uint24 number = uint24(get(4, uint160(address(token))));
            eq(get(5, number) >> 160, decimals[i], "as it says");
            token.act(abi.encodeCall(IExchange.deposit, (A, address(token), 10, none())));
            (uint256 id,) = place(A, there, ASK | POST_ONLY, 3, 10, 0);
            place(B, there, BID | IOC, 3, 4, 0);
            claim(id);
            eq(free(B, number), 4, "bought");
            vm.prank(ownerOf(B));
            x.withdraw(B, address(token), 4, address(0x77), none());
            eq(token.balanceOf(address(0x77)), 4, "and out");
        }
        rogue = new Rogue(x);
        rogue.setDecimals(256);
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.addToken(address(rogue));
    }

    /// The native coin's receiver gets control as well.
    function testReentryWithTheNativeCoin() public {
        vm.deal(address(this), 1000);
        x.deposit{value: 1000}(VILLAIN, address(0), 1000, none());
        bytes memory again = abi.encodeCall(IExchange.withdraw, (VILLAIN, address(0), 400, address(rogue), none()));
        rogue.aim(again);
        rogue.play(Rogue.Trick.Reenter);
        rogue.act(again);
        require(rogue.caught(), "a second withdrawal from inside the first");
        eq(address(rogue).balance, 400, "once");
        eq(free(VILLAIN, 1), 600, "600 are left");
    }
}

/// @notice A token that is whatever its owner wants, and the owner of an account that acts through `act`.
contract Rogue {
    enum Trick {
        None,
        FeeIn, // 1% on transferFrom
        FeeOut, // 1% on transfer
        Drain, // transfer empties the sender
        False,
        Two, // answers the word 2
        Short, // answers three bytes
        Long, // answers two words, the first of them true
        Silent,
        Revert,
        Bar, // refuses one address
        Reenter,
        Lie, // balanceOf grows, nothing moves
        Shrink, // balanceOf falls in a deposit
        Flood, // balanceOf is 2^256-1 after a deposit
        Mute // balanceOf reverts
    }

    IExchange private immutable x;
    Trick private trick;
    uint256 private places = 18;
    uint256 private lie;
    address private barred;
    bytes private aimed;
    bool public caught;
    mapping(address => uint256) private held;

    constructor(IExchange x_) {
        x = x_;
    }

    receive() external payable {
        if (trick == Trick.Reenter) reenter();
    }

    function play(Trick trick_) external {
        trick = trick_;
        lie = 0;
    }

    function aim(bytes calldata call) external {
        (aimed, caught) = (call, false);
    }

    function bar(address who) external {
        barred = who;
    }

    function setDecimals(uint256 n) external {
        places = n;
    }

    /// @notice Calls the exchange as the owner of its account; a refusal fails the test.
    function act(bytes calldata call) external {
        (bool ok, bytes memory data) = address(x).call(call);
        if (!ok) revert(string(abi.encodePacked("the exchange refused: ", data)));
    }

    /// @return why the revert data, empty if it passed
    function attempt(bytes calldata call) external returns (bytes memory why) {
        (bool ok, bytes memory data) = address(x).call(call);
        if (!ok) return data;
    }

    /// @notice Gives 5,000 of it to another account of the exchange, through a plain deposit.
    function hand(uint32 account) external {
        x.deposit(account, address(this), 5000, new uint256[](0));
    }

    function decimals() external view returns (uint256) {
        return places;
    }

    function balanceOf(address who) external view returns (uint256) {
        require(trick != Trick.Mute, "no answer");
        return lie != 0 ? lie : held[who];
    }

    /// @dev Mints on the way: what anybody sends in exists.
    function transferFrom(address, address to, uint256 atoms) external {
        if (trick == Trick.Lie) lie = atoms + held[to];
        else if (trick == Trick.Shrink) lie = 1;
        else if (trick == Trick.Flood) lie = type(uint256).max;
        else held[to] += trick == Trick.FeeIn ? atoms - atoms / 100 : atoms;
        finish();
    }

    function transfer(address to, uint256 atoms) external {
        require(trick != Trick.Bar || to != barred, "barred");
        uint256 out = trick == Trick.Drain ? held[msg.sender] : atoms;
        held[msg.sender] -= out;
        held[to] += trick == Trick.FeeOut ? out - out / 100 : out;
        finish();
    }

    function finish() private {
        require(trick != Trick.Revert, "no");
        if (trick == Trick.Reenter) reenter();
        if (trick == Trick.Silent) return;
        uint256 word = trick == Trick.False ? 0 : trick == Trick.Two ? 2 : 1;
        uint256 length = trick == Trick.Short ? 3 : trick == Trick.Long ? 64 : 32;
        assembly {
            mstore(0, word)
            mstore(32, 7)
            return(0, length)
        }
    }

    /// @dev The exchange must refuse the aimed call with Reentered; its views stay open.
    function reenter() private {
        (bool ok, bytes memory data) = address(x).call(aimed);
        caught = !ok && bytes4(data) == IExchange.Reentered.selector;
        (ok,) = address(x).call(abi.encodeCall(IExchange.load, (new bytes32[](1))));
        caught = caught && ok;
    }
}
