import { writeSync } from "node:fs";
import { parseRestoreArguments } from "./cli/restore-options.ts";
import { describeVersion } from "./cli/version.ts";
import { Exit, type ExitStatus, Failure, isSystemError } from "./errors.ts";

/**
 * Runs one command line and sets the exit status.
 *
 * `restore`, which runs at every boot, and `capture --watch`, which stays, are reached without loading the parser of
 * the other commands.
 * A failure is one line on stderr. A signal ends the process at once by its default action: every
 * step that a command takes can be repeated.
 */
export async function main(argv: readonly string[]): Promise<void> {
  process.on("uncaughtException", end);
  try {
    process.exitCode = await dispatch(argv.slice(2));
  } catch (error) {
    end(error);
  }
  // All is done and written. A name lookup that cannot be cancelled must not hold the kubelet up.
  setTimeout(() => process.exit(), lingerMs).unref();
}

/** How long what cannot be cancelled may keep the process after its work. */
const lingerMs = 1000;

async function dispatch(words: readonly string[]): Promise<ExitStatus> {
  if (words.length === 1 && words[0] === "--version") {
    writeSync(1, `${describeVersion()}\n`);
    return Exit.ok;
  }
  if (words[0] === "restore") {
    const options = parseRestoreArguments(words.slice(1));
    if (options !== undefined) {
      const { restore } = await import("./cli/restore.ts");
      return restore(options);
    }
  }
  requireWorkingDirectory();
  if (words[0] === "capture" && words.includes("--watch")) {
    const { parseWatchArguments } = await import("./cli/capture-options.ts");
    const options = parseWatchArguments(words.slice(1));
    if (options !== undefined) {
      const { capture } = await import("./cli/capture.ts");
      return capture(options);
    }
  }
  const { run } = await import("./cli/args.ts");
  return run(words);
}

/** Where it was removed the parser does not load, and a relative path would mean nothing. */
function requireWorkingDirectory(): void {
  try {
    process.cwd();
  } catch {
    throw new Failure("E_USAGE", {
      what: "the working directory does not exist any more",
      next: "Change to another (`cd /`) and run the command again",
    });
  }
}

function end(error: unknown): void {
  if (isClosedPipe(error)) {
    return;
  }
  if (error instanceof Failure) {
    process.exitCode = error.exit;
    say(`blackstart: ${error.code}: ${error.message}`);
    return;
  }
  process.exitCode = Exit.software;
  const stack = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  say(
    `blackstart: this is a bug, please report it with these lines\n${describeVersion()}\n${stack}`,
  );
}

/** The reader of our output went away (`blackstart status | head -1`): what was done stays done. */
function isClosedPipe(error: unknown): boolean {
  return isSystemError(error) && error.code === "EPIPE" && error.syscall === "write";
}

function say(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // There is nobody to tell.
  }
}

if (import.meta.main) {
  void main(process.argv);
}
