import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { syncDirectory } from "./atomic-file.ts";
import { hasErrno } from "./system-error.ts";

/**
 * Makes a directory and those that it lies in, where they are missing.
 *
 * Node's own recursion takes EROFS, EMFILE and EIO of mkdir(2) for ENOENT, so that a read-only disk would be
 * told as something else. Source: Node v24.21.0 src/node_file.cc `MKDirpSync`.
 *
 * @returns the directories that were made, deepest first
 */
export function ensureDirectory(path: string, mode: number): readonly string[] {
  try {
    return make(path, mode);
  } catch (error) {
    if (!hasErrno(error, "ENOENT") || dirname(path) === path) {
      throw error;
    }
  }
  const parents = ensureDirectory(dirname(path), mode);
  return [...make(path, mode), ...parents];
}

/**
 * Makes a directory, 0700, and those that it lies in where they are missing; durable when it returns.
 *
 * One that is there may be what a killed run has made and not synced: its name and its parent's are synced
 * all the same.
 */
export function ensureDurableDirectory(dir: string): void {
  const parent = dirname(dir);
  const made = ensureDirectory(parent, 0o777); // less the umask
  make(dir, 0o700);
  for (const path of new Set([dir, parent, ...made])) {
    syncDirectory(dirname(path));
  }
}

function make(path: string, mode: number): readonly string[] {
  try {
    mkdirSync(path, { mode });
    return [path];
  } catch (error) {
    if (hasErrno(error, "EEXIST")) {
      return [];
    }
    throw error;
  }
}
