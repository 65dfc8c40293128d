// npm test [-- FILTER…]: the checks, then every test that needs no privilege, each file in a process of its own.
// node scripts/test.mjs root|slow|e2e|vm [FILTER…]: the tests of test/root, test/slow, test/e2e or test/vm.
//
// A filter is a part of a path; one that begins with "!" leaves the files with that part out. The last line is `N passed, N failed, N skipped`. What uvu lets pass in
// silence fails here: a file without tests, a test that did not run, no test at all.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale } from "./build.mjs";
import { check } from "./check.mjs";
import { ensureInstalled, repository } from "./install.mjs";
import { runFile } from "./testing/run-file.mjs";

/** @typedef {{passed: number, failed: number, skipped: readonly string[]}} Tally */

/** @typedef {"unit" | "root" | "slow" | "e2e" | "vm"} Suite */

/** How many files run at once; a control plane takes the machine for itself. */
const lanes = { unit: 2, root: 2, slow: 2, e2e: 1, vm: 1 };
const minutes = { unit: 5, root: 20, slow: 45, e2e: 60, vm: 90 };
/** The suites that have a folder of their own. */
const folders = /** @type {const} */ (["root", "slow", "e2e", "vm"]);

/**
 * @param {Suite} which
 * @param {readonly string[]} filters
 * @returns {string[]} test files, relative to the repository
 */
export function selectFiles(which, filters) {
  const wanted = filters.filter((filter) => !filter.startsWith("!"));
  const unwanted = filters.filter((filter) => filter.startsWith("!")).map((one) => one.slice(1));
  return readdirSync(join(repository, "test"), { recursive: true, encoding: "utf8" })
    .map((file) => `test/${file}`)
    .filter((file) => file.endsWith(".test.ts"))
    .filter((file) => (folders.find((one) => file.startsWith(`test/${one}/`)) ?? "unit") === which)
    .filter((file) => wanted.length === 0 || wanted.some((filter) => file.includes(filter)))
    .filter((file) => !unwanted.some((filter) => file.includes(filter)))
    .sort();
}

/** Interrupted, the runner ends once the tests that run have removed what they made. */
const interruption = new AbortController();

/**
 * Runs the files and prints one line for each, and everything that a failed one said.
 *
 * One at a time they tell what they do as they do it.
 *
 * @param {readonly string[]} files
 * @param {number} deadlineMs  for each file
 * @param {number} atOnce
 * @returns {Promise<Tally[]>}
 */
export async function runFiles(files, deadlineMs, atOnce) {
  const waiting = [...files];
  const isLive = atOnce === 1;
  const options = {
    interruption: interruption.signal,
    ...(isLive ? { onNote: (/** @type {string} */ note) => console.log(note) } : {}),
  };
  /** @type {Tally[]} */
  const tallies = [];
  const lane = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      if (isLive) {
        console.log(`--- ${file}`);
      }
      const result = await runFile(file, deadlineMs, options);
      if (interruption.signal.aborted) {
        return;
      }
      tallies.push(result);
      const seconds = (result.ms / 1000).toFixed(1);
      console.log(
        `${result.failed > 0 ? "FAIL" : "ok  "} ${file} (${result.passed}, ${seconds} s)`,
      );
      for (const line of result.failed > 0 ? [result.output] : isLive ? [] : result.notes) {
        console.log(line);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return tallies;
}

/**
 * A step that passes or fails as a whole, counted as one test.
 *
 * @param {string} name
 * @param {() => unknown} run  false or an exception is a failure
 * @returns {Promise<Tally>}
 */
async function step(name, run) {
  try {
    if ((await run()) !== false) {
      return { passed: 1, failed: 0, skipped: [] };
    }
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
  }
  console.log(`FAIL ${name}`);
  return { passed: 0, failed: 1, skipped: [] };
}

/** @param {readonly string[]} args */
async function main(args) {
  const which = folders.find((folder) => folder === args[0]) ?? "unit";
  const filters = which === "unit" ? args : args.slice(1);
  const tallies = [];
  ensureInstalled();
  if (which === "unit" && filters.length === 0) {
    tallies.push(await step("check", () => check() === 0));
  }
  tallies.push(await step("build", buildIfStale));
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => interruption.abort());
  }
  const files = selectFiles(which, filters);
  if (files.length === 0) {
    console.log("FAIL no test file is selected");
    tallies.push({ passed: 0, failed: 1, skipped: [] });
  }
  tallies.push(...(await runFiles(files, minutes[which] * 60_000, lanes[which])));

  if (interruption.signal.aborted) {
    console.log("interrupted");
    process.exitCode = 130;
    return;
  }
  const skipped = tallies.flatMap((tally) => tally.skipped);
  for (const line of skipped) {
    console.log(line);
  }
  const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
  const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0);
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  process.exitCode = failed === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) {
  await main(process.argv.slice(2));
}
