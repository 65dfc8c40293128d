import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { under } from "../config.ts";

/** What this boot and this process are. */
export interface BootFacts {
  /** 32 lower-case hexadecimal digits; undefined where neither the unit nor /proc tells it. */
  readonly bootId: string | undefined;
  readonly now: Date;
  /** The name that a kubelet takes when it is given none. */
  readonly hostName: string;
  readonly uid: number;
  /** True when files can be given to any user and group under this root. */
  readonly canOwn: boolean;
  readonly seLinux: boolean;
}

/** CAP_CHOWN. Source: Linux v6.12 include/uapi/linux/capability.h. */
const capChown = 1n << 0n;
/** All ids but the invalid last one. */
const allIds = 4_294_967_295;

/**
 * Looks at the machine.
 *
 * Reads /proc, the environment's BOOT_ID (a unit sets it, for ProcSubset=pid hides /proc/sys) and,
 * under `root`, whether SELinux is there.
 */
export function observeBoot(
  root: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): BootFacts {
  return {
    bootId: parseBootId(env["BOOT_ID"] ?? readText("/proc/sys/kernel/random/boot_id")),
    now: new Date(),
    hostName: hostname().trim().toLowerCase(),
    uid: process.geteuid?.() ?? 0,
    canOwn: hasCapChown() && (root === "/" || hasAllIds()),
    seLinux: exists(under(root, "/sys/fs/selinux/enforce")),
  };
}

/** Pure. With or without the dashes that the kernel prints and systemd's `%b` does not. */
function parseBootId(text: string): string | undefined {
  const digits = text.trim().toLowerCase().replaceAll("-", "");
  return /^[0-9a-f]{32}$/.test(digits) ? digits : undefined;
}

function hasCapChown(): boolean {
  const digits = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText("/proc/self/status"))?.[1];
  // Without /proc the kernel is the judge: a chown(2) that it refuses fails the pod.
  return digits === undefined
    ? process.geteuid?.() === 0
    : (BigInt(`0x${digits}`) & capChown) !== 0n;
}

/** False in a user namespace that maps only some ids: chown(2) to another one is EINVAL there. */
function hasAllIds(): boolean {
  const map = readText("/proc/self/uid_map").trim();
  const [inside, , count] = map.split(/\s+/).map(Number);
  return map === "" || (inside === 0 && count === allIds);
}

/** True also when it cannot be told: what then fails is a warning. */
function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
