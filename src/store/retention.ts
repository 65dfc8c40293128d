import type { GenerationFile } from "./choice.ts";

/**
 * What opening a generation proved. "unknown": it was not read, needs a key that is not here, or a newer
 * program; nothing is ever concluded from that.
 */
export type Proof = "valid" | "damaged" | "unknown";

/** What retention does with the generations of a store. */
export interface RetentionPlan {
  /** Older than everything that is kept. */
  readonly remove: readonly number[];
  /** Proved damaged with the right key. */
  readonly quarantine: readonly number[];
}

/**
 * Plans what to delete: nothing without proof.
 *
 * Pure, given `prove`, which is asked no more than needed. Keeps the newest `keep` valid generations, the
 * newest valid blessed one, and everything unknown that is newer than the last kept or blessed itself.
 * With fewer than `keep` valid ones nothing is old. `files` are newest first; `keep` is at least 1.
 */
export function planRetention(
  files: readonly GenerationFile[],
  keep: number,
  prove: (file: GenerationFile) => Proof,
): RetentionPlan {
  const remove: number[] = [];
  const quarantine: number[] = [];
  let valid = 0;
  let blessed = false;
  for (const file of files) {
    const full = valid >= keep;
    // Beyond the kept ones age is proof enough; only the blessed one that is still wanted is looked at.
    if (full && (blessed || !file.blessed)) {
      remove.push(file.generation);
      continue;
    }
    const proof = prove(file);
    if (proof === "damaged") {
      quarantine.push(file.generation);
    } else if (proof === "valid") {
      valid += 1;
      blessed ||= file.blessed;
    }
  }
  return { remove, quarantine };
}

/** Files that `quarantine/` holds at most. */
export const quarantineLimit = 3;

/** Pure. Which names leave `quarantine/` so that at most `quarantineLimit` stay: the lowest numbers. */
export function planQuarantine(names: readonly string[]): readonly string[] {
  return [...names].sort().slice(0, Math.max(0, names.length - quarantineLimit));
}
