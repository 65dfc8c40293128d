// npm run bench [-- --runs N] [-- --no-xz]: how fast, how big, beside what the project promises.
//
// Times are medians of whole processes, interleaved, in one run on one machine: only the ratios can be
// compared with another run. Everything happens on a tmpfs, so no disk is measured.
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { measureMemory, timeSubjects } from "./bench/measure.mjs";
import { writeObjects } from "./bench/objects.mjs";
import { measureWatch } from "./bench/watch.mjs";
import { buildIfStale } from "./build.mjs";
import { injectBlob, makeBlob, stripNode } from "./executable/sea.mjs";
import { cleanEnvironment, ensureInstalled, hostArch, pinnedNode } from "./install.mjs";

/** @typedef {import("./bench/measure.mjs").Subject} Subject */

const factors = [1, 10, 100];

/**
 * An executable made like ours whose main script is empty: what any start costs.
 *
 * @param {string} dir
 * @param {string} [script]  in place of the empty one
 * @returns {string}
 */
function buildEmpty(dir, script = "") {
  const parts = join(dir, "parts");
  mkdirSync(parts, { recursive: true });
  writeFileSync(join(parts, "loader.cjs"), script);
  const executable = join(dir, "empty");
  stripNode(pinnedNode(), hostArch(), executable);
  injectBlob(executable, makeBlob(parts, pinnedNode()));
  return executable;
}

/**
 * A cold boot of a node with that many times the example's objects: nothing projected yet, all attempts left.
 *
 * @param {string} blackstart
 * @param {string} dir
 * @param {number} factor
 * @returns {Subject}
 */
function restoreOf(blackstart, dir, factor) {
  const born = join(dir, `born-${factor}`);
  const root = join(dir, `root-${factor}`);
  mkdirSync(join(born, "etc/kubernetes/manifests"), { recursive: true });
  const objects = join(dir, `objects-${factor}.json`);
  writeObjects(objects, factor);
  const options = { env: cleanEnvironment(), stdio: /** @type {const} */ ("ignore") };
  execFileSync(blackstart, ["key", "init", "--slot", "plain", "--root", born], options);
  const capture = ["capture", "--from", objects, "--select", "all", "--node", "node1"];
  execFileSync(blackstart, [...capture, "--root", born], options);
  return {
    name: `restore x${factor}`,
    command: [blackstart, "restore", "--force", "--root", root],
    prepare: () => {
      rmSync(root, { recursive: true, force: true });
      cpSync(born, root, { recursive: true });
    },
  };
}

/**
 * @param {string} what
 * @param {string} figure
 * @param {string} [target]
 */
function row(what, figure, target = "") {
  console.log(`${what.padEnd(52)}${figure.padStart(12)}   ${target}`.trimEnd());
}

/** @param {{runs: number, measuresXz: boolean}} options */
async function bench({ runs, measuresXz }) {
  const built = await buildIfStale();
  const dir = mkdtempSync("/dev/shm/blackstart-bench-");
  const onDisk = mkdtempSync(join(dirname(built), "bench-"));
  try {
    // Beside the empty one: peak memory counts pages of the file, and how many depends on where it lies.
    const blackstart = join(dir, "blackstart");
    copyFileSync(built, blackstart);
    const empty = buildEmpty(dir);
    const blank = join(dir, "empty.cjs");
    writeFileSync(blank, "");
    const starts = [
      { name: "empty", command: [empty] },
      { name: "node", command: [pinnedNode(), blank] },
      { name: "--version", command: [blackstart, "--version"] },
      { name: "--help", command: [blackstart, "--help"] },
    ];
    const [one, ten, hundred] = factors.map((factor) => restoreOf(blackstart, dir, factor));
    if (one === undefined || ten === undefined || hundred === undefined) {
      throw new Error("there are three factors");
    }
    const small = timeSubjects([...starts, one, ten], runs);
    const large = timeSubjects([hundred], Math.min(runs, 5));
    const ms = (/** @type {string} */ name) => small.get(name) ?? large.get(name) ?? Number.NaN;

    row("empty script in the same kind of executable", `${ms("empty").toFixed(1)} ms`);
    row("Node with an empty file", `${ms("node").toFixed(1)} ms`);
    row("blackstart --version", `${ms("--version").toFixed(1)} ms`);
    row("blackstart --help", `${ms("--help").toFixed(1)} ms`);
    row("restore of the example control plane", `${ms(one.name).toFixed(1)} ms`);
    const ratio = (/** @type {string} */ a, /** @type {string} */ b) =>
      `${(ms(a) / ms(b)).toFixed(2)} x`;
    row("  against the empty script", ratio(one.name, "empty"), "at most 2 x");
    row("  against Node with an empty file", ratio(one.name, "node"));
    row("  against blackstart --version", ratio(one.name, "--version"));
    row("restore of 10 times the objects against once", ratio(ten.name, one.name), "at most 3 x");
    row("restore of 100 times the objects against once", ratio(hundred.name, one.name));

    const perMegabyte = JSON.parse(
      execFileSync(pinnedNode(), [join(import.meta.dirname, "bench/seal.mjs")], {
        env: cleanEnvironment(),
        encoding: "utf8",
      }),
    );
    row("seal", `${perMegabyte.seal.toFixed(2)} ms/MB`);
    row("open", `${perMegabyte.open.toFixed(2)} ms/MB`);

    const bare = await measureMemory({ name: "empty", command: [empty] });
    for (const subject of [one, ten, hundred]) {
      const { peak, anonymous } = await measureMemory(subject);
      const more = `+${(peak - bare.peak).toFixed(1)} MB`;
      row(
        `peak memory of ${subject.name} against the empty script`,
        more,
        subject === one ? "at most +30 MB" : "",
      );
      row("  of it anonymous", `+${(anonymous - bare.anonymous).toFixed(1)} MB`);
    }

    // Both from a disk, as they are installed, and written the same way: which pages of a file the kernel maps
    // beside those that are touched depends on how the file came into its cache.
    const installed = join(onDisk, "blackstart");
    const waiting = join(onDisk, "waiting");
    copyFileSync(built, installed);
    copyFileSync(buildEmpty(onDisk, "setInterval(() => {}, 2 ** 30);"), waiting);
    const watch = await measureWatch({
      blackstart: installed,
      waiting,
      dir,
      quietSeconds: 30,
    });
    row("capture --watch at rest, 30 pods and 200 objects", `${watch.rest.total.toFixed(1)} MB`);
    const above = (/** @type {{total: number}} */ { total }) =>
      `+${(total - watch.bare.total).toFixed(1)} MB`;
    row("  against an executable that only waits", above(watch.rest), "at most +20 MB");
    const anonymous = watch.rest.anonymous - watch.bare.anonymous;
    row("  of it anonymous", `+${anonymous.toFixed(1)} MB`);
    row("  after 1,000 changes", above(watch.thousand));
    row("  after 10,000 changes", above(watch.tenThousand), "as after 1,000");
    row("  CPU time at rest", `${(watch.cpuMs / watch.cpuSeconds / 10).toFixed(2)} %`, "0");

    row("executable", `${(statSync(blackstart).size / 1e6).toFixed(1)} MB`, "at most 115 MB");
    if (measuresXz) {
      row("  as xz", `${(xzSize(blackstart) / 1e6).toFixed(1)} MB`, "at most 30 MB");
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
    rmSync(onDisk, { recursive: true, force: true });
  }
}

/** @param {string} file */
function xzSize(file) {
  const { status, stdout } = spawnSync("xz", ["-6", "-T0", "-c", file], { maxBuffer: 2 ** 27 });
  return status === 0 ? stdout.length : Number.NaN;
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { runs: { type: "string", default: "21" }, "no-xz": { type: "boolean" } },
  });
  ensureInstalled();
  await bench({ runs: Number(values.runs), measuresXz: values["no-xz"] !== true });
}
