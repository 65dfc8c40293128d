import { join } from "node:path";
import { Failure } from "../errors.ts";
import { createMarker, removeFile, renameDurably, syncDirectory } from "../host/atomic-file.ts";
import { statOf } from "../host/guarded-file.ts";
import { expectedFailure, failureOf } from "../host/system-error.ts";
import type { Warning } from "../model/plan.ts";
import {
  type Attempts,
  attemptsName,
  attemptsOwner,
  attemptsPerGeneration,
  blessedName,
  generationName,
  readNames,
} from "./layout.ts";
import { readEntries } from "./store.ts";

/** A boot attempt that was taken: the counter as it stands now. */
export interface TakenAttempt extends Attempts {
  /** W_ATTEMPTS when the counter could not be written: this boot goes on, and is not counted. */
  readonly warnings: readonly Warning[];
}

const untouched: Attempts = { left: attemptsPerGeneration, done: 0 };

/**
 * Takes one boot attempt of a generation, before the generation is used.
 *
 * The commit point is the rename (or, at the first attempt, the creation) of the counter's name; durable when
 * it returns. A disk that cannot be written does not stop a boot: the attempt is allowed with a warning.
 *
 * @throws {Failure} E_BOOT_LOOP only when no attempt is left
 */
export function takeAttempt(dir: string, generation: number): TakenAttempt {
  const now = readNames(readEntries(dir)).attempts.get(generation);
  const { left, done } = now ?? untouched;
  if (left === 0) {
    throw new Failure("E_BOOT_LOOP", {
      what: `generation ${generation} failed ${done} boots`,
      where: dir,
      found: "nothing is projected",
      next: "Find out why its pods fail, then run `blackstart restore --reset-attempts`",
    });
  }
  const next = { left: left - 1, done: done + 1 };
  try {
    if (now === undefined) {
      createMarker(dir, attemptsName(generation, next));
    } else {
      renameDurably(dir, attemptsName(generation, now), attemptsName(generation, next));
    }
    return { ...next, warnings: [] };
  } catch (error) {
    const what = "the boot counter cannot be written, this boot is not counted";
    const failure = expectedFailure(error, { what, where: dir });
    return { left, done, warnings: [{ code: "W_ATTEMPTS", message: failure.message }] };
  }
}

/**
 * Gives back the one attempt that was taken: what stopped this boot was not the generation. Durable when it returns.
 *
 * @returns W_ATTEMPTS when the counter could not be written: the boot stays counted
 */
export function giveAttemptBack(
  dir: string,
  generation: number,
  { left, done }: Attempts,
): readonly Warning[] {
  const former = { left: left + 1, done: done - 1 };
  try {
    renameDurably(dir, attemptsName(generation, { left, done }), attemptsName(generation, former));
    return [];
  } catch (error) {
    const what = "the boot counter cannot be written, this boot stays counted";
    const failure = expectedFailure(error, { what, where: dir });
    return [{ code: "W_ATTEMPTS", message: failure.message }];
  }
}

/**
 * Gives every generation all of its boot attempts back. Durable when it returns.
 *
 * @throws {Failure} E_READONLY, E_PERMS, E_IO, … when the store cannot be read or written
 */
export function resetAttempts(dir: string): void {
  removeAttempts(dir, () => true);
}

/**
 * Gives one generation its boot attempts back: a boot with it has lasted. Durable when it returns.
 *
 * @throws {Failure} E_READONLY, E_PERMS, E_IO, … when the store cannot be read or written
 */
export function settleAttempts(dir: string, generation: number): void {
  removeAttempts(dir, (owner) => owner === generation);
}

/**
 * Marks a generation as seen working and gives it its boot attempts back. Repeating it changes nothing.
 *
 * The commit point is the creation of the marker; durable when it returns.
 *
 * @throws {Failure} E_NO_CHECKPOINT only when there is no such generation; E_READONLY, E_NOSPACE, E_PERMS, E_IO
 *   when the store cannot be written
 */
export function bless(dir: string, generation: number): void {
  if (statOf(join(dir, generationName(generation))) === undefined) {
    throw new Failure("E_NO_CHECKPOINT", {
      what: `there is no generation ${generation} to bless`,
      where: dir,
      next: "List what there is with `blackstart status`",
    });
  }
  try {
    createMarker(dir, blessedName(generation));
  } catch (error) {
    throw failureOf(error, { what: `generation ${generation} cannot be blessed`, where: dir });
  }
  removeAttempts(dir, (owner) => owner === generation);
}

function removeAttempts(dir: string, isWanted: (owner: number) => boolean): void {
  const names = readEntries(dir).filter((name) => {
    const owner = attemptsOwner(name);
    return owner !== undefined && isWanted(owner);
  });
  try {
    for (const name of names) {
      removeFile(join(dir, name));
    }
    if (names.length > 0) {
      syncDirectory(dir);
    }
  } catch (error) {
    throw failureOf(error, { what: "the boot counters cannot be reset", where: dir });
  }
}
