import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from "node:fs";
import { hasErrno } from "./system-error.ts";

const directoryOnly = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * An open directory whose entries are reached through its descriptor, as openat(2) does.
 *
 * A directory that is exchanged for a symlink behind our back cannot lead a write elsewhere: the
 * descriptor stays with the directory that was opened, and no component below it is followed.
 */
export class AnchoredDir implements Disposable {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Opens a directory by its path. The last component is not followed: ENOTDIR when it is a symlink. */
  static open(path: string): AnchoredDir {
    return new AnchoredDir(openSync(path, directoryOnly));
  }

  /** Pure. The path of an entry, valid while this directory is open; for calls that do not follow links. */
  at(name: string): string {
    if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
      throw new Error("an entry of an anchored directory is one path component");
    }
    return `/proc/self/fd/${this.fd}/${name}`;
  }

  /** Pure. The directory itself, for calls that take a path and may follow this one link. */
  get self(): string {
    return `/proc/self/fd/${this.fd}`;
  }

  openChild(name: string): AnchoredDir {
    return new AnchoredDir(openSync(this.at(name), directoryOnly));
  }

  /** Opens the directory that this one lies in. Only for trees that nobody else can move. */
  openParent(): AnchoredDir {
    return new AnchoredDir(openSync(`${this.self}/..`, directoryOnly));
  }

  /** Makes a directory that must not exist, and opens it. The umask applies; setgid is inherited. */
  makeChild(name: string, mode = 0o700): AnchoredDir {
    mkdirSync(this.at(name), mode);
    return this.openChild(name);
  }

  /** Opens a directory, made with mode 0700 if it is missing. `found` tells which. */
  ensureChild(name: string): { readonly dir: AnchoredDir; readonly found: boolean } {
    try {
      return { dir: this.makeChild(name), found: false };
    } catch (error) {
      if (hasErrno(error, "EEXIST")) {
        return { dir: this.openChild(name), found: true };
      }
      throw error;
    }
  }

  names(): string[] {
    return readdirSync(this.self);
  }

  /** Names of directories in it; links to directories are none. */
  directories(): string[] {
    return readdirSync(this.self, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  }

  stat(): Stats {
    return fstatSync(this.fd);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/**
 * Removes an entry and all that lies in it. Nothing happens when it is missing.
 *
 * Follows no link. Never holds more than two descriptors, however deep the tree is.
 */
export function removeEntry(dir: AnchoredDir, name: string): void {
  if (unlinked(dir, name)) {
    return;
  }
  const path = [name];
  let current = dir.openChild(name);
  try {
    for (;;) {
      const inside = current.names().find((entry) => !unlinked(current, entry));
      if (inside !== undefined) {
        path.push(inside);
        current = replaced(current, current.openChild(inside));
        continue;
      }
      const empty = path.pop() ?? name;
      if (path.length === 0) {
        rmdirSync(dir.at(empty));
        return;
      }
      current = replaced(current, current.openParent());
      rmdirSync(current.at(empty));
    }
  } finally {
    current[Symbol.dispose]();
  }
}

function replaced(before: AnchoredDir, after: AnchoredDir): AnchoredDir {
  before[Symbol.dispose]();
  return after;
}

/** False when the entry is a directory. */
function unlinked(dir: AnchoredDir, name: string): boolean {
  try {
    unlinkSync(dir.at(name));
    return true;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return true;
    }
    // Linux answers EISDIR where POSIX says EPERM.
    if (hasErrno(error, "EISDIR")) {
      return false;
    }
    throw error;
  }
}
