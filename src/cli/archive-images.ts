import { join } from "node:path";
import { type ArchiveReport, archiveImages, isArchived } from "../archive/fetch.ts";
import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import { acquireLock } from "../host/lock.ts";
import type { KeyRing } from "../model/store-key.ts";
import { blessedImages } from "./blessed-images.ts";
import { openContainerd } from "./open-containerd.ts";
import type { Session } from "./session.ts";
import { count, size } from "./table.ts";

/** What came of making an archive. */
export type Archiving =
  /** There is nothing to archive, or nobody knows what. */
  | { readonly kind: "none"; readonly reason: string }
  | { readonly kind: "current"; readonly generation: number }
  | { readonly kind: "made"; readonly generation: number; readonly report: ArchiveReport };

/**
 * Archives the images of the blessed generation, when the archive is not the one of it; with `always` in any
 * case, and reads what is there already.
 *
 * @throws {Failure} E_LOCKED only when another process is archiving; what `archiveImages` and reading the store throw
 */
export async function archiveBlessed(
  session: Session,
  ring: KeyRing,
  options: {
    readonly node: string | undefined;
    readonly when: "always" | "changed";
    readonly signal: AbortSignal;
  },
): Promise<Archiving> {
  const { signal } = options;
  const blessed = blessedImages(session.storeDir, ring, options.node);
  if (blessed === undefined) {
    return { kind: "none", reason: "no generation is blessed yet" };
  }
  const { generation, images } = blessed;
  if (images === undefined || images.length === 0) {
    return { kind: "none", reason: `generation ${generation} does not know its images` };
  }
  const dir = under(session.root, session.config.images.archive);
  if (options.when === "changed" && (await isCurrent(dir, images))) {
    return { kind: "current", generation };
  }
  using _lock = acquireLock(join(session.runDir, "archive"));
  using runtime = await openContainerd(session.root, 0, signal);
  const known = options.when === "always" ? "read" : "trust";
  return { kind: "made", generation, report: await archiveImages(runtime, dir, images, known) };
}

/** An index that is malformed is made anew. */
async function isCurrent(dir: string, images: Parameters<typeof isArchived>[1]): Promise<boolean> {
  try {
    return await isArchived(dir, images);
  } catch (error) {
    if (error instanceof Failure && error.code === "E_OBJECT") {
      return false;
    }
    throw error;
  }
}

/** Pure. One line. */
export function describeArchiving(archiving: Archiving): string {
  switch (archiving.kind) {
    case "none":
      return archiving.reason;
    case "current":
      return `the archive holds the images of generation ${archiving.generation}`;
    case "made": {
      const { images, blobs, bytes, copiedBytes, removedBlobs } = archiving.report;
      const removed = removedBlobs === 0 ? "" : `, ${count(removedBlobs, "blob")} removed`;
      return `the archive holds ${count(images, "image")} of generation ${archiving.generation}: ${count(blobs, "blob")}, ${size(bytes)}; ${size(copiedBytes)} copied${removed}`;
    }
  }
}
