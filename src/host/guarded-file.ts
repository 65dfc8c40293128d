import { lstatSync, type Stats } from "node:fs";
import { Failure } from "../errors.ts";
import { readRegularFile } from "./atomic-file.ts";
import { failureOf, hasErrno } from "./system-error.ts";

/** A file's bytes, and what its owner and mode promise wrongly (E_PERMS). */
export interface GuardedFile {
  readonly bytes: Buffer;
  readonly concerns: readonly Failure[];
}

/**
 * Reads a whole file that only its owner should have access to. Gives undefined when there is none.
 *
 * @throws {Failure} E_NOT_REGULAR, E_TOO_BIG before anything is read; E_PERMS, E_IO, E_RESOURCES when reading fails
 */
export function readGuarded(
  file: string,
  limitBytes: number,
  what: string,
): GuardedFile | undefined {
  try {
    const read = readRegularFile(file, limitBytes);
    switch (read.kind) {
      case "read":
        return { bytes: read.bytes, concerns: accessConcerns(read.stats, 0o077, "0600", file) };
      case "too-large":
        throw new Failure("E_TOO_BIG", {
          what: `${what} is too large`,
          where: file,
          found: `${read.sizeBytes} bytes, at most ${limitBytes}`,
          next: "Remove it, or use another",
        });
      case "not-regular":
        throw new Failure("E_NOT_REGULAR", {
          what: `${what} is not a regular file`,
          where: file,
          next: "Remove what stands there",
        });
    }
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return undefined;
    }
    throw failureOf(error, { what: `${what} cannot be read`, where: file });
  }
}

/** Pure but for the user id. E_PERMS when `forbidden` bits are set or the owner is neither root nor this user. */
export function accessConcerns(
  { mode, uid }: Pick<Stats, "mode" | "uid">,
  forbidden: number,
  expected: string,
  where: string,
): readonly Failure[] {
  const foreign = uid !== 0 && uid !== process.geteuid?.();
  if (!foreign && (mode & forbidden) === 0) {
    return [];
  }
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  return [
    new Failure("E_PERMS", {
      what: foreign
        ? "the owner is neither root nor this user"
        : "others than the owner have access",
      where,
      found: `mode ${octal}, owner ${uid}, expected ${expected}; secrets may have been read or replaced`,
      next: "Correct the owner and mode, find out who changed them, and rotate what was exposed",
    }),
  ];
}

/** What stands under a name, links not followed, or undefined when nothing can be seen there. */
export function statOf(file: string): Stats | undefined {
  try {
    return lstatSync(file);
  } catch {
    // Gone since it was listed, or unreadable: opening it will tell.
    return undefined;
  }
}
