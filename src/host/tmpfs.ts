import { readdirSync, readFileSync, statfsSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { posix } from "node:path";
import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import type { Warning } from "../model/plan.ts";
import { ensureDirectory } from "./directory.ts";
import { hasErrno } from "./system-error.ts";
import { writeFailure } from "./write-failure.ts";

/** A directory that is proved to be memory. */
export interface Memory {
  /** Absolute on this machine, with `root`. */
  readonly path: string;
  readonly kind: "tmpfs" | "ramfs";
  /** True when the kernel never swaps it. */
  readonly noswap: boolean;
  /** Most that may be written; Infinity on a tmpfs, which has a limit of its own. */
  readonly capBytes: number;
  readonly warnings: readonly Warning[];
}

/** How the directory is made memory. */
export interface MemoryOptions {
  /** Only on "/" is anything mounted; anywhere else it is only checked. */
  readonly root: string;
  readonly swap: "refuse" | "allow";
  /** Told, in one line each, what was mounted. */
  readonly log: (line: string) => void;
}

/** `statfs(2)` types. Source: Linux v6.12 include/uapi/linux/magic.h. */
const kinds: ReadonlyMap<number, "tmpfs" | "ramfs"> = new Map([
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
]);

/** As in systemd/run-blackstart.mount. `noexec` would reach pods that run scripts from a ConfigMap. */
const common = "mode=0700,nosuid,nodev";
const limits = "size=25%,nr_inodes=100k";

/**
 * Makes sure that a directory is memory and, as far as the kernel can, stays out of swap.
 *
 * Creates the directory (0700) when it is missing and lies in memory. On a node, as root, mounts one
 * with mount(8) when it is not: tmpfs with `noswap` (Linux 6.4), else ramfs, which is never swapped
 * but has no limit, else a plain tmpfs if that may be swapped or nothing swaps.
 *
 * @param runDir absolute on the node, without `root`
 * @throws {Failure} E_NOT_MEMORY only when it is on a disk and nothing may be mounted, E_NO_TMPFS only when
 *   mounting failed, E_SWAP only when it can be swapped, swap is on and `swap` is "refuse"
 */
export function ensureMemory(runDir: string, options: MemoryOptions): Memory {
  const path = under(options.root, runDir);
  const mayMount = options.root === "/" && process.geteuid?.() === 0;
  const swap = readSwap();
  let found = observe(path);
  if (mayMount && (found.kind === undefined || improvable(path, found, swap))) {
    mount(path, options, swap, found.kind !== undefined);
    found = observe(path);
  }
  if (found.kind === undefined) {
    throw new Failure("E_NOT_MEMORY", {
      what: `refusing to write secrets to ${found.type}`,
      where: path,
      found: "it is not a tmpfs or ramfs",
      next: `Mount one: mount -t tmpfs -o ${common},noswap,size=25% blackstart ${path}`,
    });
  }
  create(path);
  const { kind, noswap } = found;
  const capBytes = kind === "ramfs" ? Math.floor(totalmem() / 4) : Number.POSITIVE_INFINITY;
  return { path, kind, noswap, capBytes, warnings: judgeSwap(path, noswap, swap, options.swap) };
}

interface Found {
  /** undefined when it is not memory. */
  readonly kind: "tmpfs" | "ramfs" | undefined;
  /** As mountinfo names it. */
  readonly type: string;
  readonly noswap: boolean;
}

type Swap = "off" | "on" | "unknown";

/** Looks at the file system that holds `path`, or will when it is created. */
function observe(path: string): Found {
  let existing = path;
  for (;;) {
    try {
      const kind = kinds.get(statfsSync(existing).type);
      const { type, options } = mountOf(statSync(existing).dev);
      const noswap = kind === "ramfs" || (kind === "tmpfs" && options.includes("noswap"));
      return { kind, type: type ?? kind ?? "a disk", noswap };
    } catch (error) {
      if (!hasErrno(error, "ENOENT") || existing === "/") {
        throw writeFailure(error, "the place for secrets cannot be looked at", existing);
      }
      existing = posix.dirname(existing);
    }
  }
}

/** Type and superblock options of the file system with this device number. Source: proc_pid_mountinfo(5). */
function mountOf(dev: number): { readonly type?: string; readonly options: readonly string[] } {
  const major = Math.floor(dev / 256) & 0xfff;
  const minor = (dev & 0xff) | (Math.floor(dev / 4096) & 0xfff00);
  for (const line of readText("/proc/self/mountinfo").split("\n")) {
    const [before = "", after = ""] = line.split(" - ", 2);
    if (before.split(" ", 3)[2] === `${major}:${minor}`) {
      const [type = "a disk", , options = ""] = after.split(" ");
      return { type, options: options.split(",") };
    }
  }
  return { options: [] };
}

/** /proc/swaps has a heading; under ProcSubset=pid it does not exist. */
function readSwap(): Swap {
  const lines = readText("/proc/swaps").split("\n").filter(Boolean);
  return lines.length === 0 ? "unknown" : lines.length === 1 ? "off" : "on";
}

/** A tmpfs that may be swapped and is still empty can have a better one over it. */
function improvable(path: string, found: Found, swap: Swap): boolean {
  if (found.noswap || swap === "off") {
    return false;
  }
  try {
    return readdirSync(path).length === 0;
  } catch (error) {
    return hasErrno(error, "ENOENT");
  }
}

function mount(path: string, options: MemoryOptions, swap: Swap, optional: boolean): void {
  create(path);
  const attempts = [
    { type: "tmpfs", flags: `${common},noswap,${limits}`, says: "tmpfs, never swapped" },
    {
      type: "ramfs",
      flags: common,
      says: "ramfs, never swapped, because this kernel has no noswap",
    },
    { type: "tmpfs", flags: `${common},${limits}`, says: "tmpfs that may be swapped" },
  ].slice(0, optional || (swap !== "off" && options.swap === "refuse") ? 2 : 3);
  // Loaded only here: with the mount unit there is nothing to mount.
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  let found = "";
  for (const { type, flags, says } of attempts) {
    const { status, error, stderr } = spawnSync(
      "mount",
      ["-t", type, "-o", flags, "blackstart", path],
      {
        encoding: "utf8",
        timeout: 10_000,
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
      },
    );
    if (status === 0) {
      options.log(`mounted ${path}: ${says}`);
      return;
    }
    found = error?.message ?? stderr.trim().split("\n", 1)[0] ?? `mount exited ${status}`;
  }
  if (!optional) {
    throw new Failure("E_NO_TMPFS", {
      what: "no memory could be mounted for the secrets",
      where: path,
      found,
      next: "Enable run-blackstart.mount, or mount a tmpfs there by hand",
    });
  }
}

function judgeSwap(
  path: string,
  noswap: boolean,
  swap: Swap,
  policy: "refuse" | "allow",
): Warning[] {
  if (noswap || swap === "off") {
    return [];
  }
  if (swap === "on" && policy === "refuse") {
    throw new Failure("E_SWAP", {
      what: "refusing to write secrets to memory that may be swapped to a disk",
      where: path,
      found: "swap is on and the tmpfs is not mounted with noswap",
      next: "Use run-blackstart.mount (noswap needs Linux 6.4), turn swap off, or set `swap: allow`",
    });
  }
  const reason = swap === "on" ? "swap is on and allowed" : "whether swap is on cannot be seen";
  return [{ code: "W_NOSWAP", message: `${path} is not mounted with noswap, ${reason}` }];
}

function create(path: string): void {
  try {
    ensureDirectory(path, 0o700);
  } catch (error) {
    throw writeFailure(error, "the place for secrets cannot be created", path);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
