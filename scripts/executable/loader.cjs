// @ts-nocheck: it is a script in the executable, with a `require` that knows built-in modules only.
// The main script inside the executable: runs src/main.ts from the assets that scripts/build.mjs made.
//
// Each pair of assets is `<name>.js`, a script that evaluates to `{ "<file>": function (require, module,
// exports) {…}, … }`, and `<name>.cache`, V8's code cache of it. `boot` holds main.ts and all
// that it imports statically; every other file is a pair of its own and is loaded when a dynamic import
// first asks for it. A cache is only ever a shortcut: a missing or refused one costs time, nothing else.
"use strict";
const { getRawAsset } = require("node:sea");
const { Script } = require("node:vm");

// Variables that Node or OpenSSL act on before this line, or that weaken TLS: start again without them.
// What only a unit can close (LD_PRELOAD, and code that OPENSSL_CONF has loaded by now) is in its
// UnsetEnvironment=. NODE_OPTIONS is closed by the blob's execArgvExtension, SIGUSR1 by its execArgv;
// NODE_EXTRA_CA_CERTS and SSL_CERT_* add to default roots, which are never used: TLS here names its CA.
const doors =
  /^(NODE_(DEBUG|DEBUG_NATIVE|V8_COVERAGE|COMPILE_CACHE|USE_ENV_PROXY|ICU_DATA|TLS_REJECT_UNAUTHORIZED)|OPENSSL_(CONF|MODULES|ENGINES))$/;
const names = Object.keys(process.env);
if (names.some((name) => doors.test(name))) {
  const kept = names.filter((name) => !doors.test(name));
  const environment = Object.fromEntries(kept.map((name) => [name, process.env[name]]));
  process.execve(process.execPath, process.argv.slice(1), environment);
}

const factories = Object.create(null);
const loaded = new Map();
// Until V8 refuses one, for its flags have changed: it would refuse the others too, and reading them costs memory.
let cachesFit = true;

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
  cachesFit &&= script.cachedDataRejected !== true;
  Object.assign(factories, script.runInThisContext());
}

function cache(name) {
  if (!cachesFit) {
    return undefined;
  }
  try {
    return Buffer.from(getRawAsset(`${name}.cache`));
  } catch {
    return undefined;
  }
}

evaluate("boot");
load("main.js").main(process.argv);
