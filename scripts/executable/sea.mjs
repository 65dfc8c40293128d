// Scripts + a Node binary -> one executable.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanEnvironment, hostArch, repository } from "../install.mjs";

/** The sentinel in every Node binary. Source: nodejs/node v24.21.0 `src/node_sea.cc`. */
const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

/** Strips what no run needs; `strip` of binutils knows only its own machine. */
const strippers = { x64: ["x86_64-linux-gnu-strip"], arm64: ["aarch64-linux-gnu-strip"] };

/**
 * Makes a copy of a Node binary without symbols; without a fitting strip, a plain copy.
 *
 * Must come before the injection: strip breaks an executable that already holds a blob.
 *
 * @param {string} node
 * @param {import("../install.mjs").Arch} arch
 * @param {string} to
 * @returns {boolean} whether it was stripped
 */
export function stripNode(node, arch, to) {
  const own = arch === hostArch() ? ["strip"] : [];
  for (const strip of [...own, ...strippers[arch], "llvm-strip"]) {
    if (spawnSync(strip, ["--strip-all", "-o", to, node], { stdio: "ignore" }).status === 0) {
      return true;
    }
  }
  copyFileSync(node, to);
  chmodSync(to, 0o755);
  return false;
}

/**
 * Makes `<name>.cache` beside each `<name>.js` in `dir`.
 *
 * @param {string} dir
 * @param {readonly string[]} node  command that runs the executable's Node
 */
export function compile(dir, [file = "", ...args]) {
  run(file, [...args, "--predictable", join(import.meta.dirname, "compile.mjs"), dir], dir);
}

/**
 * Makes the blob of everything in `dir`: loader.cjs as the main script, all `.js` and `.cache` as assets.
 *
 * The blob's format belongs to the Node version, not to the machine: `generator` may be of another architecture.
 *
 * @param {string} dir
 * @param {string} generator  a Node of the executable's version that runs here
 * @returns {string} the blob's file
 */
export function makeBlob(dir, generator) {
  const assets = readdirSync(dir)
    .filter((name) => /\.(js|cache)$/.test(name))
    .sort();
  const config = {
    main: "loader.cjs",
    output: "blackstart.blob",
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    // The loader is one page; what it loads has better caches of its own.
    useCodeCache: false,
    // NODE_OPTIONS and --node-options stay without effect; SIGUSR1 is blocked: it opens no inspector.
    // A young generation of 16 MB takes a whole restore without a collection: 63 instead of 82 ms of CPU on
    // a busy machine, for 0.8 MB more (Node 24.21.0). Neither flag changes the hash of V8's flags, so both
    // the caches in the blob and Node's own stay valid; with most other flags of V8 they would not.
    execArgv: ["--disable-sigusr1", "--min-semi-space-size=16"],
    execArgvExtension: "none",
    assets: Object.fromEntries(assets.map((name) => [name, name])),
  };
  writeFileSync(join(dir, "sea.json"), JSON.stringify(config));
  run(generator, ["--experimental-sea-config", "sea.json"], dir);
  return join(dir, config.output);
}

/**
 * Injects the blob into the Node binary, in place.
 *
 * @param {string} executable
 * @param {string} blob
 */
export function injectBlob(executable, blob) {
  const postject = join(repository, "node_modules/postject/dist/cli.js");
  const args = [executable, "NODE_SEA_BLOB", blob, "--sentinel-fuse", fuse];
  run(process.execPath, [postject, ...args], repository);
}

/**
 * How to run a binary of that architecture here: [] for our own, qemu where it is installed.
 *
 * @param {import("../install.mjs").Arch} arch
 * @returns {readonly string[] | undefined} undefined when it cannot run here
 */
export function runner(arch) {
  if (arch === hostArch()) {
    return [];
  }
  const [qemu, sysroot] =
    arch === "arm64"
      ? ["qemu-aarch64-static", "/usr/aarch64-linux-gnu"]
      : ["qemu-x86_64-static", "/usr/x86_64-linux-gnu"];
  const isThere =
    existsSync(sysroot) && spawnSync(qemu, ["--version"], { stdio: "ignore" }).status === 0;
  return isThere ? [qemu, "-L", sysroot] : undefined;
}

/**
 * Runs a tool whose chatter on stderr is worth reading only when it fails.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {string} cwd
 */
function run(file, args, cwd) {
  const { status, stderr } = spawnSync(file, args, {
    cwd,
    env: cleanEnvironment(),
    encoding: "utf8",
  });
  if (status !== 0) {
    throw new Error(`${file} ${args.join(" ")}: exit ${status}\n${stderr}`);
  }
}
