import { posix } from "node:path";
import type { Image, Inode } from "./disk.ts";
import type { Ended } from "./run.ts";
import { type PlacedCall, placeCalls, type Trace } from "./trace.ts";

/** One thing that a program did to a disk, as small as a file system may persist it. */
export type Step =
  /** A name in a directory gets an inode, or loses it. Steps of one group are persisted together. */
  | {
      readonly kind: "entry";
      readonly group: number;
      readonly dir: number;
      readonly name: string;
      readonly inode: number | undefined;
    }
  | { readonly kind: "bytes"; readonly inode: number; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: "empty"; readonly inode: number }
  | { readonly kind: "sync"; readonly inode: number }
  /** From here on the program has said that it succeeded. */
  | { readonly kind: "acknowledged" };

/** Follows a program's calls on a disk, and keeps what they did step by step. */
export class Recorder {
  readonly steps: Step[] = [];
  /** What inodes are when nothing has happened to them: for new ones, empty. */
  readonly inodes: Map<number, Inode>;
  readonly #root: string;
  readonly #names = new Map<number, Map<string, number>>();
  #groups = 0;

  /** @param root  where the disk was mounted, so to say, when the calls were made */
  constructor(image: Image, root: string) {
    this.#root = root;
    this.inodes = new Map(image);
    for (const [number, inode] of image) {
      if (inode.kind === "directory") {
        this.#names.set(number, new Map(inode.entries));
      }
    }
  }

  /**
   * Adds the calls of one process.
   *
   * @param isAcknowledged  asked after each of its words
   */
  add(trace: Trace, isAcknowledged: (ended: Ended) => boolean): void {
    const files = new Map<number, { readonly inode: number; at: number }>();
    const said = { status: null, stdout: "", stderr: "" };
    let isSaid = false;
    for (const call of placeCalls(trace.main)) {
      if (call.result === undefined || call.result < 0) {
        continue;
      }
      const fd = Number(/^(\d+)/.exec(call.args)?.[1] ?? -1);
      if (call.name === "write" && (fd === 1 || fd === 2)) {
        said[fd === 1 ? "stdout" : "stderr"] += call.strings[0]?.toString() ?? "";
        if (!isSaid && isAcknowledged(said)) {
          isSaid = true;
          this.steps.push({ kind: "acknowledged" });
        }
      } else {
        this.#carryOut(call, fd, files);
      }
    }
  }

  #carryOut(call: PlacedCall, fd: number, files: Map<number, { inode: number; at: number }>): void {
    const [first = "", second = ""] = call.paths;
    const file = files.get(fd);
    switch (call.name) {
      case "open":
      case "openat": {
        const inode = this.#open(call, first);
        files.delete(call.result ?? -1);
        if (inode !== undefined) {
          files.set(call.result ?? -1, { inode, at: 0 });
        }
        return;
      }
      case "close":
        files.delete(fd);
        return;
      case "write":
        if (file !== undefined) {
          const bytes = call.strings[0]?.subarray(0, call.result) ?? Buffer.alloc(0);
          this.steps.push({ kind: "bytes", inode: file.inode, at: file.at, bytes });
          file.at += bytes.length;
        }
        return;
      case "fsync":
      case "fdatasync":
        if (file !== undefined) {
          this.steps.push({ kind: "sync", inode: file.inode });
        }
        return;
      case "link":
      case "linkat":
        this.#entry(second, this.#find(first));
        return;
      case "rename":
      case "renameat":
      case "renameat2": {
        const inode = this.#find(first);
        const isWithin = posix.dirname(first) === posix.dirname(second);
        const group = this.#entry(second, inode);
        this.#entry(first, undefined, isWithin ? group : undefined);
        return;
      }
      case "unlink":
      case "unlinkat":
      case "rmdir":
        this.#entry(first, undefined);
        return;
      case "mkdir":
      case "mkdirat":
        this.#make(first, { kind: "directory", mode: modeOf(call), entries: new Map() });
        return;
      case "symlink":
      case "symlinkat":
        this.#make(first, { kind: "link", target: call.strings[0]?.toString() ?? "" });
        return;
      case "pwrite64":
      case "writev":
      case "ftruncate":
      case "truncate":
      case "copy_file_range":
        if (this.#find(first) !== undefined) {
          throw new Error(`the model of the disk does not know ${call.name}`);
        }
    }
  }

  #open(call: PlacedCall, path: string): number | undefined {
    const found = this.#find(path);
    if (found !== undefined && call.args.includes("O_TRUNC")) {
      this.steps.push({ kind: "empty", inode: found });
    }
    return found === undefined && call.args.includes("O_CREAT")
      ? this.#make(path, { kind: "file", mode: modeOf(call), bytes: Buffer.alloc(0) })
      : found;
  }

  #make(path: string, inode: Inode): number | undefined {
    if (this.#placeOf(path) === undefined) {
      return undefined;
    }
    const number = this.inodes.size;
    this.inodes.set(number, inode);
    if (inode.kind === "directory") {
      this.#names.set(number, new Map());
    }
    this.#entry(path, number);
    return number;
  }

  #entry(path: string, inode: number | undefined, group = this.#groups++): number {
    const place = this.#placeOf(path);
    if (place !== undefined) {
      const { dir, name } = place;
      this.steps.push({ kind: "entry", group, dir, name, inode });
      if (inode === undefined) {
        this.#names.get(dir)?.delete(name);
      } else {
        this.#names.get(dir)?.set(name, inode);
      }
    }
    return group;
  }

  #placeOf(path: string): { readonly dir: number; readonly name: string } | undefined {
    const dir = this.#find(posix.dirname(path));
    return dir === undefined ? undefined : { dir, name: posix.basename(path) };
  }

  /** The inode of a path on the disk; undefined for what is not there, or is no disk. */
  #find(path: string): number | undefined {
    const inside = posix.relative(this.#root, path);
    if (inside.startsWith("..")) {
      return undefined;
    }
    let number: number | undefined = 0;
    for (const name of inside.split("/").filter(Boolean)) {
      number = number === undefined ? undefined : this.#names.get(number)?.get(name);
    }
    return number;
  }
}

function modeOf({ args }: PlacedCall): number {
  return Number.parseInt(/, (0[0-7]+)$/.exec(args)?.[1] ?? "0700", 8) & ~0o022;
}
