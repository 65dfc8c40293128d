import { closeSync, constants, openSync, symlinkSync, writeFileSync } from "node:fs";
import type { VolumeEntry } from "../model/plan.ts";
import type { AnchoredDir } from "./anchored-dir.ts";
import { applyDirectoryOwner, applyLinkOwner, applyOwner, type Owner } from "./ownership.ts";
import { TreeCursor } from "./tree-cursor.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Builds a tree in a directory that is new, empty and closed to everybody else.
 *
 * Per file: (1) create 0600 with O_EXCL, (2) mode, (3) owner, (4) bytes, so that no byte is ever
 * readable to anyone whom the final mode and owner do not name. Directories are made with their mode
 * (the umask is the caller's), and get their owner last, the deepest first: one that was given away
 * could no longer be entered. An entry "." sets the directory itself, last of all.
 *
 * Not atomic: the caller makes the tree visible by renaming it.
 */
export function buildTree(dir: AnchoredDir, entries: readonly VolumeEntry[], owner: Owner): void {
  using cursor = new TreeCursor(dir);
  const directories: Directory[] = [];
  for (const entry of entries) {
    if (entry.kind === "directory") {
      directories.push(entry);
    }
    if (entry.path !== ".") {
      create(cursor, entry, owner);
    }
  }
  for (const entry of directories.reverse()) {
    applyDirectoryOwner(cursor.enter(entry.path).fd, entry, owner);
  }
}

type Directory = Extract<VolumeEntry, { kind: "directory" }>;

function create(cursor: TreeCursor, entry: VolumeEntry, owner: Owner): void {
  const { dir, name } = cursor.locate(entry.path);
  switch (entry.kind) {
    case "directory":
      dir.makeChild(name, entry.mode & 0o1777)[Symbol.dispose]();
      return;
    case "link": {
      const path = dir.at(name);
      symlinkSync(entry.target, path);
      applyLinkOwner(path, entry, owner);
      return;
    }
    case "file": {
      const fd = openSync(dir.at(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600); // (1)
      try {
        applyOwner(fd, entry, owner); // (2) (3)
        writeFileSync(fd, entry.bytes); // (4)
      } finally {
        closeSync(fd);
      }
      return;
    }
    default:
      entry satisfies never;
  }
}
