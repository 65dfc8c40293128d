import { Failure } from "../errors.ts";
import type { Attempts } from "./layout.ts";

/** What the directory says about one generation; nothing of it is proved. */
export interface GenerationFile {
  readonly generation: number;
  /** Absolute. */
  readonly file: string;
  readonly sizeBytes: number;
  /** Permission bits. */
  readonly mode: number;
  readonly blessed: boolean;
  readonly attempts: Attempts;
}

/** A generation that does not open, and why. */
export interface Refusal {
  readonly generation: number;
  readonly failure: Failure;
}

/** Which generation is used, and what was passed over on the way. */
export type Choice<T> = {
  readonly refusals: readonly Refusal[];
  /** Generations that open and have no boot attempt left. */
  readonly exhausted: readonly number[];
} & (
  | { readonly kind: "chosen"; readonly opened: T }
  | { readonly kind: "none"; readonly failure: Failure }
);

/**
 * Chooses the generation to use: the newest that opens.
 *
 * Pure, given `open`. With `attempts: "count"` one that opens without an attempt left is passed over, and
 * from there on only blessed ones are considered: an older one that was never seen working is no better.
 * `files` are newest first. None: E_BOOT_LOOP when one opened, else the newest one's own failure.
 */
export function chooseGeneration<T>(
  files: readonly GenerationFile[],
  open: (file: GenerationFile) => T | Failure,
  attempts: "count" | "ignore",
): Choice<T> {
  const refusals: Refusal[] = [];
  const exhausted: number[] = [];
  for (const file of files) {
    if (exhausted.length > 0 && !file.blessed) {
      continue;
    }
    const opened = open(file);
    if (opened instanceof Failure) {
      refusals.push({ generation: file.generation, failure: opened });
    } else if (attempts === "count" && file.attempts.left === 0) {
      exhausted.push(file.generation);
    } else {
      return { kind: "chosen", opened, refusals, exhausted };
    }
  }
  return { kind: "none", failure: failureOfAll(files, refusals, exhausted), refusals, exhausted };
}

function failureOfAll(
  files: readonly GenerationFile[],
  refusals: readonly Refusal[],
  exhausted: readonly number[],
): Failure {
  const [newest] = exhausted;
  if (newest !== undefined) {
    const done = files.find((file) => file.generation === newest)?.attempts.done ?? 0;
    return new Failure("E_BOOT_LOOP", {
      what: `generation ${newest} failed ${done} boots and no older blessed one is left`,
      found: "nothing is projected",
      next: "Find out why its pods fail, then run `blackstart restore --reset-attempts`",
    });
  }
  const [first, ...others] = refusals;
  if (first === undefined) {
    return new Failure("E_NO_CHECKPOINT", { what: "the store holds no checkpoint" });
  }
  if (others.length === 0) {
    return first.failure;
  }
  return new Failure(
    first.failure.code,
    {
      ...first.failure.text,
      what: `none of ${refusals.length} checkpoints opens; the newest: ${first.failure.text.what}`,
    },
    { cause: first.failure },
  );
}
