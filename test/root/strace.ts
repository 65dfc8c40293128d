import { spawnSync } from "node:child_process";
import { mkdtempDisposableSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One system call of the main thread on a path of interest, which can be failed or killed by its number. */
export interface CallPoint {
  readonly syscall: string;
  /** Which call of that name in the process's life, from 1: strace's `when`. */
  readonly when: number;
  /** The call as strace prints it. */
  readonly text: string;
}

/** What a traced run did. */
export interface TracedRun {
  /** Undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  /** The call at which the fault was injected, if one was. */
  readonly injected: string | undefined;
}

const calls = [
  ...["openat", "read", "pread64", "write", "pwrite64", "fsync", "close", "fchmod"],
  ...["link", "linkat", "unlink", "unlinkat", "rename", "renameat", "mkdir", "mkdirat", "symlink"],
  ...["symlinkat", "getdents64", "statx", "newfstatat", "fstat", "lstat", "statfs"],
];

/** Calls that change nothing on disk. */
const reading = [
  "read",
  "pread64",
  "getdents64",
  "statx",
  "newfstatat",
  "fstat",
  "lstat",
  "statfs",
];

/** Why strace cannot be used here, or undefined. */
export function straceMissing(): string | undefined {
  const { status, error } = spawnSync("strace", ["-o", "/dev/null", "true"]);
  return status === 0 ? undefined : `strace cannot trace here (${error?.message ?? status})`;
}

/** True when the call may change what is on disk. */
export function isMutating({ syscall, text }: CallPoint): boolean {
  return !reading.includes(syscall) && !(syscall === "openat" && !text.includes("O_CREAT"));
}

/** Runs a command once and lists its main thread's calls that name `path`, by argument or descriptor. */
export function listCalls(command: readonly string[], path: string): readonly CallPoint[] {
  const { lines } = run(command, ["-e", `trace=${calls.join()}`]);
  const [main = ""] = lines[0]?.split(" ") ?? [];
  const counts = new Map<string, number>();
  const points: CallPoint[] = [];
  for (const line of lines.filter((one) => one.startsWith(`${main} `))) {
    const syscall = /^\d+ +(\w+)\(/.exec(line)?.[1];
    if (syscall !== undefined) {
      const when = (counts.get(syscall) ?? 0) + 1;
      counts.set(syscall, when);
      if (line.includes(path)) {
        points.push({ syscall, when, text: line.replace(/^\d+ +/, "") });
      }
    }
  }
  return points;
}

/** Runs the command and injects one fault, `signal=KILL` or `error=EIO`, instead of the call. */
export function runWithFault(
  command: readonly string[],
  point: CallPoint,
  fault: string,
): TracedRun {
  const { syscall, when } = point;
  const inject = `inject=${syscall}:${fault}:when=${when}`;
  const { status, stdout, lines } = run(command, ["-e", `trace=${syscall}`, "-e", inject]);
  const main = lines[0]?.split(" ")[0];
  const own = lines.filter(
    (line) => line.startsWith(`${main} ${""}`) && line.includes(`${syscall}(`),
  );
  const hit = fault.startsWith("signal")
    ? own[when - 1]
    : own.find((line) => line.includes("(INJECTED)"));
  return { status, stdout, injected: hit };
}

function run(command: readonly string[], options: readonly string[]) {
  using dir = mkdtempDisposableSync(join(tmpdir(), "blackstart-strace-"));
  const log = join(dir.path, "trace");
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const words = ["-f", "-y", "-s", "0", "-o", log, ...options, ...command];
  const { status, stdout } = spawnSync("strace", words, { encoding: "utf8", env });
  const lines = readFileSync(log, "utf8").split("\n");
  return { status: status ?? undefined, stdout, lines };
}
