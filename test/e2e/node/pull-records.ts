import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Node } from "./node.ts";

/** Source: Kubernetes v1.37.2 `pkg/kubelet/images/image_manager.go`, `pullmanager/fs_pullrecords.go`. */
const pulledDir = "var/lib/kubelet/image_manager/pulled";

/** A file of the kubelet's, by everything that a careless hand would change of it. */
export interface KeptRecord {
  /** Of the file, without its folder. */
  readonly file: string;
  readonly text: string;
  readonly owner: string;
  /** Octal. */
  readonly mode: string;
}

/** What the kubelet has noted of the images that it pulled, in the order of the files' names. */
export function pullRecords(node: Node): readonly KeptRecord[] {
  const dir = join(node.disk, pulledDir);
  return readdirSync(dir)
    .sort()
    .map((file) => {
      const { uid, gid, mode } = statSync(join(dir, file));
      const text = readFileSync(join(dir, file), "utf8");
      return { file, text, owner: `${uid}:${gid}`, mode: (mode & 0o7777).toString(8) };
    });
}

/** Pure. The name of an image's record. @param id  the runtime's, `sha256:…` */
export function recordFile(id: string): string {
  return `sha256-${createHash("sha256").update(id).digest("hex")}`;
}

/** Whether the kubelet has the image's record. */
export function hasRecord(node: Node, id: string): boolean {
  return existsSync(join(node.disk, pulledDir, recordFile(id)));
}
