import { spawnSync } from "node:child_process";

/** Copies a file or folder with owners, modes, extended attributes and hard links, as a disk keeps them; `to` must be missing. */
export function copyTree(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-a", "--reflink=auto", from, to], {
    encoding: "utf8",
  });
  if (status !== 0) {
    throw new Error(`cp ${from} ${to}: ${stderr}`);
  }
}
