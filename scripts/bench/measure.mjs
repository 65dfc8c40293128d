// Wall time and memory of whole processes.
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cleanEnvironment } from "../install.mjs";

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {readonly string[]} command
 * @property {() => void} [prepare]  before each run, not timed
 */

/**
 * Median wall time of each subject over interleaved runs: all meet the same moods of the machine.
 *
 * @param {readonly Subject[]} subjects
 * @param {number} runs
 * @returns {Map<string, number>} milliseconds
 */
export function timeSubjects(subjects, runs) {
  /** @type {Map<string, number[]>} */
  const times = new Map(subjects.map(({ name }) => [name, []]));
  for (let run = 0; run < runs; run += 1) {
    for (const { name, command, prepare } of subjects) {
      prepare?.();
      const [file = "", ...args] = command;
      const started = performance.now();
      const { status, stderr } = spawnSync(file, args, { env: cleanEnvironment() });
      times.get(name)?.push(performance.now() - started);
      if (status !== 0) {
        throw new Error(`${command.join(" ")}: exit ${status}\n${stderr}`);
      }
    }
  }
  return new Map([...times].map(([name, all]) => [name, median(all)]));
}

/**
 * Peak memory of one run, by asking the kernel as often as it answers.
 *
 * @param {Subject} subject
 * @returns {Promise<{peak: number, anonymous: number}>} MB: VmHWM, and the most RssAnon that was seen
 */
export async function measureMemory({ command, prepare }) {
  prepare?.();
  const [file = "", ...args] = command;
  const child = spawn(file, args, { env: cleanEnvironment(), stdio: "ignore" });
  const ended = new Promise((resolve) => child.on("close", resolve));
  let peak = 0;
  let anonymous = 0;
  // Busy on purpose: a process of 40 ms leaves no time to sleep.
  for (let status = ask(child.pid); status !== undefined; status = ask(child.pid)) {
    peak = Math.max(peak, figure(status, "VmHWM"));
    anonymous = Math.max(anonymous, figure(status, "RssAnon"));
  }
  await ended;
  return { peak, anonymous };
}

/** @param {number | undefined} pid */
function ask(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return status.includes("\nState:\tZ") ? undefined : status;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} status
 * @param {string} name
 */
function figure(status, name) {
  return Number(status.match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"))?.[1] ?? 0) / 1024;
}

/** @param {readonly number[]} values */
function median(values) {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}
