// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IConditional} from "../src/interfaces/IConditional.sol";
import {IExchange} from "../src/interfaces/IExchange.sol";
import {Batches} from "./Batches.sol";
import {Signing} from "./Signed.t.sol";
import {Vm} from "./Vm.sol";

/// @notice Conditional orders. A is the account of KEY and has approved the contract to TAKE and PLACE; B makes the market; KEEPER runs what has come due.
contract ConditionalTest is Signing, Batches {
    uint256 constant KEY = 0xa11ce;
    uint32 constant A = 300;
    uint32 constant B = 301;
    address constant KEEPER = address(0x4ee9);
    IConditional private c;
    address private owner;

    function setUp() public override {
        super.setUp();
        enrol(A);
        enrol(B);
        owner = vm.addr(KEY);
        set(7, A, uint160(owner));
        set(6, uint160(owner), A);
        c = IConditional(predeploy("Conditional", address(0xe3), uint160(address(x))));
        vm.prank(owner);
        x.approveAgent(A, address(c), 9000, 3, 0, [market, 0, 0]);
        vm.deal(owner, 1 ether);
        vm.warp(1000);
        bid(B, 100, 50);
        ask(B, 110, 50);
    }

    /// Sells 5 lots for at least 95 each once the best bid is at most 100.
    function stop() internal view returns (IConditional.Order memory) {
        return IConditional.Order(A, market, 0, 100, 0, 0, 2000, 7, sale());
    }

    function sale() internal view returns (bytes memory) {
        return bytes.concat(ops(false), opTake(Take(market, ASK | IOC, 95, 5, ALL_FREE, 0, 0, 0, 0)));
    }

    function create(IConditional.Order memory o, uint256 tip) internal {
        vm.prank(owner);
        c.create{value: tip}(o);
    }

    function run(IConditional.Order memory o) internal returns (uint256) {
        vm.prank(KEEPER);
        return c.run(o);
    }

    function refused(bytes4 reason, IConditional.Order memory o) internal {
        vm.expectRevert(err(reason));
        vm.prank(KEEPER);
        c.run(o);
    }

    function hashOf(IConditional.Order memory o) internal pure returns (bytes32) {
        bytes memory kind =
            "Conditional(uint32 account,uint32 market,uint8 kind,uint24 tick,uint48 minOpen,uint40 notBefore,uint40 deadline,uint64 nonce,bytes ops)";
        bytes memory first = abi.encode(keccak256(kind), o.account, o.market, o.kind, o.tick, o.minOpen);
        return keccak256(bytes.concat(first, abi.encode(o.notBefore, o.deadline, o.nonce, keccak256(o.ops))));
    }

    function signed(uint256 key, IConditional.Order memory o) internal view returns (bytes memory) {
        return sign(key, domainOf("hifi Conditional", block.chainid, address(c)), hashOf(o));
    }

    function waits(uint64 nonce) internal view returns (bytes32 content) {
        (content,) = c.waiting(owner, nonce);
    }

    // -------------------------------------------------------------------------------------------------------------------------------------- waits

    function testCreateRunAndTip() public {
        IConditional.Order memory o = stop();
        vm.recordLogs();
        create(o, 0.1 ether);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        require(logs[0].topics[0] == IConditional.Created.selector, "Created");
        require(keccak256(logs[0].data) == keccak256(abi.encode(o, 0.1 ether)), "all of it is logged");
        require(waits(7) == hashOf(o), "its typed hash waits");
        uint256 result = run(o);
        eq(result & type(uint128).max, 5000 - 3, "5 lots at 1,000, fee 3 (2.5)");
        eq(KEEPER.balance, 0.1 ether, "tip");
        eq(address(c).balance, 0, "nothing is left");
        isLevel(BID, 100, 1, 0, 5, 45);
        eq(free(A, 2), FUNDS - 5000, "sold");
        refused(IExchange.UnknownOrder.selector, o); // once
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        vm.prank(owner);
        c.create(o);
    }

    function testOnlyTheOwnerCreates() public {
        IConditional.Order memory o = stop();
        bytes memory no = err(IExchange.NotAuthorized.selector);
        vm.expectRevert(no);
        vm.prank(ownerOf(B));
        c.create(o);
        vm.expectRevert(no);
        vm.prank(address(c));
        c.create(o);
        o.account = 0;
        vm.expectRevert(no);
        vm.prank(owner);
        c.create(o);
        o.account = 1;
        vm.expectRevert(no); // the fee collector has no conditional orders
        c.create(o);
        o.account = 4711;
        vm.expectRevert(no);
        vm.prank(address(0)); // nobody's account
        c.create(o);
    }

    /// Nobody runs what its owner did not write: another order under a nonce that waits, a nonce that does not, an order of another account.
    function testOnlyWhatWasWrittenRuns() public {
        create(stop(), 0);
        for (uint256 i = 1; i < 8; ++i) {
            IConditional.Order memory o = stop();
            assembly ("memory-safe") {
                let field := add(o, mul(i, 32))
                mstore(field, add(mload(field), 1))
            }
            refused(IExchange.UnknownOrder.selector, o);
        }
        IConditional.Order memory other = stop();
        other.ops = bytes.concat(ops(false), opTake(Take(market, ASK | IOC, 1, 5, ALL_FREE, 0, 0, 0, 0)));
        refused(IExchange.UnknownOrder.selector, other);
        other = stop();
        other.account = B;
        refused(IExchange.UnknownOrder.selector, other);
    }

    function malformed(IConditional.Order memory o) internal {
        vm.expectRevert(err(IExchange.BadOps.selector));
        vm.prank(owner);
        c.create(o);
        bytes memory sig = signed(KEY, o);
        vm.expectRevert(err(IExchange.BadOps.selector));
        c.runSigned(o, sig);
    }

    function testOneOperationInItsMarket() public {
        IConditional.Order memory o = stop();
        bytes memory place_ = opPlace(ASK | POST_ONLY, 120, 5);
        bytes[7] memory bad = [
            bytes(""),
            ops(false),
            bytes.concat(ops(true), place_), // a failure would use it up
            bytes.concat(ops(false), place_, place_),
            bytes.concat(ops(false), opPlace(2, ASK | POST_ONLY, 120, 5, 0, 0, 0)), // another market
            bytes.concat(ops(false), opReplace(1, ASK | POST_ONLY, 120, 5, 0, 0, 0)),
            bytes.concat(sale(), hex"00")
        ];
        for (uint256 i = 0; i < 7; ++i) {
            o.ops = bad[i];
            malformed(o);
        }
        // 29 bytes of an operation that is no PLACE.
        o.ops = bytes.concat(ops(false), opCancel(levelId(market, BID, 100) << 40), opCancel(1), hex"00");
        malformed(o);
        o.ops = bytes.concat(ops(false), place_);
        create(o, 0);
        uint256 id = levelId(market, ASK, 120) << 40;
        eq(run(o), id | 1 << 152, "a PLACE rests");
    }

    function testDrop() public {
        create(stop(), 0.1 ether);
        vm.prank(KEEPER);
        c.drop(7); // a nonce of his own
        require(waits(7) == hashOf(stop()), "the owner's waits on");
        vm.prank(owner);
        c.drop(7);
        eq(owner.balance, 1 ether, "the tip is back");
        refused(IExchange.UnknownOrder.selector, stop());
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        vm.prank(owner);
        c.drop(7);
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        vm.prank(owner);
        c.create(stop());
        // A signature under way is stopped the same way.
        vm.prank(owner);
        c.drop(8);
        IConditional.Order memory o = stop();
        o.nonce = 8;
        bytes memory sig = signed(KEY, o);
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        c.runSigned(o, sig);
    }

    /// A keeper that comes back for the tip from inside it is paid once; one that refuses it has run nothing.
    function testTipIsPaidOnce() public {
        create(stop(), 0.1 ether);
        IConditional.Order memory second = stop();
        second.nonce = 8;
        create(second, 0.1 ether);
        Greedy greedy = new Greedy(c, true);
        vm.expectRevert(err(IExchange.TransferFailed.selector));
        greedy.go(stop());
        require(waits(7) == hashOf(stop()), "it waits on");
        isLevel(BID, 100, 1, 0, 0, 50);
        greedy = new Greedy(c, false);
        greedy.go(stop());
        eq(address(greedy).balance, 0.1 ether, "one tip");
        eq(address(c).balance, 0.1 ether, "the other order's is there");
        isLevel(BID, 100, 1, 0, 5, 45);
    }

    // --------------------------------------------------------------------------------------------------------------------------------- conditions

    function triggered(uint8 kind, uint24 tick, uint48 minOpen) internal view returns (bool) {
        IConditional.Order memory o = stop();
        (o.kind, o.tick, o.minOpen) = (kind, tick, minOpen);
        return c.triggered(o);
    }

    /// Best bid 100 and best ask 110, 50 lots each: every kind around its tick.
    function testEveryKindAroundItsTick() public view {
        for (uint24 d = 0; d < 3; ++d) {
            require(triggered(0, 99 + d, 0) == (100 <= 99 + d), "best bid <= tick");
            require(triggered(1, 109 + d, 0) == (110 >= 109 + d), "best ask >= tick");
            require(triggered(2, 99 + d, 0) == (100 >= 99 + d), "best bid >= tick");
            require(triggered(3, 109 + d, 0) == (110 <= 109 + d), "best ask <= tick");
        }
        require(triggered(4, 0, type(uint48).max), "time only: no book is looked at");
        for (uint8 kind = 0; kind < 4; ++kind) {
            uint24 tick = kind < 2 ? (kind == 0 ? 100 : 110) : (kind == 2 ? 100 : 110);
            require(triggered(kind, tick, 50) && !triggered(kind, tick, 51), "lots behind the touch");
        }
    }

    function testAnEmptySideTriggersNothing() public {
        cancel(B, levelId(market, BID, 100) << 40);
        cancel(B, levelId(market, ASK, 110) << 40);
        for (uint8 kind = 0; kind < 4; ++kind) {
            require(!triggered(kind, kind == 0 || kind == 3 ? type(uint24).max : 0, 0), "empty");
        }
        create(stop(), 0);
        refused(IConditional.NotTriggered.selector, stop());
    }

    /// Expired orders are absent: neither a touch nor lots behind it.
    function testExpiredOrdersTriggerNothing() public {
        placeUntil(B, BID | POST_ONLY, 105, 7, 1100);
        placeUntil(B, BID | POST_ONLY, 100, 7, 1100);
        require(!triggered(0, 100, 0) && triggered(2, 105, 7), "105 lives");
        vm.warp(1100);
        require(triggered(0, 100, 50) && !triggered(0, 100, 51) && !triggered(2, 105, 0), "105 is gone, and 7 lots at 100");
    }

    /// A trace of lots cannot set off an order that asks for more behind the touch.
    function testATraceOfLotsTriggersNothing() public {
        IConditional.Order memory o = stop();
        (o.kind, o.tick, o.minOpen) = (2, 105, 20);
        create(o, 0);
        bid(B, 105, 1);
        refused(IConditional.NotTriggered.selector, o);
        bid(B, 105, 19);
        run(o);
    }

    function testTimes() public {
        IConditional.Order memory o = stop();
        (o.kind, o.notBefore, o.deadline) = (4, 1500, 1600);
        create(o, 0);
        vm.warp(1499);
        refused(IConditional.NotTriggered.selector, o);
        vm.warp(1601);
        refused(IExchange.Expired.selector, o);
        require(!c.triggered(o), "past");
        vm.expectRevert(err(IExchange.Expired.selector));
        vm.prank(owner);
        c.create(o);
        vm.warp(1600);
        run(o);
        o.kind = 5;
        o.nonce = 9;
        vm.expectRevert(err(IExchange.BadMode.selector));
        vm.prank(owner);
        c.create(o);
    }

    /// Slices of a large order: one nonce each, each at its time.
    function testSlices() public {
        for (uint64 i = 0; i < 4; ++i) {
            create(slice(i), 0);
        }
        for (uint64 i = 0; i < 4; ++i) {
            vm.warp(1100 + 100 * i - 1);
            refused(IConditional.NotTriggered.selector, slice(i));
            vm.warp(1100 + 100 * i);
            run(slice(i));
        }
        isLevel(BID, 100, 1, 0, 20, 30);
    }

    function slice(uint64 i) internal view returns (IConditional.Order memory o) {
        o = stop();
        (o.kind, o.notBefore, o.nonce) = (4, uint40(1100 + 100 * i), i);
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- rights

    /// What the exchange refuses reverts whole: the order waits on, the tip stays.
    function testRefusedByTheExchangeWaitsOn() public {
        create(stop(), 0.1 ether);
        vm.prank(owner);
        x.approveAgent(A, address(c), 0, 0, 0, [uint32(0), 0, 0]);
        refused(IExchange.NotAuthorized.selector, stop()); // revoked
        vm.prank(owner);
        x.approveAgent(A, address(c), 9000, 1, 0, [uint32(0), 0, 0]);
        refused(IExchange.NotAuthorized.selector, stop()); // PLACE is not TAKE
        vm.prank(owner);
        x.approveAgent(A, address(c), 9000, 2, 4999, [uint32(0), 0, 0]);
        refused(IExchange.OverCap.selector, stop());
        halt(3);
        refused(IExchange.NotLive.selector, 3);
        halt(1);
        vm.prank(owner);
        x.approveAgent(A, address(c), 9000, 2, 5000, [market, 0, 0]);
        run(stop());
        eq(KEEPER.balance, 0.1 ether, "tip");
    }

    function refused(bytes4 reason, uint256 argument) internal {
        vm.expectRevert(abi.encodeWithSelector(reason, argument));
        vm.prank(KEEPER);
        c.run(stop());
    }

    // ------------------------------------------------------------------------------------------------------------------------------------- signed

    function testRunSigned() public {
        IConditional.Order memory o = stop();
        bytes memory sig = signed(KEY, o);
        vm.prank(KEEPER);
        uint256 result = c.runSigned(o, sig);
        eq(result >> 128 & type(uint48).max, 5, "sold");
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        c.runSigned(o, sig); // once
        refused(IExchange.UnknownOrder.selector, o);
    }

    function badSignature(IConditional.Order memory o, bytes memory sig) internal {
        vm.expectRevert(err(IExchange.BadSignature.selector));
        c.runSigned(o, sig);
    }

    function testForgedSignatures() public {
        IConditional.Order memory o = stop();
        badSignature(o, signed(7, o));
        badSignature(o, mirror(signed(KEY, o)));
        badSignature(o, sign(KEY, domainOf("hifi Exchange", block.chainid, address(c)), hashOf(o)));
        badSignature(o, sign(KEY, domainOf("hifi Conditional", block.chainid, address(x)), hashOf(o)));
        badSignature(o, sign(KEY, domainOf("hifi Conditional", block.chainid + 1, address(c)), hashOf(o)));
        bytes memory sig = signed(KEY, o);
        o.tick = 120;
        badSignature(o, sig);
        o.account = 4711; // nobody's: not even a failed recovery is its owner
        vm.expectRevert(err(IExchange.NotAuthorized.selector));
        c.runSigned(o, new bytes(65));
    }

    /// One nonce is one order, whether left or signed.
    function testANonceIsLeftOrSigned() public {
        IConditional.Order memory o = stop();
        bytes memory sig = signed(KEY, o);
        create(o, 0);
        vm.expectRevert(err(IExchange.NonceUsed.selector));
        c.runSigned(o, sig);
        run(o);
    }

    function testSignedAndNotTriggeredKeepsItsNonce() public {
        IConditional.Order memory o = stop();
        o.tick = 99;
        bytes memory sig = signed(KEY, o);
        vm.expectRevert(err(IConditional.NotTriggered.selector));
        c.runSigned(o, sig);
        require(waits(7) == 0, "not used");
        cancel(B, levelId(market, BID, 100) << 40);
        bid(B, 99, 50);
        c.runSigned(o, sig);
    }
}

/// @notice A keeper that answers the tip by asking for it again, by run and by drop, and may refuse it.
contract Greedy {
    IConditional private immutable c;
    bool private immutable refuses;
    IConditional.Order private order;

    constructor(IConditional c_, bool refuses_) {
        c = c_;
        refuses = refuses_;
    }

    function go(IConditional.Order calldata o) external {
        order = o;
        c.run(o);
    }

    receive() external payable {
        require(!refuses, "no");
        try c.run(order) {
            revert("ran twice");
        } catch (bytes memory reason) {
            require(bytes4(reason) == IExchange.UnknownOrder.selector, "another reason");
        }
        c.drop(order.nonce); // its own nonce, with no tip
    }
}
