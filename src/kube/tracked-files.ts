import { statSync } from "node:fs";
import { under } from "../config.ts";
import { readSettings } from "../host/settings-file.ts";
import type { Material } from "./kubeconfig-section.ts";

/** Files that were read, and whether they are still the same ones. */
export interface TrackedFiles {
  /** The text of a file, or why there is none; `problem` quotes nothing. Links are followed. */
  read(path: string): { readonly text: string } | { readonly problem: string };
  /** As `read`, for what may stand in the kubeconfig itself. */
  take(material: Material): { readonly text: string } | { readonly problem: string };
  /** True when one of the files is another than the one that was read. One stat each. */
  changed(): boolean;
}

/** Reads the files of a kubeconfig under `root` and remembers which they were. */
export function trackFiles(root: string): TrackedFiles {
  const marks = new Map<string, string>();
  const read: TrackedFiles["read"] = (path) => {
    const file = under(root, path);
    // Before the text: a file that is replaced in between then counts as changed.
    marks.set(file, markOf(file));
    const found = readSettings(file);
    switch (found.kind) {
      case "text":
        return { text: found.text };
      case "absent":
        return { problem: `there is no ${path}` };
      case "unreadable":
        return { problem: `${path} cannot be read: ${found.problem}` };
    }
  };
  return {
    read,
    take: (material) => (material.kind === "file" ? read(material.path) : { text: material.text }),
    changed: () => [...marks].some(([file, mark]) => markOf(file) !== mark),
  };
}

function markOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    // Absent or out of reach: reading it tells which.
    return "";
  }
}
