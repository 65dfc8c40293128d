// npm run build [-- --arch x64|arm64]: src/ -> dist/blackstart, or dist/blackstart-linux-<arch>.
//
// The executable is a stripped Node with a blob in it. The blob holds a loader (executable/loader.cjs) and
// src/ as scripts, each with V8's code cache (executable/compile.mjs):
//
//   boot            main.ts, cli/restore.ts and all that these import statically: in every process,
//                   though restore's part is evaluated only by `restore`
//   <chunk>.js      one per `await import(…)`: loaded, with its own cache, when that line runs
//
// So a static import costs every start, and `await import("yaml")` or `await import("../x.ts")` costs
// nothing until it runs. A module that several chunks need exists once (`instanceof Failure` holds
// everywhere). `await import("node:tls")` is a lazy require. Arguments of import() must be literals.
//
// Order: strip, bundle, compile, blob, inject. Nothing may touch the ELF file after the injection. Everything
// up to the blob is the same bytes for the same commit, wherever and whenever it is built.
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cleanEnvironment, ensureInstalled, hostArch, pinnedNode, repository } from "./install.mjs";

/**
 * Makes the blob's ingredients and the blob in `dir`.
 *
 * @param {string} dir  empty
 * @param {import("./install.mjs").Arch} arch
 * @param {string} node  the pinned Node of that architecture
 * @param {{version: string, commit: string}} identity
 * @returns {Promise<{blob: string, isCompiled: boolean}>}
 */
export async function makeParts(dir, arch, node, identity) {
  const { bundle, loaderSource } = await import("./executable/bundle.mjs");
  const { compile, makeBlob, runner } = await import("./executable/sea.mjs");

  const { scripts } = await bundle(identity);
  for (const [name, source] of scripts) {
    writeFileSync(join(dir, `${name}.js`), source);
  }
  writeFileSync(join(dir, "loader.cjs"), loaderSource());
  const run = runner(arch);
  if (run !== undefined) {
    compile(dir, [...run, node]);
  }
  return { blob: makeBlob(dir, pinnedNode()), isCompiled: run !== undefined };
}

/**
 * Builds the executable for one architecture.
 *
 * @param {import("./install.mjs").Arch} arch
 * @param {string} output  absolute; replaced in one step
 */
export async function buildExecutable(arch, output) {
  const { fetchNode } = await import("./executable/node-package.mjs");
  const { identity } = await import("./executable/identity.mjs");
  const { injectBlob, runner, stripNode } = await import("./executable/sea.mjs");

  const dir = mkdtempSync(join(tmpdir(), "blackstart-build-"));
  mkdirSync(join(output, ".."), { recursive: true });
  const fresh = `${output}.${process.pid}`;
  try {
    const node = fetchNode(arch);
    const isStripped = stripNode(node, arch, fresh);
    const { blob, isCompiled } = await makeParts(dir, arch, node, identity());
    injectBlob(fresh, blob);
    const run = runner(arch);
    const version = run === undefined ? "not run here" : smokeTest([...run, fresh]);
    renameSync(fresh, output);
    const size = (statSync(output).size / 1e6).toFixed(1);
    console.error(`${output}: ${size} MB; ${version}`);
    if (!isStripped) {
      console.error(`not stripped: no strip for ${arch} is installed (binutils)`);
    }
    if (!isCompiled) {
      console.error(
        `without code cache: qemu-user-static and the libc of ${arch} are not installed`,
      );
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
    rmSync(fresh, { force: true });
  }
}

/**
 * Builds dist/blackstart where it is missing or something that it is made of has changed.
 *
 * @returns {Promise<string>} the executable
 */
export async function buildIfStale() {
  const { hashInputs } = await import("./executable/identity.mjs");
  const output = join(repository, "dist/blackstart");
  const stamp = `${output}.inputs`;
  const wanted = hashInputs();
  if (!existsSync(output) || !existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    await buildExecutable(hostArch(), output);
    writeFileSync(stamp, wanted);
  }
  return output;
}

/**
 * A blob of another version runs nothing and exits 0: only its own words prove an executable.
 *
 * @param {readonly string[]} command
 */
function smokeTest([file = "", ...args]) {
  const text = execFileSync(file, [...args, "--version"], {
    env: cleanEnvironment(),
    encoding: "utf8",
  });
  if (!/^blackstart \S+ \(\S+\) node v/.test(text)) {
    throw new Error(`the executable does not start: it printed ${JSON.stringify(text)}`);
  }
  return text.trim();
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { arch: { type: "string" } } });
  const { arch } = values;
  if (arch !== undefined && arch !== "x64" && arch !== "arm64") {
    throw new Error("--arch is x64 or arm64");
  }
  ensureInstalled();
  if (arch === undefined) {
    rmSync(join(repository, "dist/blackstart.inputs"), { force: true });
    await buildIfStale();
  } else {
    await buildExecutable(arch, join(repository, `dist/blackstart-linux-${arch}`));
  }
}
