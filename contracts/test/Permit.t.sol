// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Token} from "../src/Token.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Deposits with a permit, and what hostile tokens make of them. The signer's key is OWNER; the account is 300's number under that owner.
contract PermitTest is Base {
    uint256 constant KEY = 0xa11ce;
    uint32 constant A = 300;
    address private owner;

    function setUp() public override {
        super.setUp();
        owner = vm.addr(KEY);
        set(7, A, uint160(owner));
        set(6, uint160(owner), A);
        base.mint(owner, 1000);
        vm.warp(1000);
    }

    function permit(uint256 atoms, uint256 deadline) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 content = keccak256(abi.encode(kind, owner, address(x), atoms, base.nonces(owner), deadline));
        return vm.sign(KEY, keccak256(abi.encodePacked("\x19\x01", base.DOMAIN_SEPARATOR(), content)));
    }

    function testDepositPermit() public {
        (uint8 v, bytes32 r, bytes32 s) = permit(70, 1000);
        vm.recordLogs();
        vm.prank(owner);
        eq(x.depositPermit(0, address(base), 70, 1000, v, r, s), A, "account");
        eq(free(A, 2), 70, "credited");
        eq(base.allowance(owner, address(x)), 0, "nothing is left approved");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        isLog(logs[logs.length - 1], IExchange.Deposit.selector, abi.encode(A, 2), abi.encode(70));
    }

    function testDepositPermitRegistersANewcomer() public {
        set(7, A, 0);
        set(6, uint160(owner), 0);
        (uint8 v, bytes32 r, bytes32 s) = permit(70, 1000);
        vm.prank(owner);
        uint32 account = x.depositPermit(0, address(base), 70, 1000, v, r, s);
        eq(get(7, account), uint160(owner), "registered");
        eq(free(account, 2), 70, "credited");
    }

    /// Somebody saw the permit under way and used it: the nonce is gone, the allowance is there, the deposit goes through.
    function testFrontRunPermitDoesNoHarm() public {
        (uint8 v, bytes32 r, bytes32 s) = permit(70, 1000);
        vm.prank(address(0xbad));
        base.permit(owner, address(x), 70, 1000, v, r, s);
        vm.prank(owner);
        x.depositPermit(A, address(base), 70, 1000, v, r, s);
        eq(free(A, 2), 70, "credited");
    }

    /// A permit is of use to its signer alone: whoever sends it pays itself.
    function testPermitOfAnotherIsOfNoUse() public {
        (uint8 v, bytes32 r, bytes32 s) = permit(70, 1000);
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(address(0xbad));
        x.depositPermit(A, address(base), 70, 1000, v, r, s);
        eq(base.balanceOf(owner), 1000, "untouched");
    }

    function testBadPermits() public {
        (uint8 v, bytes32 r, bytes32 s) = permit(70, 999);
        bytes memory failed = err(IExchange.TransferFailed.selector); // no allowance came of it
        vm.expectRevert(failed);
        vm.prank(owner);
        x.depositPermit(A, address(base), 70, 999, v, r, s); // past its deadline
        (v, r, s) = permit(70, 1000);
        vm.expectRevert(failed);
        vm.prank(owner);
        x.depositPermit(A, address(base), 71, 1000, v, r, s); // other atoms
        vm.prank(owner);
        base.approve(address(x), 71);
        vm.prank(owner);
        x.depositPermit(A, address(base), 71, 1000, v, r, s); // an allowance from elsewhere is good
        eq(free(A, 2), 71, "credited");
    }

    function testDepositPermitRefusals() public {
        Token stranger = new Token("S", "S", 0);
        vm.expectRevert(err(IExchange.UnknownAccount.selector));
        x.depositPermit(4711, address(base), 1, 1000, 27, 0, 0);
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.depositPermit(A, address(stranger), 1, 1000, 27, 0, 0); // so nothing is called that nobody listed
        vm.expectRevert(err(IExchange.BadAmount.selector));
        x.depositPermit(A, address(0), 1, 1000, 27, 0, 0); // the native coin
        vm.expectRevert(err(IExchange.BadAmount.selector));
        vm.prank(owner);
        x.depositPermit(A, address(base), 0, 1000, 27, 0, 0);
    }

    /// The permit that does nothing and fails not (WETH's fallback): a victim's standing approval cannot be spent by naming it, since only the sender is pulled.
    function testApprovalsAreNotStolenThroughASilentPermit() public {
        SilentPermit token = new SilentPermit();
        x.addToken(address(token));
        token.give(owner, 500);
        vm.prank(owner);
        token.approve(address(x), type(uint256).max);
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        vm.prank(address(0xbad));
        x.depositPermit(A, address(token), 500, 1000, 27, 0, 0);
        eq(token.balanceOf(owner), 500, "untouched");
    }

    /// A token whose permit calls back: the lock is closed by then, and what it does fails alone.
    function testReentryThroughPermit() public {
        ReenteringPermit token = new ReenteringPermit(x);
        x.addToken(address(token));
        vm.prank(owner);
        x.depositPermit(A, address(token), 10, 1000, 27, 0, 0);
        eq(token.refusals(), 2, "calls from inside refused");
        eq(free(A, 4), 10, "one deposit");
    }
}

/// @notice Answers every unknown call with nothing, like WETH.
contract SilentPermit {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint8 public constant decimals = 18;

    fallback() external {}

    function give(address to, uint256 atoms) external {
        balanceOf[to] += atoms;
    }

    function approve(address spender, uint256 atoms) external {
        allowance[msg.sender][spender] = atoms;
    }

    function transferFrom(address from, address to, uint256 atoms) external returns (bool) {
        allowance[from][msg.sender] -= atoms;
        balanceOf[from] -= atoms;
        balanceOf[to] += atoms;
        return true;
    }
}

/// @notice Deposits once more from inside its permit.
contract ReenteringPermit {
    IExchange private immutable x;
    uint256 private held;
    uint256 public refusals;
    uint8 public constant decimals = 18;

    constructor(IExchange x_) {
        x = x_;
    }

    function balanceOf(address) external view returns (uint256) {
        return held;
    }

    function permit(address, address, uint256, uint256, uint8, bytes32, bytes32) external {
        bytes memory again = abi.encodeCall(IExchange.depositPermit, (300, address(this), 1, 1000, 27, 0, 0));
        (bool ok, bytes memory data) = address(x).call(again);
        if (!ok && bytes4(data) == IExchange.Reentered.selector) ++refusals;
    }

    function transferFrom(address, address, uint256 atoms) external returns (bool) {
        (bool ok, bytes memory data) = address(x).call(abi.encodeCall(IExchange.register, (9)));
        if (!ok && bytes4(data) == IExchange.Reentered.selector) ++refusals;
        held += atoms;
        return true;
    }
}
