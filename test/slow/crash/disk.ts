import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** A file, directory or link of a disk image. Directories name their entries by inode number. */
export type Inode =
  | { readonly kind: "file"; readonly mode: number; readonly bytes: Buffer }
  | {
      readonly kind: "directory";
      readonly mode: number;
      readonly entries: ReadonlyMap<string, number>;
    }
  | { readonly kind: "link"; readonly target: string };

/** What a disk holds, by inode number; 0 is the root. */
export type Image = ReadonlyMap<number, Inode>;

/** Reads what lies under a directory, but for names at its top that are no disk. */
export function readImage(dir: string, isDisk: (name: string) => boolean): Map<number, Inode> {
  const image = new Map<number, Inode>();
  const read = (place: string, isTop: boolean): number => {
    const number = image.size;
    const stats = lstatSync(place);
    const mode = stats.mode & 0o7777;
    if (stats.isSymbolicLink()) {
      image.set(number, { kind: "link", target: readlinkSync(place) });
    } else if (stats.isFile()) {
      image.set(number, { kind: "file", mode, bytes: readFileSync(place) });
    } else {
      const entries = new Map<string, number>();
      image.set(number, { kind: "directory", mode, entries });
      for (const name of readdirSync(place).sort()) {
        if (!isTop || isDisk(name)) {
          entries.set(name, read(join(place, name), false));
        }
      }
    }
    return number;
  };
  read(dir, true);
  return image;
}

/** Writes an image to a path that nothing has yet, and an empty `run`, which is memory. */
export function writeImage(image: Image, dir: string): void {
  const write = (number: number, place: string): void => {
    const inode = image.get(number);
    switch (inode?.kind) {
      case "file":
        writeFileSync(place, inode.bytes);
        chmodSync(place, inode.mode);
        return;
      case "link":
        symlinkSync(inode.target, place);
        return;
      case "directory":
        mkdirSync(place);
        for (const [name, entry] of inode.entries) {
          write(entry, join(place, name));
        }
        chmodSync(place, inode.mode);
        return;
      case undefined:
        throw new Error(`inode ${number} is not there`);
    }
  };
  write(0, dir);
  mkdirSync(join(dir, "run"), { recursive: true });
}

/** Pure. Equal for images that look the same from the root. */
export function describeImage(image: Image): string {
  const describe = (number: number): unknown => {
    const inode = image.get(number);
    return inode?.kind === "directory"
      ? [inode.mode, [...inode.entries].sort().map(([name, entry]) => [name, describe(entry)])]
      : inode?.kind === "file"
        ? [inode.mode, inode.bytes.toString("base64")]
        : inode?.target;
  };
  return JSON.stringify(describe(0));
}
