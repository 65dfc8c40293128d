import { spawn, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { cleanEnvironment } from "../../../scripts/install.mjs";
import { parseTrace, type Trace } from "./trace.ts";

/** How the program is started: the executable, or the runtime and a script. */
export type Program = readonly [file: string, ...words: string[]];

/** How one run ended. */
export interface Ended {
  /** null when a signal ended it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls that are followed: whatever may change a file system, or read one. */
const traced = [
  ...["open", "openat", "openat2", "creat", "close", "read", "pread64", "readv", "preadv"],
  ...["write", "pwrite64", "writev", "pwritev", "copy_file_range", "sendfile", "ftruncate"],
  ...["truncate", "fallocate", "fsync", "fdatasync", "sync_file_range", "syncfs", "link", "linkat"],
  ...["rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"],
  ...["mknod", "mknodat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown"],
  ...["lchown", "fchownat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "removexattr"],
  ...["mount", "umount2", "fsmount", "move_mount", "stat", "lstat", "fstat", "newfstatat", "statx"],
  ...["statfs", "fstatfs", "getdents64", "readlink", "readlinkat"],
];

/** Those that the architecture lacks (`open`, `rename` on arm64) are no error for strace with "?". */
const traceSet = traced.map((name) => `?${name}`).join(",");

/** A fault: what happens to the n-th call of one name in each thread. */
export interface Fault {
  readonly syscall: string;
  readonly when: number;
  /** Counts only calls on this path, absolute; then nothing else is in the trace. */
  readonly path?: string;
  /** Every one from there on as well. */
  readonly always?: boolean;
  /** "KILL", or an errno that the call returns without being carried out. */
  readonly effect: string;
}

/** Why nothing can be injected here; undefined when it can. */
export function missingStrace(): string | undefined {
  const { error, status } = spawnSync("strace", ["-f", "-e", "trace=none", "true"]);
  if (error !== undefined) {
    return "strace is not installed";
  }
  return status === 0 ? undefined : "strace may not trace here";
}

/** What strace does besides following calls. */
export interface Tracing {
  readonly fault?: Fault;
  /** How much of each string is kept: enough for paths, unless what was written is wanted too. */
  readonly bytes?: number;
  /** With a fault: not only the calls that tell where it hit. */
  readonly all?: boolean;
}

/**
 * Runs the program under strace.
 *
 * @param log  file for the log; removed afterwards
 */
export async function runTraced(
  program: Program,
  words: readonly string[],
  log: string,
  { fault, bytes = 4096, all = fault === undefined }: Tracing = {},
): Promise<{ readonly ended: Ended; readonly trace: Trace }> {
  const followed = all ? traceSet : `?open,?openat,?openat2,close,${fault?.syscall}`;
  const options = ["-f", "-xx", "-s", String(bytes), "-o", log, "-e", `trace=${followed}`];
  if (fault !== undefined) {
    const isKill = fault.effect === "KILL";
    const effect = isKill ? "signal=KILL" : `error=${fault.effect}`;
    options.push(
      "-e",
      `inject=${fault.syscall}:${effect}:when=${fault.when}${fault.always === true ? "+" : ""}`,
    );
    options.push(...(fault.path === undefined ? [] : ["-P", fault.path]));
    // It makes strace faster, and silently ignores signals.
    options.push(...(isKill ? [] : ["--seccomp-bpf"]));
  }
  try {
    const ended = await run(["strace", ...options, ...program], words);
    return { ended, trace: parseTrace(readFileSync(log, "latin1")) };
  } finally {
    rmSync(log, { force: true });
  }
}

/** Runs a program to its end, without input. */
export function run(program: Program, words: readonly string[]): Promise<Ended> {
  const [file, ...before] = program;
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...before, ...words], {
      env: { ...cleanEnvironment(), JOURNAL_STREAM: undefined, CREDENTIALS_DIRECTORY: undefined },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

/** Does something for each of many, two at a time; results come in the order of the input. */
export async function inLanes<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item !== undefined) {
        results[index] = await work(item, index);
      }
    }
  };
  await Promise.all([lane(), lane()]);
  return results;
}
