import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { cleanEnvironment } from "../../scripts/install.mjs";

/** A program that runs until it is stopped, at the latest when this process ends. */
export interface Daemon {
  readonly pid: number;
  /** False from the moment it has ended. */
  readonly isRunning: () => boolean;
  /** What it said last, for an error message. */
  readonly lastWords: () => string;
  /** Sends the signal and waits for the end; does nothing where it has ended. */
  readonly stop: (signal: "SIGTERM" | "SIGKILL") => Promise<void>;
}

/**
 * Starts a program; its output is appended to the log file.
 *
 * The kernel kills it when this process ends, in whatever way (PR_SET_PDEATHSIG); it stays in this
 * process's group. It keeps no event loop alive.
 */
export function startDaemon(file: string, args: readonly string[], logFile: string): Daemon {
  const log = openSync(logFile, "a", 0o600);
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", file, ...args], {
    env: cleanEnvironment(),
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  let running = true;
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      running = false;
      resolve();
    };
    child.once("exit", end);
    child.once("error", end);
  });
  child.unref();
  return {
    pid: child.pid ?? 0,
    isRunning: () => running,
    lastWords: () => readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-15).join("\n"),
    stop: async (signal) => {
      if (running) {
        child.ref();
        child.kill(signal);
      }
      await ended;
    },
  };
}

/**
 * Waits until the daemon answers.
 *
 * @param isReady  asked again and again; an exception means no
 * @throws {Error} when the daemon ends first, or after the deadline
 */
export async function waitUntilReady(
  daemon: Daemon,
  isReady: () => Promise<boolean>,
  deadlineMs: number,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await isReady().catch(() => false))) {
    if (!daemon.isRunning()) {
      throw new Error(`it ended before it was ready:\n${daemon.lastWords()}`);
    }
    if (performance.now() > end) {
      throw new Error(`it was not ready after ${deadlineMs / 1000} s:\n${daemon.lastWords()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
