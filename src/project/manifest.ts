import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { posix } from "node:path";
import { Failure } from "../errors.ts";
import type { AnchoredDir } from "../host/anchored-dir.ts";
import { hasEntries } from "../host/compare-tree.ts";
import {
  type ManifestDir,
  type OwnedLink,
  observeLink,
  temporaryPrefix,
} from "../host/manifest-dir.ts";
import type { Owner } from "../host/ownership.ts";
import { hasErrno } from "../host/system-error.ts";

const temporary = `${temporaryPrefix}new`;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Writes a manifest, mode 0600, unless it is there already.
 *
 * (1) create under a hidden name, (2) write, (3) fsync, (4) rename: the commit point of the file. A
 * link that led nowhere since a power cut shows the pod from here on.
 *
 * @param dir  `/run/blackstart/manifests`
 * @returns whether something was written
 */
export function writeManifest(dir: AnchoredDir, name: string, text: string, owner: Owner): boolean {
  const bytes = Buffer.from(text, "utf8");
  const { uid, gid } = owner;
  if (hasEntries(dir, [{ kind: "file", path: name, mode: 0o600, uid, gid, bytes }], owner)) {
    return false;
  }
  orRemoveTemporary(dir, () => writeAndRename(dir, name, bytes));
  return true;
}

function writeAndRename(dir: AnchoredDir, name: string, bytes: Buffer): void {
  const fd = openSync(dir.at(temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600); // (1)
  try {
    fchmodSync(fd, 0o600); // an odd umask
    writeFileSync(fd, bytes); // (2)
    fsyncSync(fd); // (3)
  } finally {
    closeSync(fd);
  }
  renameSync(dir.at(temporary), dir.at(name)); // (4)
}

/** The hidden name is every pod's: one that fails must not leave it in the way of the next. */
function orRemoveTemporary(dir: AnchoredDir, write: () => void): void {
  try {
    write();
  } catch (error) {
    try {
      unlinkSync(dir.at(temporary));
    } catch {
      // The first error is the one to tell.
    }
    throw error;
  }
}

/** True when a manifest of that name is there, whatever it says. */
export function hasManifest(dir: AnchoredDir, name: string): boolean {
  return lstatSync(dir.at(name), { throwIfNoEntry: false })?.isFile() === true;
}

/**
 * Looks up what has a link's name.
 *
 * @returns our link, or undefined when the name is free
 * @throws {Failure} E_FOREIGN only when something that is not ours has the name
 */
export function requireLink(place: ManifestDir, linkName: string): OwnedLink | undefined {
  const found = observeLink(place, linkName);
  if (found === "foreign") {
    throw foreign(place, linkName);
  }
  return found === "free" ? undefined : found;
}

/**
 * Makes a manifest visible to the kubelet by one symlink: the commit point of the pod.
 *
 * symlink(2) gives a complete link or none and never overwrites, so a foreign file that appears at
 * the last moment survives. Only a link of ours with another text is replaced, by rename from a
 * hidden name. Nothing is fsynced: after a power cut there is nothing left to link to.
 *
 * @param before  what `requireLink` gave
 * @returns whether something was changed
 * @throws {Failure} E_FOREIGN only when something took the name since
 */
export function linkManifest(
  place: ManifestDir,
  linkName: string,
  fileName: string,
  before: OwnedLink | undefined,
): boolean {
  const target = place.targetOf(fileName);
  if (before?.target === target) {
    return false;
  }
  if (before !== undefined) {
    orRemoveTemporary(place.dir, () => {
      symlinkSync(target, place.dir.at(temporary));
      renameSync(place.dir.at(temporary), place.dir.at(linkName));
    });
    return true;
  }
  try {
    symlinkSync(target, place.dir.at(linkName));
  } catch (error) {
    throw hasErrno(error, "EEXIST") ? foreign(place, linkName) : error;
  }
  return true;
}

/** Removes our link of that name; anything else of that name stays. */
export function removeLink(place: ManifestDir, linkName: string): void {
  if (typeof observeLink(place, linkName) !== "string") {
    unlinkSync(place.dir.at(linkName));
  }
}

function foreign(place: ManifestDir, linkName: string): Failure {
  return new Failure("E_FOREIGN", {
    what: "a file that is not ours has the name that a pod's manifest would get",
    where: posix.join(place.path, linkName),
    found: "it is left as it is",
    next: "Remove it, if nobody needs it, and run the command again",
  });
}
