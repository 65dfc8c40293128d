import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { Entry } from "./oracle.ts";

/** Pure. The entries with the timestamped directory called `..time` wherever its name appears. */
export function withoutTimestamp(entries: readonly Entry[]): Entry[] {
  const name = entries.find(({ path }) => path === "..data")?.target;
  const rename = (text: string): string =>
    name === undefined
      ? text
      : text
          .split("/")
          .map((part) => (part === name ? "..time" : part))
          .join("/");
  return entries.map((entry) => ({
    ...entry,
    path: rename(entry.path),
    ...(entry.target === undefined ? {} : { target: rename(entry.target) }),
  }));
}

/** Lists a volume's tree as the oracle does: a parent before what lies in it. */
export function listTree(root: string, path = "."): Entry[] {
  const full = join(root, path);
  const stat = lstatSync(full);
  const common = {
    path,
    mode: (stat.mode & 0o7777).toString(8).padStart(4, "0"),
    uid: stat.uid,
    gid: stat.gid,
  };
  if (stat.isSymbolicLink()) {
    return [{ ...common, type: "symlink", target: readlinkSync(full) }];
  }
  if (stat.isDirectory()) {
    const inside = readdirSync(full)
      .sort()
      .flatMap((name) => listTree(root, path === "." ? name : `${path}/${name}`));
    return [{ ...common, type: "dir" }, ...inside];
  }
  const bytes = readFileSync(full);
  return [
    {
      ...common,
      type: "file",
      sha256: createHash("sha256").update(bytes).digest("hex"),
      bytes: bytes.toString("base64"),
    },
  ];
}
