#!/usr/bin/env node
// Plants the faults of mutants/*.patch, one at a time, in a copy of this folder, and demands that a test fails: proof that the suite can see them.
//   node mutants.cjs [--jobs N] [--only WORD] [--fast]
//                             compile and test each one; ends with 1 if one survives, does not apply or does not compile; --fast: without random traders
//   node mutants.cjs --check  only that every patch still applies; a second, part of the build
// Run by hand and before a release (about 30 s a fault and core). Never touches the sources here. A patch begins with one sentence that says what breaks.
// The figures of snapshots/gas.json are left out: any change of code changes them, so they would catch everything and prove nothing; the gates stay in.
const { spawn, spawnSync } = require("node:child_process");
const { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join, basename } = require("node:path");

const COPIED = ["src", "test", "script", "artifacts", "snapshots", "foundry.toml", "package.json", "forge.cjs", "solc.cjs"];
// What finds most, first; each ends at its first failure.
const SLOW = "Invariants|LensFuzz";
const SUITES = [["--no-match-contract", SLOW], ["--match-contract", SLOW]].slice(0, process.argv.includes("--fast") ? 1 : 2);
const SECONDS_MAX = 600;

const root = __dirname;
const option = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined);
const patches = readdirSync(join(root, "mutants"))
  .filter((file) => file.endsWith(".patch") && (option("--only") ?? "").split(",").some((word) => file.includes(word)))
  .sort();

/**
 * A copy of the project outside of any repository. A worker has two: faults are planted and compiled in one, and only the bytes go over to the other, so that
 * no test is ever compiled again.
 */
function copy() {
  const folder = mkdtempSync(join(tmpdir(), "hifi-mutants-"));
  for (const name of COPIED) if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** `git apply`, which needs no repository; `how` may be --check or --reverse. */
function apply(folder, patch, ...how) {
  const { status, stderr } = spawnSync("git", ["apply", "-p2", "-C1", ...how, join(root, "mutants", patch)], { cwd: folder, encoding: "utf8", env: alone(folder) });
  return status === 0 ? null : stderr.trim();
}

const alone = (folder) => ({ ...process.env, GIT_CEILING_DIRECTORIES: join(folder, ".."), NO_COLOR: "1" });

/** Forge in the copy, with everything it says. */
function forge(folder, profile, args) {
  return new Promise((resolve) => {
    const env = { ...alone(folder), FOUNDRY_PROFILE: profile, FOUNDRY_FUZZ_RUNS: "64" };
    const child = spawn(process.execPath, [join(folder, "forge.cjs"), ...args], { cwd: folder, env, timeout: SECONDS_MAX * 1000 });
    let text = "";
    child.stdout.on("data", (bytes) => (text += bytes));
    child.stderr.on("data", (bytes) => (text += bytes));
    child.on("close", (status) => resolve({ status, text }));
  });
}

/** Compiles the exchange, and what the patch touches beside it, into the artifacts that the tests read. */
async function compile(folder, text, tests) {
  const touched = [...text.matchAll(/^\+\+\+ b\/contracts\/(\S+\.sol)/gm)].map((match) => match[1]).filter((file) => !file.includes("/libraries/"));
  // Reader and Preview are parts of the lens and of the conditional orders: what is deployed is compiled, whichever part is touched.
  const whole = touched.flatMap((file) => (file.startsWith("src/periphery/") ? ["src/periphery/Lens.sol", "src/periphery/Conditional.sol"] : [file]));
  const files = [...new Set(["src/Exchange.sol", ...whole])];
  const { status, text: said } = await forge(folder, "default", ["build", ...files, "--out", "out/artifacts", "--cache-path", "cache/artifacts"]);
  if (status !== 0) return said;
  for (const name of files.map((file) => basename(file, ".sol"))) {
    const { abi, bytecode, deployedBytecode } = JSON.parse(readFileSync(join(folder, "out", "artifacts", `${name}.sol`, `${name}.json`), "utf8"));
    writeFileSync(join(tests, "artifacts", `${name}.json`), JSON.stringify({ abi, bytecode: bytecode.object, deployedBytecode: deployedBytecode.object }));
  }
  return null;
}

/** @returns the first test that fails, with its reason; null if all pass */
async function caught(folder, suites = SUITES) {
  for (const suite of suites) {
    const { status, text } = await forge(folder, "test", ["test", "--fail-fast", "--no-match-test", "testSnapshot", ...suite]);
    if (status === 0) continue;
    const contract = text.match(/for (test\/\S+)\n(?:\[PASS\][^\n]*\n|\s+\[[^\n]*\n)*\[FAIL/)?.[1];
    const failure = text.match(/^\[FAIL:? ?([^\n]{0,90})[^\n]*?\] (\w+)/m);
    if (!failure) return `no test, but forge itself: ${text.trim().split("\n").slice(-6).join(" ")}`.slice(0, 400);
    return `${contract ?? ""} ${failure[2]} (${failure[1]})`.trim();
  }
  return null;
}

/** The tests of the libraries compile these themselves; they see a fault in the sources alone. */
async function caughtInLibraries(tests, patch) {
  if (apply(tests, patch)) return null;
  try {
    return await caught(tests, [["--match-path", "test/libraries/*"]]);
  } finally {
    apply(tests, patch, "--reverse");
  }
}

async function tryOut(folder, tests, patch) {
  const text = readFileSync(join(root, "mutants", patch), "utf8");
  const refused = apply(folder, patch);
  if (refused) return { ok: false, says: `does not apply: ${refused}` };
  try {
    const broken = await compile(folder, text, tests);
    if (broken) return { ok: false, says: `does not compile: ${broken.slice(-600)}` };
    const by = (await caught(tests)) ?? (text.includes("/libraries/") ? await caughtInLibraries(tests, patch) : null);
    if (text.includes("/periphery/")) cpSync(join(root, "artifacts"), join(tests, "artifacts"), { recursive: true });
    return by ? { ok: !by.startsWith("no test"), says: `caught by ${by}` } : { ok: false, says: "SURVIVED" };
  } finally {
    const left = apply(folder, patch, "--reverse");
    if (left) throw new Error(`${patch} cannot be taken back: ${left}`);
  }
}

async function worker(queue, tally) {
  const [folder, tests] = [copy(), copy()];
  try {
    // Without a fault the suite must pass, or a catch would mean nothing; this also fills the compiler's cache.
    const healthy = (await compile(folder, "", tests)) ?? (await caught(tests));
    if (healthy) throw new Error(`the suite fails without any fault: ${healthy}`);
    for (let patch = queue.shift(); patch; patch = queue.shift()) {
      const start = Date.now();
      const { ok, says } = await tryOut(folder, tests, patch);
      console.log(`${ok ? "ok  " : "FAIL"} ${patch.padEnd(44)} ${String(Math.round((Date.now() - start) / 1000)).padStart(3)} s  ${says}`);
      tally[ok ? "good" : "bad"] += 1;
    }
  } finally {
    for (const made of [folder, tests]) rmSync(made, { recursive: true, force: true });
  }
}

function check() {
  const folder = copy();
  const bad = patches.map((patch) => [patch, apply(folder, patch, "--check")]).filter(([, refused]) => refused);
  rmSync(folder, { recursive: true, force: true });
  for (const [patch, refused] of bad) console.error(`${patch} does not apply: ${refused}`);
  console.log(`${patches.length - bad.length} of ${patches.length} mutants apply`);
  process.exitCode = bad.length ? 1 : 0;
}

async function main() {
  if (process.argv.includes("--check")) return check();
  const tally = { good: 0, bad: 0 };
  const queue = [...patches];
  await Promise.all(Array.from({ length: Number(option("--jobs") ?? 1) }, () => worker(queue, tally)));
  console.log(`${tally.good} of ${patches.length} planted faults caught`);
  process.exitCode = tally.bad ? 1 : 0;
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
