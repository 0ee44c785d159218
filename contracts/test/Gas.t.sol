// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Batches} from "./Batches.sol";

/// @notice Gas of whole transactions, against the gates of docs/contract.md and the committed snapshots/gas.json.
/// `HIFI_WRITE_GAS=true FOUNDRY_PROFILE=test forge test --match-contract GasTest` writes the snapshot; `npm run gas` prints it beside the peers' figures.
/// Both sides of the book hold orders, both balance words of every account are in use.
contract GasTest is Batches {
    uint32 constant MAKER = 300;
    uint32 constant OTHER = 301;
    uint32 constant TAKER = 305;
    string constant FILE = "snapshots/gas.json";

    string[] private names;
    uint256[] private figures;

    function setUp() public override {
        super.setUp();
        enrol(MAKER);
        enrol(OTHER);
        enrol(TAKER);
        // A living market: both sides open near the touch, fees owed by the taker already.
        ask(OTHER, 1100, 50);
        bid(OTHER, 900, 50);
        buy(TAKER, 1100, 1);
        sell(TAKER, 900, 1);
    }

    /// @dev One figure: within its gate, and remembered.
    function gate(string memory name, uint256 most) private {
        if (lastGas > most) revert(string.concat(name, " costs ", vm.toString(lastGas), ", gate ", vm.toString(most)));
        names.push(name);
        figures.push(lastGas);
    }

    /// Every operation costs at most what the design promises.
    function testGates() public {
        measure();
    }

    /// And exactly what the committed file says.
    function testSnapshot() public {
        measure();
        compare();
    }

    function measure() private {
        takes();
        expired();
        claims();
        places();
        batches();
    }

    function places() private {
        ask(MAKER, 200_000, 5);
        gate("place_new_level_new_branch", 150_000);
        ask(MAKER, 1200, 5);
        ask(MAKER, 1201, 5);
        gate("place_new_level_word_in_use", 105_000);
        uint256 id = ask(MAKER, 1201, 5);
        gate("place_existing_half_word", 60_000);
        ask(MAKER, 1201, 5);
        gate("place_existing_new_word", 75_000);
        cancel(MAKER, id);
        gate("cancel_level_stays", 48_000);
        id = ask(MAKER, 1300, 5);
        cancel(MAKER, id);
        gate("cancel_level_emptied", 48_000);
    }

    function takes() private {
        ask(MAKER, 1000, 5);
        buy(TAKER, 1000, 5);
        gate("take_1_order", 65_000);
        ask(MAKER, 1001, 5);
        buy(TAKER, 1001, 3);
        gate("take_part_of_1", 68_000);
        buy(TAKER, 1001, 2);
        queue(1002, 10);
        buy(TAKER, 1002, 50);
        gate("take_10_orders_sweep", 65_000);
        queue(1003, 11);
        buy(TAKER, 1003, 50);
        gate("take_10_orders_walk", 85_000);
        buy(TAKER, 1003, 5);
        for (uint24 tick = 1010; tick < 1020; ++tick) {
            ask(MAKER, tick, 5);
        }
        buy(TAKER, 1019, 50);
        gate("take_10_levels", 155_000);
        queue(1004, 100);
        buy(TAKER, 1004, 500);
        gate("take_100_orders_sweep", 65_000);
        queue(1005, 101);
        buy(TAKER, 1005, 500);
        gate("take_100_orders_walk", 260_000);
    }

    function claims() private {
        uint256[] memory ids = new uint256[](2);
        uint256 alone = ask(MAKER, 1000, 5);
        ids[0] = ask(MAKER, 1001, 5);
        ids[1] = ask(MAKER, 1002, 5);
        buy(TAKER, 1002, 15);
        claim(alone);
        gate("claim", 48_000);
        x.claim(ids);
        uint256 two = spent();
        // The first of a batch costs what it costs alone, but for one element of calldata.
        lastGas = two - lastGas;
        gate("claim_one_more", 8000);
    }

    /// Ten orders that ran out lie ahead of a live one.
    function expired() private {
        for (uint256 i = 0; i < 10; ++i) {
            placeUntil(MAKER, ASK | POST_ONLY, 950, 5, uint32(block.timestamp + 60));
        }
        ask(MAKER, 950, 5);
        uint256 then = block.timestamp;
        vm.warp(then + 60);
        eq(buy(TAKER, 950, 5), 5, "the eleventh");
        eq(level(ASK, 950).head, 11, "past ten");
        gate("take_past_10_expired", 130_000);
        vm.warp(then);
    }

    function batches() private {
        run(MAKER, bytes.concat(ops(false), opLadder(market, ASK | POST_ONLY, 1400, 1, 0, 0, rungs(10, 5))));
        gate("place_10_new_levels", 640_000);
        // A ladder of five moves away and back: its levels were used before and are empty now.
        uint256[] memory quotes = quoting(1500);
        quotes = requote(1510, quotes);
        quotes = requote(1500, quotes);
        gate("requote_5_5_ticks_used_before", 300_000);
        // Somebody else rests on every level, in half a word of records.
        for (uint24 i = 0; i < 5; ++i) {
            ask(OTHER, 1500 + i, 5);
            ask(OTHER, 1510 + i, 5);
            if (level(ASK, 1500 + i).tail & 1 == 0) ask(OTHER, 1500 + i, 5);
            if (level(ASK, 1510 + i).tail & 1 == 0) ask(OTHER, 1510 + i, 5);
        }
        quotes = requote(1510, quotes);
        gate("requote_5_5_levels_stay", 185_000);
        oneMoreClaim();
    }

    function quoting(uint24 lowest) private returns (uint256[] memory ids) {
        ids = new uint256[](5);
        for (uint24 i = 0; i < 5; ++i) {
            ids[i] = ask(MAKER, lowest + i, 5);
        }
    }

    /// @dev The market maker's move in one transaction: five old quotes out, five new ones in. Nothing may fail.
    function requote(uint24 lowest, uint256[] memory old) private returns (uint256[] memory ids) {
        bytes memory batch = ops(true);
        for (uint256 i = 0; i < 5; ++i) {
            batch = bytes.concat(batch, opCancel(old[i]));
        }
        bytes memory results = run(MAKER, bytes.concat(batch, opLadder(market, ASK | POST_ONLY, lowest, 1, 0, 0, rungs(5, 5))));
        ids = new uint256[](5);
        for (uint256 i = 0; i < 5; ++i) {
            eq(word(results, i), 5, "cancelled");
            ids[i] = word(results, 5 + i) & type(uint104).max;
            eq(record(ids[i]) & type(uint48).max, 5, "it rests");
        }
    }

    /// @dev A batch with two claims, less the same with one.
    function oneMoreClaim() private {
        uint256[3] memory ids = [ask(MAKER, 960, 5), ask(MAKER, 961, 5), ask(MAKER, 962, 5)];
        buy(TAKER, 962, 15);
        run(MAKER, bytes.concat(ops(true), opClaim(ids[0])));
        uint256 alone = lastGas;
        bytes memory results = run(MAKER, bytes.concat(ops(true), opClaim(ids[1]), opClaim(ids[2])));
        eq(word(results, 1), 5 << 48, "paid");
        lastGas -= alone;
        gate("claim_one_more_in_execute", 8000);
    }

    function queue(uint24 tick, uint256 n) private {
        for (uint256 i = 0; i < n; ++i) {
            ask(MAKER, tick, 5);
        }
    }

    /// @dev The snapshot must say what was measured, so that every change of cost is a change of the file.
    function compare() private {
        string memory text = "{\n";
        for (uint256 i = 0; i < names.length; ++i) {
            string memory end = i + 1 == names.length ? "\n" : ",\n";
            text = string.concat(text, '  "', names[i], '": ', vm.toString(figures[i]), end);
        }
        text = string.concat(text, "}\n");
        if (vm.envOr("HIFI_WRITE_GAS", false)) vm.writeFile(FILE, text);
        string memory committed = vm.readFile(FILE);
        for (uint256 i = 0; i < names.length; ++i) {
            string memory name = string.concat(".", names[i]);
            eq(vm.keyExistsJson(committed, name) ? vm.parseJsonUint(committed, name) : 0, figures[i], string.concat(names[i], ", snapshots/gas.json"));
        }
        require(
            keccak256(bytes(text)) == keccak256(bytes(committed)),
            "snapshots/gas.json has other rows; HIFI_WRITE_GAS=true FOUNDRY_PROFILE=test forge test writes it"
        );
    }
}
