import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { FailureCode } from "../errors.ts";
import { removeFile, syncDirectory } from "../host/atomic-file.ts";
import { isRunning } from "../host/lock.ts";
import { expectedFailure, hasErrno } from "../host/system-error.ts";
import type { Warning } from "../model/plan.ts";
import type { KeyRing } from "../model/store-key.ts";
import { generationName, markOwner, readNames } from "./layout.ts";
import { type Proof, planQuarantine, planRetention } from "./retention.ts";
import { listGenerations, openGeneration } from "./store.ts";

/** What retention did. */
export interface Retained {
  /** Generations taken away. */
  readonly removed: number;
  /** W_RETENTION: what it did to damaged ones, and what it could not do; the next commit tries again. */
  readonly warnings: readonly Warning[];
}

/** Codes that prove damage: never I/O, a missing key or a newer format. */
const damage: ReadonlySet<FailureCode> = new Set<FailureCode>([
  "E_MAC",
  "E_TRUNCATED",
  "E_TRAILING",
  "E_MAGIC",
  "E_HEADER_JSON",
  "E_GEN_MISMATCH",
]);

/**
 * Carries out `planRetention`: removes old generations and their marks, moves damaged ones to `quarantine/`.
 *
 * Never fails. Hold the lock.
 */
export function retain(dir: string, keep: number, keys: KeyRing, node: string): Retained {
  const warnings: Warning[] = [];
  let removed = 0;
  try {
    const { generations } = listGenerations(dir);
    const plan = planRetention(generations, keep, ({ generation }) =>
      prove(dir, generation, keys, node),
    );
    for (const generation of plan.remove) {
      removeFile(join(dir, generationName(generation)));
      removed += 1;
    }
    for (const generation of plan.quarantine) {
      quarantine(dir, generation);
      removed += 1;
      warnings.push(retention(`generation ${generation} is damaged and was moved to quarantine/`));
    }
    removeOrphans(dir);
    trimQuarantine(join(dir, "quarantine"));
  } catch (error) {
    const what = "retention stopped";
    const { code, message } = expectedFailure(error, { what, where: dir });
    warnings.push(retention(`${code}: ${message}`));
  }
  return { removed, warnings };
}

/** Removes what unfinished commits of processes that no longer run have left. Never fails. Hold the lock. */
export function sweep(dir: string, temporaries: readonly string[]): readonly Warning[] {
  try {
    for (const name of temporaries) {
      const pid = Number(/^\.tmp-(\d+)-/.exec(name)?.[1]);
      if (pid === process.pid || !isRunning(pid)) {
        removeFile(join(dir, name));
      }
    }
    return [];
  } catch (error) {
    const what = "an unfinished commit cannot be removed";
    return [retention(expectedFailure(error, { what, where: dir }).message)];
  }
}

function prove(dir: string, generation: number, keys: KeyRing, node: string): Proof {
  try {
    openGeneration(dir, generation, keys, node);
    return "valid";
  } catch (error) {
    const { code } = expectedFailure(error, { what: "the checkpoint cannot be read", where: dir });
    return damage.has(code) ? "damaged" : "unknown";
  }
}

/** Removes marks of generations that are gone: a generation without its marks would be unblessed, so it goes first. */
function removeOrphans(dir: string): void {
  const entries = readdirSync(dir);
  const { generations } = readNames(entries);
  for (const name of entries) {
    const owner = markOwner(name);
    if (owner !== undefined && !generations.includes(owner)) {
      removeFile(join(dir, name));
    }
  }
}

function quarantine(dir: string, generation: number): void {
  const place = join(dir, "quarantine");
  try {
    mkdirSync(place, { mode: 0o700 });
  } catch (error) {
    if (!hasErrno(error, "EEXIST")) {
      throw error;
    }
  }
  const name = generationName(generation);
  renameSync(join(dir, name), join(place, name));
  syncDirectory(place);
  syncDirectory(dir);
}

/** Also where nothing was moved there: the run that moved something may have been killed before this. */
function trimQuarantine(place: string): void {
  for (const old of planQuarantine(namesIn(place))) {
    removeFile(join(place, old));
  }
}

function namesIn(place: string): readonly string[] {
  try {
    return readdirSync(place);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return [];
    }
    throw error;
  }
}

function retention(message: string): Warning {
  return { code: "W_RETENTION", message };
}
