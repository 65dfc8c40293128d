// One uvu test file in one process, and what its words and exit status really say.
import { spawn } from "node:child_process";
import { cleanEnvironment, pinnedNode, repository } from "../install.mjs";

/**
 * @typedef {object} FileResult
 * @property {number} passed
 * @property {number} failed
 * @property {readonly string[]} skipped  a line for each thing that was not tested
 * @property {readonly string[]} notes  what it measured: its lines that begin with "# "
 * @property {string} output
 * @property {number} ms
 */

/** How long an interrupted test may take to remove what it made. */
const farewellMs = 30_000;

/**
 * Runs a test file under the pinned Node.
 *
 * @param {string} file  relative to the repository
 * @param {number} deadlineMs  then it and all that it started are killed
 * @param {object} [options]
 * @param {(note: string) => void} [options.onNote]  is given each note as it comes
 * @param {AbortSignal} [options.interruption]  then it is terminated, and has half a minute to clean up
 * @returns {Promise<FileResult>}
 */
export function runFile(file, deadlineMs, { onNote = () => {}, interruption } = {}) {
  const started = performance.now();
  const child = spawn(pinnedNode(), [file], {
    cwd: repository,
    env: { ...cleanEnvironment(), NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    // Its own process group, so that whatever a hanging test started ends with it.
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    let line = "";
    stream.on("data", (text) => {
      output += text;
      const lines = `${line}${text}`.split("\n");
      line = lines.pop() ?? "";
      lines.filter(isNote).forEach(onNote);
    });
  }
  let isLate = false;
  const interrupt = () => {
    child.kill("SIGTERM");
    setTimeout(() => killGroup(child.pid), farewellMs).unref();
  };
  interruption?.addEventListener("abort", interrupt, { once: true });
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(child.pid);
  }, deadlineMs);
  return new Promise((resolve) => {
    // What it leaves running would hold the pipes open.
    child.on("exit", () => killGroup(child.pid));
    child.on("close", (code) => {
      clearTimeout(timer);
      interruption?.removeEventListener("abort", interrupt);
      const late = isLate ? [`killed after ${deadlineMs / 1000} s`] : [];
      resolve({ ...judge(output, code, late), ms: performance.now() - started });
    });
  });
}

/**
 * Says what a finished file's output means: only "every test ran and passed, exit 0" is a success.
 *
 * @param {string} output
 * @param {number | null} code
 * @param {readonly string[]} [complaints]  what is already known to be wrong
 * @returns {Omit<FileResult, "ms">}
 */
export function judge(output, code, complaints = []) {
  const total = count(output, "Total");
  const passed = count(output, "Passed");
  const skippedTests = count(output, "Skipped") ?? 0;
  const found = [...complaints];
  let failed = (total ?? 0) - (passed ?? 0);
  if (total === undefined || passed === undefined) {
    found.push("it ended before its tests did");
  } else if (total + skippedTests === 0) {
    found.push("it has no tests");
  }
  if (code !== 0 && failed === 0 && found.length === 0) {
    found.push(`every test passed, but it ended with ${code ?? "a signal"}`);
  }
  failed = Math.max(failed, found.length > 0 ? 1 : 0);
  // uvu has the suite's name and its dots on the line already.
  const lines = [...output.matchAll(/(?:^|\s)(SKIPPED .*)$/gm)].map(([, line]) => line ?? "");
  const silent = Math.max(0, skippedTests - lines.length);
  return {
    passed: passed ?? 0,
    failed,
    skipped: [...lines, ...Array.from({ length: silent }, () => "SKIPPED a test, by test.skip")],
    notes: output.split("\n").filter(isNote),
    output: [output.trimEnd(), ...found].join("\n"),
  };
}

/** @param {string} line */
function isNote(line) {
  return line.startsWith("# ");
}

/**
 * @param {string} output
 * @param {string} word
 */
function count(output, word) {
  const match = [...output.matchAll(new RegExp(`^\\s*${word}:\\s+(\\d+)`, "gm"))].at(-1);
  return match === undefined ? undefined : Number(match[1]);
}

/** @param {number | undefined} pid */
function killGroup(pid) {
  try {
    if (pid !== undefined) {
      process.kill(-pid, "SIGKILL");
    }
  } catch {
    // It has ended by itself.
  }
}
