import { statfsSync } from "node:fs";
import { Failure } from "../errors.ts";
import type { PodPlan } from "../model/plan.ts";

/** What something takes, or what is left, of a file system in memory. */
export interface Space {
  readonly bytes: number;
  readonly inodes: number;
}

const pageBytes = 4096;
/** Stage, trash and pod directories, the manifest, its link. */
const sparesPerPod = 8;

/**
 * Pure. What a pod takes on a tmpfs: whole pages for bytes, an inode for every entry. Directories and
 * links up to 128 bytes take no page. Source: Linux v6.12 mm/shmem.c `SHORT_SYMLINK_LEN`.
 */
export function spaceOf(pod: PodPlan): Space {
  let bytes = pages(Buffer.byteLength(pod.manifest.text));
  let inodes = sparesPerPod;
  for (const volume of pod.volumes) {
    inodes += volume.entries.length;
    for (const entry of volume.entries) {
      if (entry.kind === "file") {
        bytes += pages(entry.bytes.length);
      } else if (entry.kind === "link" && entry.target.length >= 128) {
        bytes += pageBytes;
      }
    }
  }
  return { bytes, inodes };
}

/** What is free at `path`. Infinity where the file system has no limit, as ramfs. */
export function freeSpace(path: string): Space {
  const { bavail, blocks, bsize, ffree, files } = statfsSync(path);
  return {
    bytes: blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize,
    inodes: files === 0 ? Number.POSITIVE_INFINITY : ffree,
  };
}

/** Pure. True when what is needed is free. */
export function fits(needed: Space, free: Space): boolean {
  return needed.bytes <= free.bytes && needed.inodes <= free.inodes;
}

/** The failure of a pod that does not fit. */
export function noSpace(what: string, where: string, needed: Space, free: Space): Failure {
  return new Failure("E_NOSPACE_TMPFS", {
    what,
    where,
    found: `needs ${describe(needed)}, free are ${describe(free)}`,
    next: `Enlarge it (\`mount -o remount,size=…,nr_inodes=… ${where}\`), then run the command again`,
  });
}

function describe({ bytes, inodes }: Space): string {
  return `${bytes} bytes and ${inodes} inodes`;
}

function pages(bytes: number): number {
  return Math.ceil(bytes / pageBytes) * pageBytes;
}
