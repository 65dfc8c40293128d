import { randomBytes } from "node:crypto";
import {
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Failure } from "../errors.ts";
import { isoTime } from "../model/iso-time.ts";
import type { Warning } from "../model/plan.ts";
import { ensureDirectory } from "./directory.ts";
import { failureOf, hasErrno } from "./system-error.ts";

/**
 * The lock that two runs of `blackstart` politely keep apart by; no safety depends on it.
 *
 * Releases itself at the end of a `using` block. A process that was killed leaves it stale.
 */
export interface Lock extends Disposable {
  /** I_STALE_LOCK when a dead owner's lock was taken over. */
  readonly warnings: readonly Warning[];
}

/** Names that the lock has on its way. */
const triesPrefix = ".lock-";

interface Owner {
  readonly pid: number;
  /** Clock ticks from boot to the process's start: tells it from a later one with its number. */
  readonly starttime: string;
  readonly bootId: string;
  readonly since: string;
}

/**
 * Takes the lock file `lock` in `dir`, which is made (0700) if it is missing.
 *
 * The file appears whole, by link(2). Take it after the tmpfs is mounted there: a mount hides it.
 *
 * @throws {Failure} E_LOCKED only when a running process holds it; E_READONLY, E_NOSPACE, E_PERMS when `dir`
 *   cannot be written
 */
export function acquireLock(dir: string, now: Date = new Date()): Lock {
  const file = join(dir, "lock");
  const mine = JSON.stringify(describeSelf(now));
  const warnings: Warning[] = [];
  try {
    ensureDirectory(dir, 0o700);
    removeUnfinished(dir, triesPrefix);
    if (!place(dir, file, mine)) {
      const held = readLock(file);
      const owner = held === undefined ? undefined : parseOwner(held);
      if (owner !== undefined && isAlive(owner)) {
        throw locked(file, `pid ${owner.pid} holds the lock since ${owner.since}`);
      }
      if (!takeAway(dir, file, held) || !place(dir, file, mine)) {
        throw locked(file, "another process took it at the same moment");
      }
      const dead =
        owner === undefined ? "an unreadable lock" : `the lock of pid ${owner.pid}, which is gone,`;
      warnings.push({ code: "I_STALE_LOCK", message: `${dead} was taken over` });
    }
  } catch (error) {
    throw failureOf(error, { what: "the lock cannot be taken", where: file });
  }
  return {
    warnings,
    [Symbol.dispose]: () => {
      if (readLock(file) === mine) {
        removeQuietly(file);
      }
    },
  };
}

/** True when a process with this number runs, whoever owns it. */
export function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) {
    return false;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasErrno(error, "EPERM");
  }
}

/**
 * Removes what processes that no longer run have left under hidden names, `<prefix><pid>-…`.
 *
 * What another that runs has there stays: it may be about to use it.
 */
export function removeUnfinished(dir: string, prefix: string): void {
  for (const name of readdirSync(dir)) {
    const pid = /^(\d+)-/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : "")?.[1];
    if (pid !== undefined && (Number(pid) === process.pid || !isRunning(Number(pid)))) {
      removeQuietly(join(dir, name));
    }
  }
}

/** The lock appears with its contents or not at all; false when somebody's stands there. */
function place(dir: string, file: string, text: string): boolean {
  const temporary = join(dir, `${triesPrefix}${process.pid}-${randomBytes(4).toString("hex")}`);
  try {
    writeFileSync(temporary, text, { flag: "wx", mode: 0o600 });
    linkSync(temporary, file);
    return true;
  } catch (error) {
    if (hasErrno(error, "EEXIST")) {
      return false;
    }
    throw error;
  } finally {
    removeQuietly(temporary);
  }
}

/** Moves a stale lock away; if it was another's fresh one by then, puts that back and gives false. */
function takeAway(dir: string, file: string, stale: string | undefined): boolean {
  const aside = join(dir, `${triesPrefix}${process.pid}-${randomBytes(4).toString("hex")}`);
  try {
    renameSync(file, aside);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return true;
    }
    throw error;
  }
  const isStale = readLock(aside) === stale;
  if (!isStale) {
    try {
      linkSync(aside, file);
    } catch {
      // A third process has it: theirs stays.
    }
  }
  removeQuietly(aside);
  return isStale;
}

function isAlive({ pid, starttime, bootId }: Owner): boolean {
  const boot = readBootId();
  if (boot !== "" && bootId !== "" && boot !== bootId) {
    return false;
  }
  const current = readStarttime(pid);
  // Where /proc hides other processes their number alone must do.
  return isRunning(pid) && (current === "" || starttime === "" || current === starttime);
}

function describeSelf(now: Date): Owner {
  const { pid } = process;
  return { pid, starttime: readStarttime(pid), bootId: readBootId(), since: isoTime(now) };
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and parentheses. Source: proc(5). */
function readStarttime(pid: number): string {
  const text = readLock(`/proc/${pid}/stat`) ?? "";
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

/** With ProcSubset=pid the file is hidden; the units pass `BOOT_ID=%b`, which has no dashes. */
function readBootId(): string {
  const text = readLock("/proc/sys/kernel/random/boot_id") ?? process.env["BOOT_ID"] ?? "";
  return text.trim().replaceAll("-", "");
}

function readLock(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) {
      return undefined;
    }
    const { pid, starttime, bootId, since } = value as Partial<Record<keyof Owner, unknown>>;
    return typeof pid === "number" &&
      typeof starttime === "string" &&
      typeof bootId === "string" &&
      typeof since === "string"
      ? { pid, starttime, bootId, since: since.slice(0, 40) }
      : undefined;
  } catch {
    return undefined;
  }
}

function removeQuietly(file: string): void {
  try {
    unlinkSync(file);
  } catch {
    // Gone already, or a disk that cannot be written: the lock is stale when this process ends.
  }
}

function locked(file: string, found: string): Failure {
  return new Failure("E_LOCKED", {
    what: "another blackstart is running",
    where: file,
    found,
    next: "Run the command again when it has ended",
  });
}
