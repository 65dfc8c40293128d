import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { removeCgroups } from "./cgroups.ts";

/** Of every folder and control group of a node; then come the process that made it, its start, and chance. */
const prefix = "blackstart-node-";

/**
 * Makes a folder for a node in the machine's temporary folder, removed when this process ends.
 *
 * What processes that were killed have left behind, folders and control groups, is removed first.
 *
 * @returns absolute; its last part is the node's id
 */
export function makeNodeDir(): string {
  for (const name of readdirSync(tmpdir()).filter(isAbandoned)) {
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  removeCgroups(isAbandoned);
  return mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-${startOf(process.pid)}-`));
}

/** The node's id. */
export function nodeId(dir: string): string {
  return basename(dir);
}

function isAbandoned(name: string): boolean {
  const [, pid, start] = name.match(new RegExp(`^${prefix}(\\d+)-(\\d+)-`)) ?? [];
  return pid !== undefined && startOf(Number(pid)) !== start;
}

/** When the process began, in the kernel's ticks: a process id alone is used again. */
function startOf(pid: number): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Field 22; the second, a name in parentheses, may hold anything.
    return status.slice(status.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
