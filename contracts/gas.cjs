#!/usr/bin/env node
// Prints what each operation costs as a whole transaction, its gate, and what it costs elsewhere. Measures nothing: our figures are those of
// snapshots/gas.json (test/Gas.t.sol holds them to the code), the gates are read from that test, and the peers' were measured on their contracts with the
// same book. `--docs` writes our rows into docs/contract.md.
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

// Row of the snapshot, and its peers: Kuru, Clober v2, GTE. null: not offered, or paid by the taker.
const ROWS = [
  ["place_new_level_new_branch", "place, new level, new bitmap branch", 206517, 333167, 348129],
  ["place_new_level_word_in_use", "place, new level", 162016, 288462, 353367],
  ["place_existing_half_word", "place, existing level, half of a word", 147081, 199655, 278727],
  ["place_existing_new_word", "place, existing level, new word", 147081, 199655, 278727],
  ["cancel_level_stays", "cancel, level stays", 73349, 122327, 101001],
  ["cancel_level_emptied", "cancel, level emptied", 68882, 127540, 123204],
  ["take_1_order", "take 1 order", 135255, 147080, 175963],
  ["take_part_of_1", "take part of 1 order", 132953, 129849, 176451],
  ["take_10_orders_sweep", "take 10 orders of a level, all of it", 346244, 129992, 558634],
  ["take_10_orders_walk", "take 10 orders of a level, not all", 346244, 129992, 558634],
  ["take_10_levels", "take 10 levels of 1 order", 401117, 423807, 715302],
  ["take_100_orders_sweep", "take 100 orders of a level, all of it", 3925232, 153941, 4081260],
  ["take_100_orders_walk", "take 100 orders of a level, not all", 3925232, 153941, 4081260],
  ["take_past_10_expired", "take past 10 expired orders", null, null, null],
  ["claim", "claim, a transaction of its own", null, 122382, null],
  ["claim_one_more", "claim, one more in a list", null, null, null],
  ["claim_one_more_in_execute", "claim, one more in a batch", null, null, null],
  ["place_10_new_levels", "place 10 on new levels, one batch", 951427, 2035423, null],
  ["requote_5_5_ticks_used_before", "requote 5 + 5, ticks used before", 579680, 1279419, null],
  ["requote_5_5_levels_stay", "requote 5 + 5, levels that stay", 579680, 1279419, null],
];

const figures = JSON.parse(readFileSync(join(__dirname, "snapshots", "gas.json"), "utf8"));
const gates = new Map();
for (const [, name, most] of readFileSync(join(__dirname, "test", "Gas.t.sol"), "utf8").matchAll(/gate\("(\w+)", ([\d_]+)\)/g)) {
  gates.set(name, Number(most.replaceAll("_", "")));
}

const shown = (n) => (n === null || n === undefined ? "-" : n.toLocaleString("en-GB")).padStart(11);
console.log(`${"gas of a whole transaction".padEnd(40)}${["hifi", "gate", "Kuru", "Clober v2", "GTE"].map((head) => head.padStart(11)).join("")}`);
for (const [name, says, ...peers] of ROWS) {
  console.log(`${says.padEnd(40)}${shown(figures[name])}${shown(gates.get(name))}${peers.map(shown).join("")}`);
}

if (process.argv.includes("--docs")) {
  const path = join(__dirname, "..", "docs", "contract.md");
  const rows = ROWS.map(([name, says]) => `| ${says} | ${shown(figures[name]).trim()} | ${shown(gates.get(name)).trim()} |`);
  const table = ["| operation | gas | gate |", "|---|---|---|", ...rows].join("\n");
  writeFileSync(path, readFileSync(path, "utf8").replace(/\| operation \| gas \|[^]*?\n(?=\n)/, `${table}\n`));
}

const known = new Set(ROWS.map(([name]) => name));
const bad = [...Object.keys(figures), ...gates.keys()].filter((name) => !known.has(name) || !gates.has(name) || !(figures[name] <= gates.get(name)));
for (const name of new Set(bad)) console.error(`${name}: no row here, no gate, or ${figures[name]} is above it`);
process.exitCode = bad.length ? 1 : 0;
