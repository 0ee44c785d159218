// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Token} from "../src/Token.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Accounts, deposits and withdrawals, with tokens that are honest, odd and hostile.
contract MoneyTest is Base {
    uint32 constant A = 300;
    uint32 constant B = 301;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
    }

    receive() external payable {
        revert("no thanks");
    }

    // ----------------------------------------------------------------------------------------------------------------------------------- accounts

    function testRegister() public {
        vm.recordLogs();
        uint32 first = x.register(5);
        isLog(vm.getRecordedLogs()[0], IExchange.AccountCreated.selector, abi.encode(first, address(this)), "");
        eq(first, 256 + uint256(keccak256(abi.encode(address(this), 5))) % ((1 << 31) - 256), "number");
        vm.expectRevert(err(IExchange.AccountTaken.selector));
        x.register(5);
        uint32 second = x.register(6);
        eq(get(6, uint160(address(this))), first, "the first stays account 0");
        eq(get(7, second), uint160(address(this)), "the second is owned too");
    }

    function testDepositRegistersWithTheFirstFreeSalt() public {
        uint32[4] memory numbers;
        for (uint256 salt = 0; salt < 4; ++salt) {
            numbers[salt] = uint32(256 + uint256(keccak256(abi.encode(address(this), salt))) % ((1 << 31) - 256));
        }
        base.mint(address(this), 100);
        base.approve(address(x), 100);
        uint256 start = vm.snapshotState();
        eq(x.deposit(0, address(base), 10, none()), numbers[0], "salt 0");
        eq(x.deposit(0, address(base), 10, none()), numbers[0], "again");
        eq(free(numbers[0], 2), 20, "credited");
        vm.revertToState(start);
        set(7, numbers[0], 1);
        set(7, numbers[1], 1);
        eq(x.deposit(0, address(base), 10, none()), numbers[2], "the first two are taken");
        vm.revertToState(start);
        for (uint256 salt = 0; salt < 4; ++salt) {
            set(7, numbers[salt], 1);
        }
        vm.expectRevert(err(IExchange.AccountTaken.selector));
        x.deposit(0, address(base), 10, none());
    }

    function testFeeCollectorBelongsToTheOwner() public {
        set(8, 1 << 24 | 2, 55);
        uint256 spare = base.totalSupply();
        eq(x.withdraw(1, address(base), 55, address(9), none()), 55, "the owner's");
        eq(base.balanceOf(address(9)), 55, "sent");
        eq(base.totalSupply(), spare, "no new tokens");
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(A));
        x.withdraw(1, address(base), 0, address(9), none());
    }

    // ----------------------------------------------------------------------------------------------------------------------------------- deposits

    function testDepositLogs() public {
        base.mint(address(this), 100);
        base.approve(address(x), 100);
        vm.recordLogs();
        x.deposit(A, address(base), 10, none());
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[logs.length - 1], IExchange.Deposit.selector, abi.encode(A, 2), abi.encode(10));
    }

    function testDepositRefusals() public {
        Token stranger = new Token("S", "S", 0);
        vm.expectRevert(err(IExchange.UnknownAccount.selector));
        x.deposit(4711, address(stranger), 1, none());
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.deposit(A, address(stranger), 1, none());
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        x.deposit(A, address(base), 1, none()); // nothing approved
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.deposit(A, address(base), 0, none());
        vm.deal(address(this), 10);
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.deposit{value: 1}(A, address(base), 1, none());
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.deposit{value: 1}(A, address(0), 2, none());
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.deposit(A, address(0), 0, none());
    }

    function testNativeCoin() public {
        vm.deal(address(this), 1 ether);
        x.deposit{value: 1 ether}(A, address(0), 1 ether, none());
        eq(free(A, 1), 1 ether, "token 1");
        vm.prank(ownerOf(A));
        x.withdraw(A, address(0), 0.4 ether, address(0xbeef), none());
        eq(address(0xbeef).balance, 0.4 ether, "out");
        eq(free(A, 1), 0.6 ether, "left");
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(ownerOf(A));
        x.withdraw(A, address(0), 0.1 ether, address(this), none()); // a receiver that refuses
        (bool ok,) = address(x).call{value: 1}("");
        require(!ok, "no coin outside a deposit");
    }

    function testVaultBound() public {
        uint256 room = type(uint112).max - base.balanceOf(address(x));
        base.mint(address(this), room + 1);
        base.approve(address(x), room + 1);
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.deposit(A, address(base), room + 1, none());
        x.deposit(A, address(base), room, none());
        eq(base.balanceOf(address(x)), type(uint112).max, "full");
    }

    // -------------------------------------------------------------------------------------------------------------------------------- withdrawals

    function testWithdraw() public {
        vm.recordLogs();
        vm.prank(ownerOf(A));
        eq(x.withdraw(0, address(base), 7, address(9), none()), 7, "sent");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[0], IExchange.Withdraw.selector, abi.encode(A, 2), abi.encode(7, address(9)));
        vm.prank(ownerOf(A));
        eq(x.withdraw(A, address(base), type(uint256).max, address(9), none()), FUNDS - 7, "all that is free");
        eq(free(A, 2), 0, "empty");
        eq(base.balanceOf(address(9)), FUNDS, "received");
    }

    function testWithdrawRefusals() public {
        Token stranger = new Token("S", "S", 0);
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        x.withdraw(A, address(base), 7, address(9), none());
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        vm.prank(ownerOf(A));
        x.withdraw(A, address(base), 7, address(0), none());
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        vm.prank(ownerOf(A));
        x.withdraw(A, address(stranger), 7, address(9), none());
        vm.expectRevert(err(IExchange.Insufficient.selector));
        vm.prank(ownerOf(A));
        x.withdraw(A, address(base), FUNDS + 1, address(9), none());
    }

    function testEscrowIsNotFree() public {
        ask(A, 100, 5);
        vm.expectRevert(err(IExchange.Insufficient.selector));
        vm.prank(ownerOf(A));
        x.withdraw(A, address(base), FUNDS - 4999, address(9), none());
        vm.prank(ownerOf(A));
        x.withdraw(A, address(base), FUNDS - 5000, address(9), none());
    }

    // ------------------------------------------------------------------------------------------------------------------------------ hostile tokens

    function list(Hostile.Trick trick) private returns (Hostile token) {
        token = new Hostile(x, trick);
        x.addToken(address(token));
    }

    function testFeeOnTransferIsCreditedAsReceived() public {
        Hostile token = list(Hostile.Trick.Fee);
        x.deposit(A, address(token), 1000, none());
        eq(free(A, 4), 990, "what came");
        vm.prank(ownerOf(A));
        x.withdraw(A, address(token), 990, address(9), none());
        eq(free(A, 4), 0, "debited whole");
    }

    function testFalseIsAFailure() public {
        Hostile token = list(Hostile.Trick.False);
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        x.deposit(A, address(token), 1000, none());
        set(8, uint256(A) << 24 | 4, 10);
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(ownerOf(A));
        x.withdraw(A, address(token), 10, address(9), none());
        eq(free(A, 4), 10, "still there");
    }

    function testSilentTokensAreFine() public {
        Hostile token = list(Hostile.Trick.Silent);
        x.deposit(A, address(token), 1000, none());
        eq(free(A, 4), 1000, "credited");
        vm.prank(ownerOf(A));
        x.withdraw(A, address(token), 400, address(9), none());
        eq(free(A, 4), 600, "debited");
    }

    function testNothingMovedIsNoDeposit() public {
        Hostile token = list(Hostile.Trick.Nothing);
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.deposit(A, address(token), 1000, none());
    }

    function testReentry() public {
        Hostile token = list(Hostile.Trick.Reenter);
        for (uint256 i = 0; i < 8; ++i) {
            token.aim(i);
            x.deposit(A, address(token), 1000, none());
            require(token.refused(), "a call from inside was accepted");
        }
        eq(free(A, 4), 8000, "eight plain deposits");
        token.aim(3);
        vm.prank(ownerOf(A));
        x.withdraw(A, address(token), 500, address(9), none());
        require(token.refused(), "a call from inside was accepted");
    }

    function testLiesHarmOnlyTheirOwnWords() public {
        Hostile token = list(Hostile.Trick.Lie);
        // The token claims to have paid 2^112-1: the 128 bits of the free balance hold, then it is refused.
        set(8, uint256(A) << 24 | 4, type(uint128).max - 5);
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.deposit(A, address(token), 1000, none());
        eq(get(8, uint256(A) << 24 | 4) >> 128, 0, "no carry into feeDue");
        eq(free(A, 2), FUNDS, "other words");
    }

    function testTokensWithoutCodeOrDecimals() public {
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.addToken(address(0x1234));
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.addToken(address(this));
        Hostile token = new Hostile(x, Hostile.Trick.Decimals);
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.addToken(address(token));
    }
}

/// @notice A token that plays one trick.
contract Hostile {
    enum Trick {
        Fee,
        False,
        Silent,
        Nothing,
        Reenter,
        Lie,
        Decimals
    }

    IExchange private immutable x;
    Trick private immutable trick;
    uint256 private aimed;
    uint256 private held;
    bool public refused;

    constructor(IExchange x_, Trick trick_) {
        x = x_;
        trick = trick_;
    }

    function aim(uint256 call) external {
        aimed = call;
        refused = false;
    }

    function decimals() external view returns (uint256) {
        return trick == Trick.Decimals ? 256 : 36;
    }

    function balanceOf(address) external view returns (uint256) {
        return held;
    }

    function transferFrom(address, address, uint256 atoms) external {
        if (trick == Trick.Fee) atoms -= atoms / 100;
        if (trick == Trick.Reenter) reenter();
        if (trick == Trick.Lie) atoms = type(uint112).max;
        if (trick != Trick.Nothing) held += atoms;
        answer();
    }

    function transfer(address, uint256 atoms) external {
        if (trick == Trick.Reenter) reenter();
        if (held >= atoms) held -= atoms;
        answer();
    }

    function answer() private view {
        if (trick == Trick.Silent) return;
        uint256 ok = trick == Trick.False ? 0 : 1;
        assembly {
            mstore(0, ok)
            return(0, 32)
        }
    }

    /// @dev Every mutator from inside must fail with Reentered; the views stay open.
    function reenter() private {
        uint256[] memory ids = new uint256[](0);
        bytes[8] memory calls = [
            abi.encodeCall(IExchange.register, (1)),
            abi.encodeCall(IExchange.deposit, (300, address(0), 0, ids)),
            abi.encodeCall(IExchange.withdraw, (300, address(this), 1, address(9), ids)),
            abi.encodeCall(IExchange.claim, (ids)),
            abi.encodeCall(IExchange.place, (0, 1, 0, 100, 1, 0, 0, 0)),
            abi.encodeCall(IExchange.cancel, (300, 1)),
            abi.encodeCall(IExchange.reduce, (300, 1, 1)),
            abi.encodeCall(IExchange.setStatus, (1, 3))
        ];
        (bool ok, bytes memory data) = address(x).call(calls[aimed]);
        refused = !ok && bytes4(data) == IExchange.Reentered.selector;
        (ok,) = address(x).call(abi.encodeCall(IExchange.load, (new bytes32[](1))));
        refused = refused && ok;
    }
}
