// Compiles ./src to a WebAssembly component of the world `decider`.
//
//   node build.mjs --modules NODE_MODULES --wit WIT --work DIR --out FILE
//
// QuickJS runs the program up to the end of its modules once, here, and the component holds the memory as it is then.
// So a start costs nothing at run time. Two builds of the same sources differ in their bytes, because QuickJS seeds
// its tables at random while it is built; the decisions do not depend on it.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));

async function main() {
  const { modules, wit, work, out } = options();
  // Tools resolve their own parts relative to themselves, wherever that is.
  const require = createRequire(join(resolve(modules), "anything.js"));
  compile(join(resolve(modules), "typescript/bin/tsc"), resolve(work));
  writeFileSync(out, await componentize(quickjs(require), resolve(wit), resolve(work)));
}

// npm has a package for each kind of machine. The package that chooses among them (componentize-qjs) would require
// all of them.
function quickjs(require) {
  const { platform, arch } = process;
  const name = `@andreiltd/componentize-qjs-binding-${platform}-${arch}${platform === "linux" ? "-gnu" : ""}`;
  try {
    return require(name);
  } catch (error) {
    fail(`no QuickJS for this machine (${error.message}): install package.json's packages, and name them by --modules`);
  }
}

function options() {
  const usage = "usage: node build.mjs --modules NODE_MODULES --wit WIT --work DIR --out FILE";
  const names = ["modules", "wit", "work", "out"];
  try {
    const { values } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: "string" }])) });
    if (names.every((name) => values[name])) return values;
  } catch (error) {
    fail(`${error.message}\n${usage}`);
  }
  fail(usage);
}

function compile(compiler, work) {
  const settings = ["--project", join(here, "tsconfig.json"), "--outDir", work];
  const { status, error } = spawnSync(process.execPath, [compiler, ...settings], { stdio: "inherit" });
  if (error) fail(`TypeScript's compiler does not start: ${error.message}; is it in package.json's versions installed?`);
  if (status !== 0) fail("TypeScript's compiler has found mistakes; they are above");
}

async function componentize({ componentize }, wit, work) {
  const entry = join(work, "component.js");
  const { component } = await componentize({
    witPath: wit,
    world: "decider",
    jsSource: readFileSync(entry, "utf8"),
    jsPath: entry,
    moduleRoot: work,
    // Handlers import nothing: a WASI call of QuickJS becomes a trap.
    stubWasi: true,
    sync: true,
    optSize: true,
  });
  return component;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

await main();
