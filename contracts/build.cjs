#!/usr/bin/env node
// Compiles the contracts and writes artifacts/*.json, what Rust and TypeScript read, so that neither needs a Solidity compiler.
// `--check` writes nothing and fails if the committed artifacts are not exactly what the sources give. Equal sources give equal bytes.
// sourceHash: sha256 over, for foundry.toml and src/**/*.sol sorted by path relative to this folder, the path's bytes and then the file's bytes.
const { spawnSync } = require("node:child_process");
const { createHash } = require("node:crypto");
const { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const CONTRACTS = { Conditional: "Conditional.sol", Exchange: "Exchange.sol", Lens: "Lens.sol", Token: "Token.sol" };
const BYTES_MAX = 24576; // EIP-170

const root = __dirname;
const check = process.argv.includes("--check");

function sourceHash() {
  const files = readdirSync(join(root, "src"), { recursive: true }).filter((file) => file.endsWith(".sol")).map((file) => `src/${file.replaceAll("\\", "/")}`);
  const hash = createHash("sha256");
  for (const file of [...files, "foundry.toml"].sort()) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

// A fixed set of inputs in folders of its own, and always all of it: the optimiser's output depends on what else is compiled beside, so what a cache left out
// would show in the bytes.
const compiled = spawnSync(
  process.execPath,
  [join(root, "forge.cjs"), "build", "--force", "--skip", "test", "--skip", "script", "--out", "out/artifacts", "--cache-path", "cache/artifacts"],
  { stdio: ["ignore", "ignore", "inherit"] },
);
if (compiled.status !== 0) fail("the contracts do not compile");

const stale = [];
mkdirSync(join(root, "artifacts"), { recursive: true });
for (const [contract, file] of Object.entries(CONTRACTS)) {
  const { abi, bytecode, deployedBytecode } = JSON.parse(readFileSync(join(root, "out", "artifacts", file, `${contract}.json`), "utf8"));
  const bytes = (deployedBytecode.object.length - 2) / 2;
  if (bytes > BYTES_MAX) fail(`${contract} has ${bytes} bytes, more than the ${BYTES_MAX} a chain accepts`);
  if (Object.keys(deployedBytecode.immutableReferences ?? {}).length) fail(`${contract} has immutables: a genesis file could not carry it`);
  const artifact = { contract, abi, bytecode: bytecode.object, deployedBytecode: deployedBytecode.object, sourceHash: sourceHash() };
  const text = `${JSON.stringify(artifact, null, 1)}\n`;
  const path = join(root, "artifacts", `${contract}.json`);
  const same = existsSync(path) && readFileSync(path, "utf8") === text;
  if (!same && check) stale.push(contract);
  if (!same && !check) writeFileSync(path, text);
  console.log(`${contract}: ${bytes} bytes${same ? "" : check ? ", stale" : ", written"}`);
}
if (stale.length) fail(`artifacts of ${stale.join(", ")} are not what the sources give: run \`node contracts/build.cjs\` and commit artifacts/`);

function fail(message) {
  console.error(message);
  process.exit(1);
}
