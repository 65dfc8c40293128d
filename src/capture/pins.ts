import type { Checkpoint, CheckpointImage } from "../model/checkpoint.ts";
import type { WantedPins } from "../model/pins.ts";

/**
 * What is to be kept from garbage collection.
 *
 * Pure.
 *
 * @param checkpoints  the newest generation and the blessed one
 */
export function wantedPins(checkpoints: readonly Checkpoint[]): WantedPins {
  const images = checkpoints.flatMap(
    (checkpoint): readonly CheckpointImage[] => checkpoint.images ?? [],
  );
  return {
    ids: distinct(images.flatMap(({ id }) => (id === undefined ? [] : [id]))),
    names: distinct(images.map(({ name, digest }) => digest ?? name)),
  };
}

/**
 * Pure. What we have pinned and no generation needs any more.
 *
 * @param ours  the names under which we have pinned something
 */
export function unwantedPins({ ids }: WantedPins, ours: readonly string[]): readonly string[] {
  return ours.filter((name) => !ids.includes(name));
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}
