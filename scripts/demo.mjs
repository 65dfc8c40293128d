// npm run demo: the main job end to end on the example cluster, without root and without a cluster.
//
// Everything happens under one temporary directory in memory, which is removed at the end.
import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buildIfStale } from "./build.mjs";
import { cleanEnvironment, ensureInstalled, repository } from "./install.mjs";

/** statfs(2) type of tmpfs. Source: Linux v6.12 include/uapi/linux/magic.h. */
const tmpfs = 0x01021994;
/** @type {[string, number][]} */
const steps = [];

/**
 * Runs one step, and notes how long it took.
 *
 * @template T
 * @param {string} name
 * @param {() => T | Promise<T>} run
 * @returns {Promise<T>}
 */
async function step(name, run) {
  const startedMs = performance.now();
  const result = await run();
  steps.push([name, performance.now() - startedMs]);
  return result;
}

/**
 * The first place for a temporary root that is memory: secrets go nowhere else.
 *
 * @returns {string}
 */
function memoryPlace() {
  const places = [process.env["XDG_RUNTIME_DIR"], "/dev/shm", "/tmp"];
  for (const place of places) {
    try {
      if (place !== undefined && statfsSync(place).type === tmpfs) {
        accessSync(place, constants.W_OK);
        return place;
      }
    } catch {
      // not there, or not ours: the next one
    }
  }
  console.error(
    "demo: no writable tmpfs among $XDG_RUNTIME_DIR, /dev/shm, /tmp; mount one on /tmp",
  );
  process.exit(71);
}

/**
 * Runs the executable and shows what it says.
 *
 * @param {string} executable
 * @param {string[]} words
 * @returns {string} standard output
 */
function blackstart(executable, words) {
  console.log(`\n$ blackstart ${words.join(" ")}`);
  const run = spawnSync(executable, words, {
    cwd: repository,
    env: cleanEnvironment(),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.stdout.write(run.stdout);
  if (run.status !== 0) {
    throw new Error(`blackstart ${words[0]} ended with ${run.status ?? run.signal}`);
  }
  return run.stdout;
}

/**
 * A directory as the kubelet would see it: mode, owner, name, and where a link leads.
 *
 * @param {string} dir
 * @param {string} indent
 */
function showTree(dir, indent = "    ") {
  for (const name of readdirSync(dir).sort()) {
    const path = join(dir, name);
    const stats = lstatSync(path);
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, "0");
    const tail = stats.isSymbolicLink()
      ? ` -> ${readlinkSync(path)}`
      : stats.isDirectory()
        ? "/"
        : `  ${stats.size} bytes`;
    console.log(`${indent}${mode} ${stats.uid}:${stats.gid}  ${name}${tail}`);
    if (stats.isDirectory()) {
      showTree(path, `${indent}  `);
    }
  }
}

async function demo() {
  await step("install", ensureInstalled);
  const executable = await step("build the executable", buildIfStale);
  const root = mkdtempSync(join(memoryPlace(), "blackstart-demo-"));
  process.on("exit", () => rmSync(root, { recursive: true, force: true }));
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
    process.on(signal, () => process.exit(130));
  }
  mkdirSync(join(root, "etc/kubernetes/manifests"), { recursive: true });
  mkdirSync(join(root, "etc/blackstart"), { recursive: true });
  // The example's keys are throw-away, and a desktop may have swap: on a node the default is to refuse.
  writeFileSync(join(root, "etc/blackstart/config.yaml"), "swap: allow\n");

  console.log(`\nA node's root directory: ${root}`);
  await step("make the node's key", () =>
    blackstart(executable, ["key", "init", "--slot", "plain", "--root", root]),
  );
  await step("capture", () =>
    blackstart(executable, ["capture", "--from", "examples/self-hosted", "--root", root]),
  );
  await step("verify", () => blackstart(executable, ["verify", "--root", root]));

  console.log("\n--- The power fails, and comes back. No apiserver answers. ---");
  await step("plan", () => blackstart(executable, ["restore", "--dry-run", "--root", root]));
  await step("restore", () => blackstart(executable, ["restore", "--root", root]));
  await step("restore again", () => blackstart(executable, ["restore", "--root", root]));

  const manifests = join(root, "etc/kubernetes/manifests");
  const etcd = readdirSync(manifests).find((name) => name.includes("_etcd-")) ?? "";
  console.log(
    `\nWhat the kubelet now finds in /etc/kubernetes/manifests (${readdirSync(manifests).length} links), one of them whole:\n`,
  );
  console.log(`${etcd} -> ${readlinkSync(join(manifests, etcd))}`);
  console.log(readFileSync(join(manifests, etcd), "utf8"));
  const pods = join(root, "run/blackstart/pods");
  const pod = readdirSync(pods).find((name) => name.includes("_etcd-")) ?? "";
  console.log(`The volume that it mounts, /run/blackstart/pods/${pod}/tls:\n`);
  showTree(join(pods, pod, "tls"));

  console.log("\nTime of each step:\n");
  for (const [name, ms] of steps) {
    console.log(`  ${name.padEnd(22)} ${ms.toFixed(0).padStart(6)} ms`);
  }
  console.log("\nThe node's root directory has been removed again.");
}

demo().catch((error) => {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
});
