// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {IExchange} from "../src/interfaces/IExchange.sol";
import {Token} from "../src/Token.sol";
import {Base} from "./Base.sol";
import {Vm} from "./Vm.sol";

/// @notice Tokens, markets and the ways between statuses.
contract MarketsTest is Base {
    address constant GUARDIAN = address(0x6);

    function testCreateMarketListsItsTokens() public {
        Token fresh = new Token("Fresh", "FRESH", 8);
        vm.recordLogs();
        uint32 number = x.createMarket(address(0), address(fresh), 11, 22, 33, 44, -44, 55, 2);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        eq(number, 2, "market");
        uint256 cfg = 1 | 4 << 24 | 11 << 48 | 22 << 112 | uint256(33) << 176 | uint256(44) << 200;
        cfg |= uint256(uint16(int16(-44))) << 216 | uint256(55) << 232 | uint256(2) << 240;
        eq(get(9, 2), cfg, "cfg");
        isLog(logs[0], IExchange.TokenAdded.selector, abi.encode(4, address(fresh)), abi.encode(8));
        isLog(logs[1], IExchange.MarketCreated.selector, abi.encode(2), abi.encode(cfg));
        eq(get(4, uint160(address(fresh))), 4, "tokenOf");
        eq(get(5, 4), 8 << 160 | uint160(address(fresh)), "tokens");
        eq(uint256(vm.load(address(x), bytes32(uint256(3)))), 4 << 32 | 2, "counts");
    }

    function testAddTokenAgainIsNoError() public {
        vm.recordLogs();
        eq(x.addToken(address(base)), 2, "number");
        eq(x.addToken(address(0)), 1, "native");
        eq(vm.getRecordedLogs().length, 0, "no log");
    }

    /// Whatever the exchange answers to calls of its own, it cannot be listed as a token and so be called as one.
    function testTheExchangeIsNoToken() public {
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.addToken(address(x));
        vm.expectRevert(err(IExchange.UnknownToken.selector));
        x.createMarket(address(x), address(quote), 1, 1, 1, 0, 0, 0, 1);
    }

    function testBadMarkets() public {
        bad(address(quote), 1, 1, 1, 0, 0, 1); // quote = base
        bad(address(base), 0, 1, 1, 0, 0, 1);
        bad(address(base), 1, 0, 1, 0, 0, 1);
        bad(address(base), 1, 1, 0, 0, 0, 1);
        bad(address(base), 1, 1, 1, 10_001, 0, 1);
        bad(address(base), 1, 1, 1, 500, -501, 1);
        bad(address(base), 1, 1, 1, 500, 10_001, 1);
        bad(address(base), 1, 1, 1, 0, 0, 0);
        bad(address(base), 1, 1, 1, 0, 0, 3);
        x.createMarket(address(base), address(quote), 1, 1, 1, 10_000, -10_000, 0, 1);
        x.createMarket(address(base), address(quote), 1, 1, 1, 0, 10_000, 0, 1);
    }

    function bad(address base_, uint64 quotePerLotTick, uint64 basePerLot, uint24 minLots, uint16 takerFee, int16 makerFee, uint8 status) private {
        vm.expectRevert(err(IExchange.BadMarket.selector));
        x.createMarket(base_, address(quote), quotePerLotTick, basePerLot, minLots, takerFee, makerFee, 0, status);
    }

    /// Every way between statuses, for owner, guardian and a stranger.
    function testStatuses() public {
        vm.store(address(x), bytes32(uint256(1)), bytes32(uint256(uint160(GUARDIAN))));
        for (uint8 from = 1; from <= 4; ++from) {
            for (uint8 to = 0; to <= 5; ++to) {
                bool owner = to >= 1 && to <= 4 && from != 4 && (to != 4 || from == 3);
                bool guardian = from <= 2 && to == 3;
                way(address(this), from, to, owner, IExchange.BadStatus.selector);
                way(GUARDIAN, from, to, guardian, IExchange.NotAuthorized.selector);
                way(address(0x7), from, to, false, IExchange.NotAuthorized.selector);
            }
        }
        vm.expectRevert(err(IExchange.NoMarket.selector));
        x.setStatus(9, 1);
    }

    function way(address who, uint8 from, uint8 to, bool open, bytes4 reason) private {
        uint256 cfg = get(9, 1) & ~(uint256(0xff) << 240);
        set(9, 1, cfg | uint256(from) << 240);
        if (!open) vm.expectRevert(err(reason));
        vm.recordLogs();
        vm.prank(who);
        x.setStatus(1, to);
        if (!open) return;
        eq(get(9, 1), cfg | uint256(to) << 240, "cfg");
        isLog(vm.getRecordedLogs()[0], IExchange.Status.selector, abi.encode(1), abi.encode(to));
    }
}
