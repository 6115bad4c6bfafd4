// Compiles ./solidity to one JSON file per contract: {"contractName", "abi", "bytecode"}.
//
//   node compile.mjs --modules NODE_MODULES --out DIR [--write]
//
// The same sources give the same bytes on every machine. bytecode.sha256 holds the digest of all of them. A build
// with another digest fails, unless --write confirms that the change is intended.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const digestFile = join(here, "bytecode.sha256");

const SETTINGS = {
  evmVersion: "cancun",
  optimizer: { enabled: true, runs: 200 },
  // No metadata at the end of the code, because it would change with every comment.
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
};

function main() {
  const { modules, out, write } = options();
  const contracts = compile(loadCompiler(modules), readSources());
  const digest = digestOf(contracts);
  checkDigest(digest, write);
  writeArtifacts(contracts, out);
  console.log(digest);
}

function options() {
  const usage = "usage: node compile.mjs --modules NODE_MODULES --out DIR [--write]";
  try {
    const spec = { modules: { type: "string" }, out: { type: "string" }, write: { type: "boolean" } };
    const { values } = parseArgs({ options: spec });
    if (values.modules && values.out) return values;
  } catch (error) {
    fail(`${error.message}\n${usage}`);
  }
  fail(usage);
}

function loadCompiler(modules) {
  const { dependencies } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  const remedy = `run "npm ci" with contracts/package.json and name its node_modules by --modules`;
  // solc resolves its own dependencies relative to itself, wherever that is.
  const require = createRequire(join(resolve(modules), "anything.js"));
  let solc;
  try {
    solc = require("solc");
  } catch (error) {
    fail(`no Solidity compiler in ${modules} (${error.code ?? error.message}): ${remedy}`);
  }
  if (!solc.version().startsWith(`${dependencies.solc}+`)) {
    fail(`${modules} has solc ${solc.version()}, but package.json pins ${dependencies.solc}: ${remedy}`);
  }
  return solc;
}

function readSources() {
  const folder = join(here, "solidity");
  const names = readdirSync(folder).filter((name) => name.endsWith(".sol")).sort();
  return Object.fromEntries(names.map((name) => [name, { content: readFileSync(join(folder, name), "utf8") }]));
}

// Warnings count as errors: these contracts are small enough to have none.
function compile(solc, sources) {
  const input = { language: "Solidity", sources, settings: SETTINGS };
  const { contracts = {}, errors = [] } = JSON.parse(solc.compile(JSON.stringify(input)));
  if (errors.length > 0) fail(errors.map((error) => error.formattedMessage).join("\n"));
  return Object.values(contracts)
    .flatMap((inFile) => Object.entries(inFile))
    .map(([contractName, { abi, evm }]) => ({ contractName, abi, bytecode: `0x${evm.bytecode.object}` }))
    .filter(({ bytecode }) => bytecode !== "0x") // interfaces
    .sort((a, b) => (a.contractName < b.contractName ? -1 : 1));
}

function digestOf(contracts) {
  const hash = createHash("sha256");
  for (const { contractName, bytecode } of contracts) hash.update(`${contractName} ${bytecode}\n`);
  return hash.digest("hex");
}

function checkDigest(digest, write) {
  if (write) return writeFileSync(digestFile, `${digest}\n`);
  const expected = readFileSync(digestFile, "utf8").trim();
  if (digest === expected) return;
  fail(
    `the contracts compile to ${digest},\nbut contracts/bytecode.sha256 says ${expected}.\n` +
      "If you changed them on purpose, run this command again with --write and commit the file.",
  );
}

function writeArtifacts(contracts, out) {
  mkdirSync(out, { recursive: true });
  for (const contract of contracts) {
    writeFileSync(join(out, `${contract.contractName}.json`), `${JSON.stringify(contract)}\n`);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

main();
