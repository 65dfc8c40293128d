// @ts-nocheck: it is a script in the executable, with a `require` that knows built-in modules only.
// The main script inside the executable: runs src/main.ts from the assets that scripts/build.mjs made.
//
// Each pair of assets is `<name>.js`, a script that evaluates to `{ "<file>": function (require, module,
// exports) {…}, … }`, and `<name>.cache`, V8's code cache made after a run. `boot` holds main.ts and all
// that it imports statically; every other file is a pair of its own and is loaded when a dynamic import
// first asks for it. A cache is only ever a shortcut: a missing or refused one costs time, nothing else.
"use strict";
const { getRawAsset } = require("node:sea");
const { Script } = require("node:vm");

const factories = Object.create(null);
const loaded = new Map();

function load(file) {
  const known = loaded.get(file);
  if (known !== undefined) {
    return known.exports;
  }
  if (factories[file] === undefined) {
    evaluate(file.slice(0, -".js".length));
  }
  const module = { exports: {} };
  loaded.set(file, module);
  factories[file](resolve, module, module.exports);
  return module.exports;
}

function resolve(name) {
  return name.startsWith("./") ? load(name.slice(2)) : require(name);
}

function evaluate(name) {
  const script = new Script(Buffer.from(getRawAsset(`${name}.js`)).toString("latin1"), {
    filename: `blackstart/${name}`,
    cachedData: cache(name),
  });
  Object.assign(factories, script.runInThisContext());
}

function cache(name) {
  try {
    return Buffer.from(getRawAsset(`${name}.cache`));
  } catch {
    return undefined;
  }
}

evaluate("boot");
load("main.js").main(process.argv);
