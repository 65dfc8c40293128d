import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** What lies under a directory: relative path → kind, mode, owner and contents, in one line. */
export type Snapshot = ReadonlyMap<string, string>;

/** Looks at a whole tree; links are not followed. Empty when there is none. */
export function snapshotOf(dir: string): Snapshot {
  const found = new Map<string, string>();
  add(found, dir, ".");
  return found;
}

function add(found: Map<string, string>, dir: string, path: string): void {
  const place = join(dir, path);
  const stats = lstatSync(place, { throwIfNoEntry: false });
  if (stats === undefined) {
    return;
  }
  const owner = `${stats.uid}:${stats.gid}`;
  const mode = (stats.mode & 0o7777).toString(8);
  if (stats.isSymbolicLink()) {
    found.set(path, `link ${owner} ${readlinkSync(place)}`);
  } else if (stats.isDirectory()) {
    found.set(path, `directory ${mode} ${owner}`);
    for (const name of readdirSync(place).sort()) {
      add(found, dir, path === "." ? name : `${path}/${name}`);
    }
  } else {
    const hash = createHash("sha256").update(readFileSync(place)).digest("hex");
    found.set(path, `file ${mode} ${owner} ${hash}`);
  }
}

/** Pure. The part of a snapshot that lies under one of its directories, "." being that directory. */
export function partOf(snapshot: Snapshot, dir: string): Snapshot {
  const part = new Map<string, string>();
  for (const [path, line] of snapshot) {
    if (path === dir) {
      part.set(".", line);
    } else if (path.startsWith(`${dir}/`)) {
      part.set(path.slice(dir.length + 1), line);
    }
  }
  return part;
}

/** Pure. Where two snapshots differ, one line for each path. */
export function differences(found: Snapshot, wanted: Snapshot): string[] {
  const paths = [...new Set([...found.keys(), ...wanted.keys()])].sort();
  return paths
    .filter((path) => found.get(path) !== wanted.get(path))
    .map(
      (path) => `${path}: ${found.get(path) ?? "nothing"}, not ${wanted.get(path) ?? "nothing"}`,
    );
}

/**
 * Pure. A snapshot without the names of the timestamped directories that `..data` leads to: they do not
 * count, and a run that finds one of its own takes another. Any other timestamped directory stays.
 */
export function withoutDates(snapshot: Snapshot): Snapshot {
  const dated = new Map<string, string>();
  for (const [path, line] of snapshot) {
    const [, volume] = /^(.*)\/\.\.data$/.exec(path) ?? [];
    const [, target] = /^link \S+ (\.\.\d\S*)$/.exec(line) ?? [];
    if (volume !== undefined && target !== undefined) {
      dated.set(`${volume}/${target}`, `${volume}/..dated`);
    }
  }
  return new Map(
    [...snapshot].map(([path, line]) => {
      const from = [...dated.keys()].find((dir) => path === dir || path.startsWith(`${dir}/`));
      const to = from === undefined ? path : `${dated.get(from)}${path.slice(from.length)}`;
      return [to, path.endsWith("/..data") ? line.replace(/\.\.\d\S*$/, "..dated") : line];
    }),
  );
}
