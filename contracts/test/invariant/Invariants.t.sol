// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Base} from "../Base.sol";
import {Traders} from "./Traders.sol";

/// @notice After every call of ten random traders: the law of levels, uncrossed books, money conserved to the atom; every result foreseen by a plain model.
contract InvariantsTest is Base {
    Traders private traders;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public override {
        super.setUp();
        createMarket(5, 700, 150);
        createMarket(1, 700, -430);
        traders = new Traders(x, lens, base, quote);
        vm.store(address(x), 0, bytes32(uint256(uint160(address(traders)))));
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory actions = new bytes4[](11);
        // Placing five times as often as anything else.
        for (uint256 i = 0; i < 5; ++i) {
            actions[i] = Traders.place.selector;
        }
        actions[5] = Traders.cancel.selector;
        actions[6] = Traders.reduce.selector;
        actions[7] = Traders.collect.selector;
        actions[8] = Traders.deposit.selector;
        actions[9] = Traders.withdraw.selector;
        actions[10] = Traders.turn.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(traders), actions);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(traders);
    }

    function invariant_lawOfLevelsAndMoney() external view {
        traders.checkLevels();
        traders.checkMoney();
    }

    /// A long stream with a fixed seed: deeper books than the short runs reach, and never shallow: refusals stay under three in ten.
    function testLongStream() external {
        for (uint256 i = 0; i < 1500; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("long stream", i)));
            uint256 what = seed % 16;
            if (what < 9) traders.place(seed);
            else if (what < 11) traders.cancel(seed);
            else if (what < 12) traders.reduce(seed);
            else if (what < 13) traders.collect(seed);
            else if (what < 14) traders.deposit(seed);
            else if (what < 15) traders.withdraw(seed);
            else if (i % 8 == 0) traders.turn(seed);
            if (i % 25 == 0) {
                traders.checkLevels();
                traders.checkMoney();
            }
        }
        traders.checkLevels();
        traders.checkMoney();
        require(traders.calls() > 1000, "calls");
        require(traders.refusals() * 10 < traders.calls() * 3, string.concat("too shallow, refused: ", vm.toString(traders.refusals())));
    }
}
