// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Base} from "../Base.sol";
import {Keepers} from "./Keepers.sol";

/// @notice After every call of ten random traders: the law of levels, uncrossed books, money conserved to the atom; every result foreseen by a plain model.
contract InvariantsTest is Base {
    Keepers private traders;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public override {
        super.setUp();
        createMarket(5, 700, 150);
        createMarket(1, 700, -430);
        traders = new Keepers(x, lens, base, quote);
        vm.store(address(x), 0, bytes32(uint256(uint160(address(traders)))));
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory actions = new bytes4[](24);
        // Placing eight times as often as anything else.
        for (uint256 i = 0; i < 8; ++i) {
            actions[i] = traders.place.selector;
        }
        actions[8] = traders.cancel.selector;
        actions[9] = traders.reduce.selector;
        actions[10] = traders.collect.selector;
        actions[11] = traders.deposit.selector;
        actions[12] = traders.withdraw.selector;
        actions[13] = traders.turn.selector;
        actions[14] = traders.wait_.selector;
        actions[15] = traders.batch.selector;
        actions[16] = traders.ladder.selector;
        actions[17] = traders.replace.selector;
        actions[18] = traders.cancelUpTo.selector;
        actions[19] = traders.poke.selector;
        actions[20] = traders.prune.selector;
        actions[21] = traders.schedule.selector;
        actions[22] = traders.cancelCloid.selector;
        actions[23] = traders.agent.selector;
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

    /// @dev Half of all actions are orders; tiers and sweeps are rare.
    function act(uint256 what, uint256 seed, uint256 i) private {
        if (what < 16) traders.place(seed);
        else if (what < 18) traders.cancel(seed);
        else if (what == 18) traders.reduce(seed);
        else if (what == 19) traders.collect(seed);
        else if (what == 20) traders.deposit(seed);
        else if (what == 21) traders.withdraw(seed);
        else if (what == 22) traders.wait_(seed);
        else if (what == 23) traders.batch(seed);
        else if (what == 24) traders.ladder(seed);
        else if (what == 25) traders.replace(seed);
        else if (what == 26) traders.cancelUpTo(seed);
        else if (what == 27) traders.prune(seed);
        else if (what == 28) traders.poke(seed);
        else if (what == 29) traders.agent(seed);
        else if (what == 30) traders.cancelCloid(seed);
        else if (i % 4 == 0) traders.turn(seed);
        else if (i % 4 == 1) traders.schedule(seed);
        else if (i % 4 == 2) traders.tier(seed);
        else traders.sweep(seed);
    }

    /// A long stream with a fixed seed: deeper books than the short runs reach, and never shallow: refusals stay under three in ten.
    function testLongStream() external {
        for (uint256 i = 0; i < 1000; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("long stream", i)));
            act(seed % 32, seed, i);
            if (i % 25 == 0) {
                traders.checkLevels();
                traders.checkMoney();
            }
        }
        traders.checkLevels();
        traders.checkMoney();
        require(traders.calls() > 500, "calls");
        // Counted are the actions whose answer the model foresees; those held to simpler ones are not refusals.
        require(traders.refusals() * 10 < traders.calls() * 3, string.concat("too shallow, refused: ", vm.toString(traders.refusals())));
    }
}
