import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Every entry below a directory: name, mode, owner, and whatever a rewrite would change. Sorted. */
export function snapshot(root: string): readonly string[] {
  return entries(root).map((path) => {
    const { mode, uid, gid, ino, mtimeNs, size } = lstatSync(join(root, path), { bigint: true });
    const isLink = (mode & 0o170000n) === 0o120000n;
    const target = isLink ? ` -> ${readlinkSync(join(root, path))}` : "";
    return `${path} ${mode.toString(8)} ${uid}:${gid} inode ${ino} ${mtimeNs} ${size}${target}`;
  });
}

/** Every path below a directory, relative to it, sorted; links are not followed. */
export function entries(root: string): readonly string[] {
  return readdirSync(root, { withFileTypes: true })
    .flatMap((entry) => [
      entry.name,
      ...(entry.isDirectory()
        ? entries(join(root, entry.name)).map((path) => `${entry.name}/${path}`)
        : []),
    ])
    .sort();
}

/** Permission bits in octal. */
export function modeOf(path: string): string {
  return (lstatSync(path).mode & 0o7777).toString(8).padStart(4, "0");
}
