import { statfsSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../errors.ts";
import { publishFile, replaceFile } from "../host/atomic-file.ts";
import { expectedFailure, failureOf, hasErrno } from "../host/system-error.ts";
import type { Warning } from "../model/plan.ts";
import type { KeyRing } from "../model/store-key.ts";
import { ensureIdentity, prepareDirectory } from "./establish.ts";
import { readHighWaterMark } from "./freshness.ts";
import { encodeHighWaterMark } from "./identity.ts";
import { generationName } from "./layout.ts";
import type { Recipient } from "./recipients.ts";
import { retain, sweep } from "./retain.ts";
import { seal } from "./seal.ts";
import { listGenerations, openNewest, type StoreListing } from "./store.ts";

/** What a generation holds. */
export interface Content {
  /** The document; secret. At most `maxContentBytes`. */
  readonly plaintext: Uint8Array;
  readonly node: string;
  /** RFC 3339, UTC. */
  readonly capturedAt: string;
}

/** A generation that is on disk for good. */
export interface CommittedGeneration {
  readonly generation: number;
  /** Absolute. */
  readonly file: string;
  readonly sizeBytes: number;
  /** What went wrong around it: retention, the high-water mark, odd names. */
  readonly warnings: readonly Warning[];
}

/** How often a number may turn out to be taken by another writer. */
const numberTries = 64;

/**
 * Seals a document and commits it as the next generation of the store, which is made if it is missing.
 *
 * The protocol, so that at every instant the store opens at the old or at the new generation:
 * (1) create a temporary name, O_EXCL (2) write all (3) fsync (4) close (5) link to the final name: **the commit
 * point** (6) unlink the temporary (7) fsync the directory; only then is the generation acknowledged
 * (8) high-water mark and retention, whose troubles are warnings. (1)…(7) are `publishFile`.
 *
 * Two writers cannot overwrite each other: the loser of (5) takes the next number. Hold the lock
 * all the same (`acquireLock`), so that they do not delete what the other counts on.
 *
 * @param keep  valid generations that retention leaves, besides the newest blessed one; at least 1
 * @throws {Failure} E_NODE only when the store is another node's; E_TOO_BIG; E_FSYNC, E_NOSPACE, E_READONLY,
 *   E_RESOURCES, E_PERMS, E_IO when the disk refuses: the generations before stay as they were
 */
export async function commitGeneration(
  dir: string,
  content: Content,
  keys: KeyRing,
  recipients: readonly Recipient[],
  { keep }: { readonly keep: number },
): Promise<CommittedGeneration> {
  prepareDirectory(dir);
  const listing = listGenerations(dir);
  refuseUnsafe(listing);
  const warnings = [...listing.warnings, ...sweep(dir, listing.temporaries)];
  const previous = openPrevious(dir, listing, keys, content.node);
  const remains =
    previous === undefined ? undefined : `checkpoint ${previous.generation} stays valid`;
  const { storeId } = ensureIdentity(dir, listing, previous, content.node);
  const mark = readHighWaterMark(dir, storeId, keys);
  const highest = Math.max(listing.generations[0]?.generation ?? 0, mark?.generation ?? 0);
  const facts = {
    storeId,
    node: content.node,
    previousTag: previous?.tag ?? "",
    capturedAt: content.capturedAt,
  };

  for (let generation = highest + 1; generation <= highest + numberTries; generation += 1) {
    const sealed = await seal(
      content.plaintext,
      { ...facts, generation },
      keys.primary,
      recipients,
    );
    const freed = publishOrFree(dir, generation, sealed, remains, () =>
      retain(dir, 1, keys, content.node),
    );
    if (freed !== "exists") {
      warnings.push(
        ...freed,
        ...writeMark(dir, generation, storeId, keys), // (8)
        ...retain(dir, keep, keys, content.node).warnings,
      );
      const file = join(dir, generationName(generation));
      return { generation, file, sizeBytes: sealed.byteLength, warnings };
    }
  }
  throw new Failure("E_LOCKED", {
    what: "no free generation number was found",
    where: dir,
    found: `${numberTries} were taken by other writers`,
    next: "Stop the other writers",
  });
}

/** Publishes; when the disk is full, frees what retention can spare and tries once more. */
function publishOrFree(
  dir: string,
  generation: number,
  sealed: Uint8Array,
  remains: string | undefined,
  free: () => ReturnType<typeof retain>,
): readonly Warning[] | "exists" {
  const publish = () => publishFile(dir, generationName(generation), sealed, 0o600);
  let warnings: readonly Warning[] = [];
  try {
    try {
      return publish() === "exists" ? "exists" : warnings;
    } catch (error) {
      if (!hasErrno(error, "ENOSPC", "EDQUOT")) {
        throw error;
      }
      const freed = free();
      if (freed.removed === 0) {
        throw error;
      }
      warnings = freed.warnings;
      return publish() === "exists" ? "exists" : warnings;
    }
  } catch (error) {
    throw commitFailure(error, dir, sealed.byteLength, remains);
  }
}

function commitFailure(
  error: unknown,
  dir: string,
  neededBytes: number,
  remains: string | undefined,
) {
  const kept = remains ?? "nothing was committed before";
  const space = `needs ${megabytes(Math.max(neededBytes, 100_000))}, ${describeFree(dir)}; ${kept}`;
  const isFull = hasErrno(error, "ENOSPC", "EDQUOT", "EFBIG");
  const what = "the checkpoint cannot be committed and was discarded";
  return failureOf(error, { what, where: dir, remains: isFull ? space : kept });
}

function describeFree(dir: string): string {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return `${megabytes(bavail * bsize)} free`;
  } catch {
    return "free space unknown";
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** New secrets are not added where others can replace them; reading goes on, see `StoreListing.concerns`. */
function refuseUnsafe({ concerns }: StoreListing): void {
  const [concern] = concerns;
  if (concern !== undefined) {
    throw concern;
  }
}

/** The newest generation that opens, for its tag; none is no reason not to commit. */
function openPrevious(dir: string, listing: StoreListing, keys: KeyRing, node: string) {
  if (listing.generations.length === 0) {
    return undefined;
  }
  try {
    const reading = openNewest(dir, keys, node);
    return reading.kind === "opened" ? reading.opened : undefined;
  } catch (error) {
    expectedFailure(error, { what: "no generation opens", where: dir });
    return undefined;
  }
}

function writeMark(
  dir: string,
  generation: number,
  storeId: string,
  keys: KeyRing,
): readonly Warning[] {
  try {
    replaceFile(dir, "hwm", encodeHighWaterMark(generation, storeId, keys.primary), 0o600);
    return [];
  } catch (error) {
    const what = "the high-water mark cannot be written";
    return [{ code: "W_HWM", message: expectedFailure(error, { what, where: dir }).message }];
  }
}
