import { stableSince } from "../capture/blessing.ts";
import { essenceOf } from "../capture/essence.ts";
import { type FormerPod, formerPod } from "../capture/replacement.ts";
import { Failure } from "../errors.ts";
import type { Checkpoint, CheckpointImage } from "../model/checkpoint.ts";
import type { Warning } from "../model/plan.ts";
import type { KeyRing, StoreKey } from "../model/store-key.ts";
import { contentTag } from "../store/seal.ts";
import { listGenerations, openGeneration } from "../store/store.ts";
import { parsed } from "./open-checkpoint.ts";

/** The newest generation that opens, as far as the next capture has to know it. Holds no secret. */
export interface Newest {
  readonly generation: number;
  readonly capturedAt: Date;
  readonly pods: readonly FormerPod[];
  readonly images: readonly CheckpointImage[] | undefined;
  readonly tags: Tags;
  /** Since when all but tokens has been as it is, over several generations perhaps. */
  readonly stableSince: Date;
  readonly blessed: boolean;
}

/** Keyed digests: equal for documents that a restore cannot tell apart. */
export interface Tags {
  readonly whole: string;
  readonly withoutTokens: string;
}

/** Pure. */
export function tagsOf(checkpoint: Checkpoint, key: StoreKey): Tags {
  return {
    whole: contentTag(essenceOf(checkpoint, { tokens: true }), key),
    withoutTokens: contentTag(essenceOf(checkpoint, { tokens: false }), key),
  };
}

/** What `readNewest` found. The document is secret, and not to be kept. */
export interface NewestReading {
  readonly newest: Newest | undefined;
  readonly checkpoint: Checkpoint | undefined;
  readonly warnings: readonly Warning[];
}

/**
 * Reads the newest generation that opens; older ones as far back as they differ in nothing but tokens.
 *
 * Reads only. A store that is not there yet, or in which nothing opens, gives none: that is no reason not to capture.
 *
 * @throws {Failure} E_NODE only when the store is another node's; E_PERMS, E_IO, E_RESOURCES when it cannot be read
 */
export function readNewest(dir: string, ring: KeyRing, node: string): NewestReading {
  const warnings: Warning[] = [];
  const generations = listOrNone(dir);
  const runs: { generation: number; capturedAt: Date; tag: string }[] = [];
  let newest: Omit<Newest, "stableSince"> | undefined;
  let kept: Checkpoint | undefined;
  for (const { generation, blessed } of generations) {
    let checkpoint: Checkpoint;
    try {
      ({ checkpoint } = parsed(openGeneration(dir, generation, ring, node)));
    } catch (error) {
      if (!(error instanceof Failure) || error.code === "E_NODE") {
        throw error;
      }
      if (newest === undefined) {
        const message = `generation ${generation} does not open: ${error.code}: ${error.message}`;
        warnings.push({ code: "W_STORE", message });
      }
      continue;
    }
    const tags = tagsOf(checkpoint, ring.primary);
    const capturedAt = new Date(checkpoint.metadata.capturedAt);
    if (newest !== undefined && tags.withoutTokens !== newest.tags.withoutTokens) {
      break;
    }
    runs.push({ generation, capturedAt, tag: tags.withoutTokens });
    if (newest === undefined) {
      const pods = checkpoint.items.filter(({ kind }) => kind === "Pod").map(formerPod);
      newest = { generation, capturedAt, pods, images: checkpoint.images, tags, blessed };
      kept = checkpoint;
    }
  }
  return {
    newest: newest === undefined ? undefined : { ...newest, stableSince: stableSince(runs) },
    checkpoint: kept,
    warnings,
  };
}

/** Pure. What is known of a generation that has just been committed, without opening it. */
export function newestAfter(
  before: Newest | undefined,
  { generation, checkpoint, tags }: { generation: number; checkpoint: Checkpoint; tags: Tags },
): Newest {
  const capturedAt = new Date(checkpoint.metadata.capturedAt);
  const isSame = before !== undefined && before.tags.withoutTokens === tags.withoutTokens;
  return {
    generation,
    capturedAt,
    pods: checkpoint.items.filter(({ kind }) => kind === "Pod").map(formerPod),
    images: checkpoint.images,
    tags,
    stableSince: isSame ? before.stableSince : capturedAt,
    blessed: false,
  };
}

function listOrNone(dir: string) {
  try {
    return listGenerations(dir).generations;
  } catch (error) {
    if (error instanceof Failure && error.code === "E_NO_STORE") {
      return [];
    }
    throw error;
  }
}
