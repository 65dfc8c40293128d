import { fchmodSync, fchownSync, fstatSync, lchownSync, type Stats } from "node:fs";
import type { VolumeEntry } from "../model/plan.ts";

/** Who this process is, and whether it may give files away. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
  /** True with CAP_CHOWN; false leaves every file with this process. */
  readonly canOwn: boolean;
}

/** The owner for this process. */
export function ownerOfProcess(canOwn: boolean): Owner {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, canOwn };
}

/**
 * Gives an open file or directory its mode and owner.
 *
 * The mode comes first: a file that was given away may no longer be changed without CAP_FOWNER, and
 * setgid for a group that is not ours is dropped silently without CAP_FSETID. chown(2) leaves the
 * special bits of directories alone; a volume's files have none (their modes end at 0777).
 *
 * @throws {Error} EPERM only when the special bits did not take
 */
export function applyOwner(fd: number, entry: Attributes, owner: Owner): void {
  fchmodSync(fd, entry.mode);
  if (owner.canOwn) {
    fchownSync(fd, entry.uid, entry.gid);
  }
  checkSpecialBits(fd, entry);
}

function checkSpecialBits(fd: number, { mode }: Attributes): void {
  if (mode > 0o777 && (fstatSync(fd).mode & 0o7777) !== mode) {
    throw Object.assign(new Error("setgid or sticky did not take"), { code: "EPERM" });
  }
}

/**
 * As `applyOwner`, for a directory that may have its mode from birth.
 *
 * A sandbox (systemd's RestrictSUIDSGID=) refuses every chmod with the setgid bit; a directory made in
 * a setgid directory has the bit all the same. So the mode is set only where it is not right already.
 */
export function applyDirectoryOwner(fd: number, entry: Attributes, owner: Owner): void {
  if ((fstatSync(fd).mode & 0o7777) !== entry.mode) {
    fchmodSync(fd, entry.mode);
  }
  if (owner.canOwn) {
    fchownSync(fd, entry.uid, entry.gid);
  }
  checkSpecialBits(fd, entry);
}

/** As `applyDirectoryOwner`, for a directory that may already belong to somebody else. */
export function reapplyOwner(fd: number, entry: Attributes, owner: Owner): void {
  if (owner.canOwn) {
    fchownSync(fd, owner.uid, owner.gid);
  }
  applyDirectoryOwner(fd, entry, owner);
}

/** Gives a symlink its owner; links have no mode on Linux. */
export function applyLinkOwner(path: string, entry: Ownership, owner: Owner): void {
  if (owner.canOwn) {
    lchownSync(path, entry.uid, entry.gid);
  }
}

/** Pure. True when nothing about owner and mode (undefined for a link) would have to be changed. */
export function hasOwner(stat: Stats, entry: VolumeEntry, owner: Owner): boolean {
  const owned = !owner.canOwn || (stat.uid === entry.uid && stat.gid === entry.gid);
  return owned && (entry.kind === "link" || (stat.mode & 0o7777) === entry.mode);
}

/** Pure. True when the entry stays with this process although the plan gives it to another owner. */
export function staysOurs(entry: Ownership, owner: Owner): boolean {
  return !owner.canOwn && (entry.uid !== owner.uid || entry.gid !== owner.gid);
}

interface Ownership {
  readonly uid: number;
  readonly gid: number;
}

interface Attributes extends Ownership {
  readonly mode: number;
}
