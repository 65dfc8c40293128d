// Runs inside the pinned Node, under --predictable: evaluates the scripts as the loader will, works
// through command lines with them, and writes a code cache of every function that was compiled.
//
//   node --predictable train.mjs <dir>      dir/loader.cjs, dir/*.js -> dir/*.cache
//
// --predictable makes V8 produce the same cache each time, and leaves the hash of its flags as it is, so
// that the executable, which runs without it, takes the cache (measured with Node 24.21.0).
// stdin: {"lines": string[][], "scripts": string[]}
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Script } from "node:vm";

const [dir = ""] = process.argv.slice(2);
/** @type {{lines: string[][], scripts: string[]}} */
const { lines, scripts } = JSON.parse(readFileSync(0, "utf8"));

/** @type {Map<string, Script>} */
const compiled = new Map();

class RecordedScript extends Script {
  /**
   * @param {string} source
   * @param {{filename: string}} options
   */
  constructor(source, { filename }) {
    super(source, { filename });
    compiled.set(filename.slice("blackstart/".length), this);
  }
}

/** @type {Record<string, unknown>} */
const stubs = {
  "node:sea": {
    /** @param {string} name */
    getRawAsset(name) {
      const bytes = readFileSync(join(dir, name));
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    },
  },
  "node:vm": { Script: RecordedScript },
};
const builtin = createRequire(import.meta.url);
/** @param {string} name */
const require = (name) => stubs[name] ?? builtin(name);

const loader = new Function(
  "require",
  "process",
  `${readFileSync(join(dir, "loader.cjs"), "utf8")}\nreturn load;`,
);
const load = loader(require, {
  argv: ["blackstart", "blackstart", "--version"],
  env: {},
});
const { main } = load("main.js");
for (const line of lines) {
  process.exitCode = 0;
  await main(["blackstart", "blackstart", ...line]);
  if (process.exitCode !== 0) {
    console.error(`training: ${line.join(" ")}: exit ${process.exitCode}`);
  }
}
process.exitCode = 0;
for (const name of scripts) {
  if (name !== "boot") {
    load(`${name}.js`);
  }
}
for (const [name, script] of compiled) {
  writeFileSync(join(dir, `${name}.cache`), script.createCachedData());
}
