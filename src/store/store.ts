import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../errors.ts";
import { accessConcerns, readGuarded, statOf } from "../host/guarded-file.ts";
import { expectedFailure, failureOf, hasErrno } from "../host/system-error.ts";
import type { Warning } from "../model/plan.ts";
import { type Binding, checkBinding } from "./binding.ts";
import { chooseGeneration, type GenerationFile, type Refusal } from "./choice.ts";
import { openEnvelope } from "./envelope.ts";
import { checkFreshness, type OpeningKeys, readIdentity } from "./freshness.ts";
import type { GenerationHeader } from "./header.ts";
import { attemptsPerGeneration, generationName, readNames } from "./layout.ts";
import { maxEnvelopeBytes } from "./serialization.ts";

/*
 * Reading the store. Nothing here writes, so that it works on a disk that came up read-only.
 * Writing: commit.ts (generations), marks.ts (boot attempts, blessings).
 */

/** What is in the store directory. */
export interface StoreListing {
  /** Newest first. */
  readonly generations: readonly GenerationFile[];
  /** Names of unfinished commits. */
  readonly temporaries: readonly string[];
  readonly warnings: readonly Warning[];
  /** Promises that the directory itself breaks (E_PERMS): `verify` fails on them, restore goes on. */
  readonly concerns: readonly Failure[];
}

/** One generation, opened and proved to be this node's. */
export interface OpenedGeneration {
  readonly generation: number;
  /** Absolute. */
  readonly file: string;
  readonly header: GenerationHeader;
  /** The document; secret. Owned by the caller. */
  readonly plaintext: Buffer;
  /** Content tag, base64url. */
  readonly tag: string;
  /** Promises that the file breaks although it authenticates (E_PERMS). */
  readonly concerns: readonly Failure[];
}

/** What reading the newest usable generation gave. */
export type StoreReading = {
  readonly listing: StoreListing;
  readonly refusals: readonly Refusal[];
  readonly exhausted: readonly number[];
  /** E_ROLLBACK: the newest generation is older than one that was committed. Restore goes on, loudly. */
  readonly rollback: Failure | undefined;
  /** All of the above in words, and what is odd about names. */
  readonly warnings: readonly Warning[];
} & (
  | { readonly kind: "opened"; readonly opened: OpenedGeneration }
  /** E_BOOT_LOOP: generations open, none has a boot attempt left. */
  | { readonly kind: "boot-loop"; readonly failure: Failure }
);

/**
 * Lists the generations of a store directory, newest first.
 *
 * @throws {Failure} E_NO_STORE only when the directory is missing, E_PERMS, E_IO, E_RESOURCES when it cannot be read
 */
export function listGenerations(dir: string): StoreListing {
  const names = readNames(readEntries(dir));
  const generations: GenerationFile[] = [];
  for (const generation of names.generations) {
    const file = join(dir, generationName(generation));
    const stats = statOf(file);
    generations.push({
      generation,
      file,
      // One that cannot be looked at is there all the same: opening it tells what is wrong.
      sizeBytes: stats?.size ?? 0,
      mode: (stats?.mode ?? 0o600) & 0o7777,
      blessed: names.blessed.has(generation),
      attempts: names.attempts.get(generation) ?? { left: attemptsPerGeneration, done: 0 },
    });
  }
  return {
    generations,
    temporaries: names.temporaries,
    warnings: names.warnings,
    concerns: dirConcerns(dir),
  };
}

/**
 * Lists the generations of a store that has to hold one.
 *
 * @throws {Failure} E_NO_STORE, E_NO_CHECKPOINT only when there is no generation; as `listGenerations`
 */
export function requireGenerations(dir: string): StoreListing {
  const listing = listGenerations(dir);
  if (listing.generations.length === 0) {
    throw emptyStore(dir, listing);
  }
  return listing;
}

/**
 * Opens one generation and proves that it is this node's, this store's and the one its name says.
 *
 * Reads one file. `node` undefined leaves the node unchecked.
 *
 * @throws {Failure} E_NO_CHECKPOINT only when there is no such file; E_NOT_REGULAR, E_TOO_BIG before anything is
 *   read; E_IO, E_PERMS, E_RESOURCES when reading fails; all of `openEnvelope`; then E_STORE_ID, E_NODE, E_GEN_MISMATCH
 */
export function openGeneration(
  dir: string,
  generation: number,
  keys: OpeningKeys,
  node: string | undefined,
): OpenedGeneration {
  const storeId = readIdentity(dir)?.storeId;
  return openBound(join(dir, generationName(generation)), keys, { storeId, node, generation });
}

/**
 * Opens a generation from a file outside the store (`restore --from`): its name and store do not matter.
 *
 * @throws {Failure} as `openGeneration`, but for E_STORE_ID and E_GEN_MISMATCH
 */
export function openFile(file: string, keys: OpeningKeys, node: string | undefined) {
  return openBound(file, keys, { storeId: undefined, node, generation: undefined });
}

/**
 * Opens the newest generation that opens. With `attempts: "count"` boot attempts decide as well
 * (`chooseGeneration`); none is taken here: `takeAttempt` does that, before the generation is used.
 *
 * @throws {Failure} E_NO_STORE, E_NO_CHECKPOINT only when there is no generation; the newest one's own code when
 *   none opens
 */
export function openNewest(
  dir: string,
  keys: OpeningKeys,
  node: string | undefined,
  attempts: "count" | "ignore" = "ignore",
): StoreReading {
  const listing = requireGenerations(dir);
  const newest = listing.generations[0]?.generation ?? 0;
  const storeId = readIdentity(dir)?.storeId;
  const choice = chooseGeneration(
    listing.generations,
    ({ file, generation }) => {
      try {
        return openBound(file, keys, { storeId, node, generation });
      } catch (error) {
        return expectedFailure(error, { what: "the checkpoint cannot be read", where: file });
      }
    },
    attempts,
  );
  if (choice.kind === "none" && choice.failure.code !== "E_BOOT_LOOP") {
    throw choice.failure;
  }
  const { refusals, exhausted } = choice;
  const freshness = checkFreshness(dir, newest, storeId, keys);
  const used =
    choice.kind === "chosen" ? `generation ${choice.opened.generation} is used` : "none is used";
  const warnings = [
    ...listing.warnings,
    ...freshness.warnings,
    ...refusals.map(({ generation, failure }) => ({
      code: "W_STORE" as const,
      message: `generation ${generation} does not open, ${used}: ${failure.code}: ${failure.message}`,
    })),
    ...exhausted.map((generation) => ({
      code: "W_ATTEMPTS" as const,
      message: describeExhausted(
        generation,
        choice.kind === "chosen" ? `the blessed ${used}` : used,
      ),
    })),
  ];
  const common = { listing, refusals, exhausted, rollback: freshness.rollback, warnings };
  return choice.kind === "chosen"
    ? { ...common, kind: "opened", opened: choice.opened }
    : { ...common, kind: "boot-loop", failure: choice.failure };
}

/** Past a generation that has no attempt left only a blessed one is chosen. */
function describeExhausted(generation: number, used: string): string {
  const next =
    "Find out why its pods failed (/var/log/pods); `blackstart restore --reset-attempts` has it tried again";
  return `generation ${generation} has used up its boot attempts, ${used}. ${next}`;
}

function openBound(file: string, keys: OpeningKeys, binding: Binding): OpenedGeneration {
  const read = readGuarded(file, maxEnvelopeBytes, "the checkpoint's file");
  if (read === undefined) {
    throw new Failure("E_NO_CHECKPOINT", {
      what: "there is no such checkpoint",
      where: file,
      next: "List what there is with `blackstart status`",
    });
  }
  const { header, plaintext, tag } = openEnvelope(read.bytes, keys, file);
  checkBinding(header, binding, file);
  const { generation } = header;
  return { generation, file, header, plaintext, tag, concerns: read.concerns };
}

function dirConcerns(dir: string): readonly Failure[] {
  const stats = statOf(dir);
  return stats === undefined ? [] : accessConcerns(stats, 0o022, "0700", dir);
}

function emptyStore(dir: string, { temporaries }: StoreListing): Failure {
  return new Failure("E_NO_CHECKPOINT", {
    what: "the store holds no checkpoint",
    where: dir,
    ...(temporaries.length > 0 ? { found: "an unfinished capture was found and ignored" } : {}),
    next: "Run `blackstart capture` while the cluster is healthy",
  });
}

/**
 * The names in a store directory.
 *
 * @throws {Failure} E_NO_STORE only when the directory is missing, E_PERMS, E_IO, E_RESOURCES when it cannot be read
 */
export function readEntries(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) {
      throw new Failure("E_NO_STORE", {
        what: "there is no checkpoint store",
        where: dir,
        next: "Run `blackstart capture` while the cluster is healthy",
      });
    }
    throw failureOf(error, { what: "the store cannot be read", where: dir });
  }
}
