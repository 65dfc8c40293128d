import { hostname } from "node:os";
import { buildCheckpoint } from "../capture/build.ts";
import { readObjects } from "../capture/capture.ts";
import { nodeNameOf } from "../capture/node-name.ts";
import { type IgnoredPod, selectPods } from "../capture/select.ts";
import type { Selection } from "../config.ts";
import { Failure } from "../errors.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { KubernetesObject, Pod } from "../model/kubernetes.ts";

/** Objects from files, and the pods of this node that were chosen among them. */
export interface ChosenPods {
  readonly node: string;
  readonly objects: readonly KubernetesObject[];
  readonly selected: readonly Pod[];
  readonly ignored: readonly IgnoredPod[];
}

/** What `--from`, `--node` and `--select` say, `select` with the configuration's as its default. */
export interface InputOptions {
  readonly from: readonly string[];
  readonly node: string | undefined;
  readonly selection: Selection;
}

/**
 * Reads objects and chooses this node's pods; or takes a checkpoint's document as it is.
 *
 * @throws {Failure} E_USAGE only without a path; E_OBJECT only when a checkpoint comes with other things;
 *   and what reading and choosing throw
 */
export async function readInput({
  from,
  node,
  selection,
}: InputOptions): Promise<ChosenPods | Checkpoint> {
  if (from.length === 0) {
    throw new Failure("E_USAGE", {
      what: "there is nothing to read",
      where: "--from",
      next: "Name files or directories of YAML or JSON objects, or - for stdin",
    });
  }
  const { objects, checkpoints } = await readObjects(from, { stdin: process.stdin });
  const [checkpoint, ...others] = checkpoints;
  if (checkpoint !== undefined) {
    if (others.length > 0 || objects.length > 0) {
      throw new Failure("E_OBJECT", {
        what: "a checkpoint's document stands for itself",
        where: "--from",
        found: `${checkpoints.length} checkpoints and ${objects.length} other objects`,
        next: "Pass one checkpoint and nothing else",
      });
    }
    return checkpoint;
  }
  const name = nodeNameOf(objects, node, hostname());
  return { node: name, objects, ...selectPods(objects, selection, name) };
}

/**
 * All that was read as one document, for looking at it: what is missing shows pod by pod.
 *
 * Pure. It is dated by the youngest object, so that equal input gives equal output.
 */
export function asCheckpoint(input: ChosenPods | Checkpoint): Checkpoint {
  if ("kind" in input) {
    return input;
  }
  const born = input.objects
    .map(({ metadata }) => Date.parse(metadata.creationTimestamp ?? ""))
    .filter(Number.isFinite);
  const youngest = born.reduce((latest, one) => Math.max(latest, one), 0);
  return buildCheckpoint({ ...input, capturedAt: new Date(youngest), unprojectable: [] });
}
