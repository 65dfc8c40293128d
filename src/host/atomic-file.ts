import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { hasErrno } from "./system-error.ts";

/*
 * Durable files, by synchronous calls in a fixed order, so that a crash test can stop at each of them.
 * Errors are the kernel's own; the caller, who knows the object's name, makes failures of them.
 */

/** Names that begin so are garbage unless their process still runs; never a name anybody reads. */
export const temporaryPrefix = ".tmp-";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * Publishes a file under a name that no file has yet; never overwrites. Durable when it returns.
 *
 * (1) create a temporary name (2) write (3) fsync (4) close (5) link to the final name: **the commit point**
 * (6) unlink the temporary (7) fsync the directory. After an error of any step neither name is left, as far
 * as the disk allows. Gives "exists" when the final name is taken.
 */
export function publishFile(
  dir: string,
  name: string,
  bytes: Uint8Array,
  mode: number,
): "published" | "exists" {
  const temporary = writeTemporary(dir, bytes, mode); // (1)…(4)
  const file = join(dir, name);
  try {
    linkSync(temporary, file); // (5)
  } catch (error) {
    removeQuietly(temporary);
    if (hasErrno(error, "EEXIST")) {
      return "exists";
    }
    if (hasErrno(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) {
      return publishWithoutLink(dir, file, bytes, mode);
    }
    throw error;
  }
  try {
    unlinkSync(temporary); // (6)
    syncDirectory(dir); // (7)
  } catch (error) {
    removeQuietly(temporary);
    removeQuietly(file);
    throw error;
  }
  return "published";
}

/**
 * Puts a file in place of another, or of none. Durable when it returns; the commit point is the rename.
 */
export function replaceFile(dir: string, name: string, bytes: Uint8Array, mode: number): void {
  const temporary = writeTemporary(dir, bytes, mode);
  try {
    renameSync(temporary, join(dir, name));
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
  syncDirectory(dir);
}

/** Makes an empty file whose name is its meaning; durable when it returns. Gives false when it was there. */
export function createMarker(dir: string, name: string): boolean {
  try {
    closeSync(openSync(join(dir, name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
  } catch (error) {
    if (hasErrno(error, "EEXIST")) {
      return false;
    }
    throw error;
  }
  syncDirectory(dir);
  return true;
}

/** Renames within one directory; durable when it returns. */
export function renameDurably(dir: string, from: string, to: string): void {
  renameSync(join(dir, from), join(dir, to));
  syncDirectory(dir);
}

/** Removes a file; a missing one is as good as removed. */
export function removeFile(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) {
      throw error;
    }
  }
}

/** Makes the names of a directory durable. */
export function syncDirectory(dir: string): void {
  const fd = openSync(dir, O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What `readRegularFile` found instead of contents. */
export type Unread =
  | { readonly kind: "not-regular" }
  | { readonly kind: "too-large"; sizeBytes: number };

/**
 * Reads a whole regular file, or its first `limitBytes` when `part` is "start".
 *
 * Never follows a link and never waits for a pipe. The size is checked before anything is allocated.
 */
export function readRegularFile(
  file: string,
  limitBytes: number,
  part: "whole" | "start" = "whole",
): { readonly kind: "read"; readonly bytes: Buffer; readonly stats: Stats } | Unread {
  const fd = openSync(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) {
      return { kind: "not-regular" };
    }
    if (stats.size > limitBytes && part === "whole") {
      return { kind: "too-large", sizeBytes: stats.size };
    }
    return { kind: "read", bytes: readAll(fd, Math.min(stats.size, limitBytes)), stats };
  } finally {
    closeSync(fd);
  }
}

function readAll(fd: number, sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  let length = 0;
  while (length < sizeBytes) {
    const count = readSync(fd, bytes, length, sizeBytes - length, length);
    if (count === 0) {
      break;
    }
    length += count;
  }
  return bytes.subarray(0, length);
}

function writeTemporary(dir: string, bytes: Uint8Array, mode: number): string {
  const temporary = join(dir, `${temporaryPrefix}${process.pid}-${randomBytes(6).toString("hex")}`);
  writeNew(temporary, bytes, mode);
  return temporary;
}

function writeNew(file: string, bytes: Uint8Array, mode: number): void {
  const fd = openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600); // (1)
  let open = true;
  try {
    for (let at = 0; at < bytes.byteLength; ) {
      at += writeSync(fd, bytes, at); // (2)
    }
    if (mode !== 0o600) {
      fchmodSync(fd, mode);
    }
    fsyncSync(fd); // (3)
    open = false;
    closeSync(fd); // (4)
  } catch (error) {
    // Never synced again on this descriptor: a second fsync would claim success for pages that are gone.
    if (open) {
      closeQuietly(fd);
    }
    removeQuietly(file);
    throw error;
  }
}

/** For file systems without hard links: a torn file does not authenticate, so nothing believes it. */
function publishWithoutLink(dir: string, file: string, bytes: Uint8Array, mode: number) {
  try {
    writeNew(file, bytes, mode);
    syncDirectory(dir);
  } catch (error) {
    if (hasErrno(error, "EEXIST")) {
      return "exists";
    }
    removeQuietly(file);
    throw error;
  }
  return "published";
}

function removeQuietly(file: string): void {
  try {
    unlinkSync(file);
  } catch {
    // The first error is the one to tell; what is left is swept by the next commit.
  }
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // As above.
  }
}
