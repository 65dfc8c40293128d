import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import { cleanEnvironment } from "../../scripts/install.mjs";
import { blackstart } from "../end-to-end/executable.ts";
import { memory } from "../end-to-end/node-root.ts";
import { entries } from "../end-to-end/tree.ts";

/*
 * Each directory beside this file is a scenario; adding one adds no code.
 *
 *   given/          the root directory before
 *   command         a shell script that runs in that root; `blackstart` is the program with `--root .`
 *   exit            the exit status of its last command
 *   expect/tree     every entry of the root afterwards, but those under in/: mode, path, what a link says
 *   expect/stdout   what was said, numbers and names that differ each time replaced
 *   expect/stderr
 *   expect/files/   contents of files, where they matter: only those that are there are compared
 *
 * `SCENARIOS=update` writes what is found over what is expected: read the difference before you commit it.
 */

const test = suite("scenarios");

const updates = process.env["SCENARIOS"] === "update";

/** What differs from run to run. */
const varying: readonly (readonly [RegExp, string])[] = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "TIME"],
  [/\.\.\d{4}_\d\d_\d\d_[\d_.]+/g, "..TIME"],
  [/boot: [0-9a-f]{32}/g, "boot: ID"],
  [/taken [^,\n]+? on /g, "taken AGE on "],
  [/\b\d+(\.\d+)? (ms|s)\b/g, "N ms"],
  [/\b[\d.]+ (B|KB|MB)\b/g, "N KB"],
  [/\bkey [\w-]{16}/g, "key KID"],
  [/keys\/[\w-]{16}\./g, "keys/KID."],
];

for (const entry of readdirSync(import.meta.dirname, { withFileTypes: true })) {
  if (entry.isDirectory()) {
    const name = entry.name.replaceAll("-", " ");
    test(name, () => {
      if (memory === undefined) {
        console.log(`SKIPPED ${name}: no tmpfs is writable`);
        return;
      }
      using root = mkdtempDisposableSync(join(memory, "blackstart-scenario-"));
      play(join(import.meta.dirname, entry.name), root.path);
    });
  }
}

function play(scenario: string, root: string): void {
  cpSync(join(scenario, "given"), root, { recursive: true, verbatimSymlinks: true });
  for (const dir of ["etc/kubernetes/manifests", "etc/blackstart", "var/lib", "run", "in"]) {
    mkdirSync(join(root, dir), { recursive: true });
  }
  const prelude = `umask 022; blackstart() { "$BLACKSTART" "$@" --root .; }`;
  const script = `${prelude}\n${readFileSync(join(scenario, "command"), "utf8")}`;
  const { status, stdout, stderr } = spawnSync("sh", ["-c", script], {
    cwd: root,
    env: { ...cleanEnvironment(), BLACKSTART: blackstart },
    encoding: "utf8",
    timeout: 60_000,
  });
  const expected = join(scenario, "expect");
  compare(join(scenario, "exit"), `${status}\n`);
  compare(join(expected, "stdout"), steady(stdout, root));
  compare(join(expected, "stderr"), steady(stderr, root));
  compare(join(expected, "tree"), listTree(root));
  const files = join(expected, "files");
  for (const path of existsSync(files) ? entries(files) : []) {
    if (lstatSync(join(files, path)).isFile()) {
      compare(join(files, path), steady(readFileSync(join(root, path), "utf8"), root));
    }
  }
}

/** Compares with a file; one that is not there stands for nothing. */
function compare(file: string, found: string): void {
  if (updates) {
    rmSync(file, { force: true });
    if (found !== "") {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, found);
    }
  }
  assert.equal(found, existsSync(file) ? readFileSync(file, "utf8") : "", file);
}

function steady(text: string, root: string): string {
  return varying.reduce(
    (told, [pattern, word]) => told.replaceAll(pattern, word),
    text.replaceAll(root, "ROOT"),
  );
}

function listTree(root: string): string {
  const lines = entries(root)
    .filter((path) => !/^in(\/|$)/.test(path))
    .map((path) => {
      const stats = lstatSync(join(root, path));
      const mode = (stats.mode & 0o7777).toString(8).padStart(4, "0");
      return stats.isSymbolicLink()
        ? `link ${path} -> ${readlinkSync(join(root, path))}`
        : `${mode} ${path}${stats.isDirectory() ? "/" : ""}`;
    });
  return lines.map((line) => `${steady(line, root)}\n`).join("");
}

test.run();
