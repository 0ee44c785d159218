#!/usr/bin/env node
// The Solidity compiler for forge, from npm: answers --version as the native binary does, else compiles standard JSON from stdin to stdout.
const { readFileSync } = require("node:fs");
const solc = require("solc");
if (process.argv.includes("--version")) console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version().replace("Emscripten.clang", "Linux.g++")}`);
else process.stdout.write(solc.compile(readFileSync(0, "utf8")));
