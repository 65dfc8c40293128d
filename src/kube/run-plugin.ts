import type { SpawnOptions } from "node:child_process";
import { isSystemError } from "../errors.ts";
import { execFailure } from "./exec-failure.ts";
import type { ExecPlugin } from "./kubeconfig-user.ts";

/** A plugin about to be run. */
export interface PluginRun {
  readonly plugin: ExecPlugin;
  /** The command's own file. */
  readonly file: string;
  /** The text of KUBERNETES_EXEC_INFO. */
  readonly info: string;
  /** True gives it our standard input. */
  readonly isInteractive: boolean;
}

/** The longest that a plugin may take, milliseconds. */
const deadlineMs = 30_000;
/** The most that it may print, bytes. */
const outputLimitBytes = 1_048_576;

/**
 * Runs a plugin to its end and gives what it printed. Secret material.
 *
 * It runs in a process group of its own, all of which is killed when the deadline is over or the signal is
 * aborted: a shell's child would otherwise live on and hold the pipe.
 *
 * @throws {Failure} E_EXEC_PLUGIN when it cannot be started, fails, prints too much or takes too long
 */
export async function runPlugin(
  { plugin, file, info, isInteractive }: PluginRun,
  signal: AbortSignal,
  limitMs = deadlineMs,
): Promise<string> {
  signal.throwIfAborted();
  const { spawn } = await import("node:child_process");
  const options: SpawnOptions = {
    argv0: plugin.command,
    env: {
      ...process.env,
      ...Object.fromEntries(plugin.env.map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: info,
    },
    // A group of its own has no terminal.
    detached: !isInteractive,
    stdio: [isInteractive ? "inherit" : "ignore", "pipe", "pipe"],
  };
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let child: ReturnType<typeof spawn>;
  try {
    child = spawn(file, plugin.args, options);
  } catch (error) {
    // Too long an argument list is thrown, not emitted.
    throw startFailure(plugin, error);
  }
  const chunks: Buffer[] = [];
  let outputBytes = 0;
  let complaintBytes = 0;
  let exit = "";

  const kill = (): void => {
    child.stdout?.destroy();
    child.stderr?.destroy();
    if (child.pid === undefined) {
      return;
    }
    try {
      process.kill(isInteractive ? child.pid : -child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  const abort = (): void => {
    kill();
    reject(signal.reason);
  };
  const timer = setTimeout(() => {
    kill();
    reject(execFailure(plugin, `not done within ${limitMs / 1_000} s${complaint()}`));
  }, limitMs);
  signal.addEventListener("abort", abort, { once: true });
  child.on("error", (error) => reject(startFailure(plugin, error)));
  child.stdout?.on("data", (chunk: Buffer) => {
    outputBytes += chunk.length;
    if (outputBytes > outputLimitBytes) {
      kill();
      reject(execFailure(plugin, `it prints more than ${outputLimitBytes} bytes`));
    } else {
      chunks.push(chunk);
    }
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    complaintBytes += chunk.length;
  });
  child.once("exit", (status, killer) => {
    exit = killer === null ? `exit status ${status}` : `ended by ${killer}`;
  });
  child.once("close", (status) => {
    if (status === 0) {
      resolve(Buffer.concat(chunks).toString("utf8"));
    } else {
      reject(execFailure(plugin, `${exit}${complaint()}`));
    }
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }

  function complaint(): string {
    return complaintBytes === 0
      ? ""
      : `, and ${complaintBytes} bytes on its standard error, which are not shown`;
  }
}

function startFailure(plugin: ExecPlugin, error: unknown): unknown {
  return isSystemError(error) ? execFailure(plugin, `cannot be started (${error.code})`) : error;
}
