import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
} from "node:fs";
import { isSystemError } from "../errors.ts";
import type { VolumeEntry } from "../model/plan.ts";
import type { AnchoredDir } from "./anchored-dir.ts";
import { hasOwner, type Owner } from "./ownership.ts";
import { TreeCursor } from "./tree-cursor.ts";

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/**
 * True when the entries are there with kind, bytes, target, mode and owner, and their directories
 * hold nothing else. What lies beside the entries in `dir` itself does not count.
 *
 * Reads only. A file that may not be read (another owner's, without CAP_DAC_OVERRIDE) is different.
 */
export function hasEntries(
  dir: AnchoredDir,
  entries: readonly VolumeEntry[],
  owner: Owner,
): boolean {
  using cursor = new TreeCursor(dir);
  try {
    return (
      entries.every((entry) => isThere(cursor, entry, owner)) && holdNothingElse(cursor, entries)
    );
  } catch (error) {
    if (isSystemError(error) && different.has(error.code)) {
      return false;
    }
    throw error;
  }
}

/** What opening or reading an entry of another kind, a missing or a forbidden one answers. */
const different = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "EINVAL", "ENXIO", "EACCES"]);

function isThere(cursor: TreeCursor, entry: VolumeEntry, owner: Owner): boolean {
  const { dir, name } = cursor.locate(entry.path);
  const path = dir.at(name);
  switch (entry.kind) {
    case "directory": {
      const stat = lstatSync(path);
      return stat.isDirectory() && hasOwner(stat, entry, owner);
    }
    case "link":
      return readlinkSync(path) === entry.target && hasOwner(lstatSync(path), entry, owner);
    case "file": {
      const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        const stat = fstatSync(fd);
        const alike = stat.isFile() && stat.size === entry.bytes.length;
        return alike && hasOwner(stat, entry, owner) && readFileSync(fd).equals(entry.bytes);
      } finally {
        closeSync(fd);
      }
    }
  }
}

function holdNothingElse(cursor: TreeCursor, entries: readonly VolumeEntry[]): boolean {
  const children = new Map<string, number>();
  for (const entry of entries) {
    if (entry.kind === "directory") {
      children.set(entry.path, 0);
    }
  }
  for (const { path } of entries) {
    const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    const count = children.get(parent);
    if (count !== undefined) {
      children.set(parent, count + 1);
    }
  }
  return [...children].every(([path, count]) => cursor.enter(path).names().length === count);
}
