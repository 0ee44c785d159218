#!/usr/bin/env node
// Runs the pinned forge and ends with its exit code. npm's own launcher (node_modules/.bin/forge) ends with 0 even when compiling or a test failed.
const { spawnSync } = require("node:child_process");
const { join } = require("node:path");

const arch = { x64: "amd64", arm64: "arm64" }[process.arch] ?? process.arch;
const name = process.platform === "win32" ? "forge.exe" : "forge";
const binary = join(__dirname, "node_modules", "@foundry-rs", `forge-${process.platform}-${arch}`, "bin", name);
const { status, error } = spawnSync(binary, process.argv.slice(2), { cwd: __dirname, stdio: "inherit" });
if (error) console.error(`forge is missing or does not start: run \`npm ci\` in contracts/ (${error.message})`);
process.exit(status ?? 1);
