// Memory and CPU time of `capture --watch`, beside an executable that only waits.
import { execFileSync, fork, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cleanEnvironment, pinnedNode } from "../install.mjs";

/**
 * @typedef {object} Resident
 * @property {number} total  MB: VmRSS
 * @property {number} anonymous  MB: RssAnon
 * @property {number} file  MB: RssFile
 */

/**
 * @typedef {object} Footprint
 * @property {Resident} bare  an executable of the same kind whose script waits
 * @property {Resident} rest  after the first commit and a quiet time
 * @property {Resident} thousand  after 1,000 changes
 * @property {Resident} tenThousand  after 9,000 more
 * @property {number} generations  that the changes led to
 * @property {number} cpuMs  CPU time at rest
 * @property {number} cpuSeconds  in so much time
 */

const node = "node1";

/**
 * Runs `capture --watch` against an apiserver of our own with 30 pods and 200 Secrets and ConfigMaps.
 *
 * @param {{blackstart: string, waiting: string, dir: string, quietSeconds: number}} options
 * @returns {Promise<Footprint>}
 */
export async function measureWatch({ blackstart, waiting, dir, quietSeconds }) {
  const root = join(dir, "watch-root");
  for (const path of ["etc/blackstart", "etc/kubernetes/manifests"]) {
    mkdirSync(join(root, path), { recursive: true });
  }
  writeFileSync(
    join(root, "etc/blackstart/config.yaml"),
    "select: all\ncapture: {interval: 1s}\nkubeconfig: /etc/kubernetes/kubelet.conf\n",
  );
  const options = { env: cleanEnvironment(), stdio: /** @type {const} */ ("ignore") };
  execFileSync(blackstart, ["key", "init", "--slot", "plain", "--root", root], options);
  const apiserver = fork(join(import.meta.dirname, "apiserver.mjs"), [dir, node], {
    execPath: pinnedNode(),
    env: cleanEnvironment(),
  });
  const told = (/** @type {string} */ word) =>
    new Promise((resolve) => {
      apiserver.on("message", (message) => message === word && resolve(word));
    });
  await told("ready");
  renameSync(join(dir, "kubelet.conf"), join(root, "etc/kubernetes/kubelet.conf"));
  const bareProcess = spawn(waiting, [], { env: cleanEnvironment(), stdio: "ignore" });
  const watch = spawn(blackstart, ["capture", "--watch", "--node", node, "--root", root], {
    // As blackstart-capture.service sets them.
    env: {
      ...cleanEnvironment(),
      MALLOC_ARENA_MAX: "1",
      MALLOC_MMAP_THRESHOLD_: "32768",
      MALLOC_TRIM_THRESHOLD_: "131072",
    },
    stdio: ["ignore", "ignore", process.env["BENCH_VERBOSE"] === undefined ? "ignore" : "inherit"],
  });
  const store = join(root, "var/lib/blackstart");
  try {
    while (newestIn(store) === 0) {
      await sleep(200);
    }
    await sleep(quietSeconds * 1_000);
    const bare = residentOf(bareProcess.pid);
    const rest = residentOf(watch.pid);
    const before = cpuMsOf(watch.pid);
    const first = newestIn(store);
    await sleep(quietSeconds * 1_000);
    const cpuMs = cpuMsOf(watch.pid) - before;

    const changed = async (/** @type {number} */ count) => {
      apiserver.send(count);
      await told("changed");
      await sleep(10_000);
      return residentOf(watch.pid);
    };
    const thousand = await changed(1_000);
    const tenThousand = await changed(9_000);
    const generations = newestIn(store) - first;
    return { bare, rest, thousand, tenThousand, generations, cpuMs, cpuSeconds: quietSeconds };
  } finally {
    watch.kill("SIGKILL");
    bareProcess.kill("SIGKILL");
    apiserver.kill("SIGKILL");
  }
}

/** @param {string} store */
function newestIn(store) {
  try {
    const numbers = readdirSync(store).map((name) => Number(/^gen-(\d+)/.exec(name)?.[1] ?? 0));
    return Math.max(0, ...numbers);
  } catch {
    return 0;
  }
}

/**
 * @param {number | undefined} pid
 * @returns {Resident}
 */
function residentOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const figure = (/** @type {string} */ name) =>
    Number(status.match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"))?.[1]) / 1024;
  return { total: figure("VmRSS"), anonymous: figure("RssAnon"), file: figure("RssFile") };
}

/**
 * User and system time so far, of all threads.
 *
 * @param {number | undefined} pid
 */
function cpuMsOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the name, which may hold anything; then in hundredths of a second. Source: proc_pid_stat(5).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
