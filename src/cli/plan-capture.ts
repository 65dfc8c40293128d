import { buildCheckpoint, type Captured } from "../capture/build.ts";
import { gatherObjects } from "../capture/gather.ts";
import type { Config } from "../config.ts";
import { Failure } from "../errors.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { KubernetesObject, Pod } from "../model/kubernetes.ts";
import type { RestorePlan, Skip } from "../model/plan.ts";
import { planRestore } from "../plan/restore.ts";

/** What is to become a generation. */
export interface CaptureInput
  extends Pick<
    Captured,
    "node" | "capturedAt" | "source" | "tokens" | "unminted" | "kubelet" | "images"
  > {
  readonly selected: readonly Pod[];
  /** Among which what the pods need is found. */
  readonly objects: readonly KubernetesObject[];
  /** Chosen pods that are already known not to be whole. */
  readonly skipped: readonly Skip[];
}

/** The document to seal, and the plan that proves which pods it can bring back. */
export interface CapturePlan {
  readonly checkpoint: Checkpoint;
  readonly plan: RestorePlan;
}

/**
 * Plans the restore before anything is sealed: only pods that it can bring back are in the document, and no
 * secret of a pod that is not; the others are recorded with their reasons.
 *
 * Pure.
 *
 * @throws {Failure} E_SUSPICIOUS_EMPTY only when pods are selected and none can be projected; what `gatherObjects`
 *   throws
 */
export function planCapture(
  { selected, objects, skipped, ...facts }: CaptureInput,
  { secretEnv }: Pick<Config, "secretEnv">,
): CapturePlan {
  const { node, capturedAt, tokens = [], unminted = [], images } = facts;
  const whole = buildCheckpoint({
    ...facts,
    selected,
    objects: gatherObjects(selected, objects, node),
    unprojectable: [],
  });
  const options = { generation: undefined, secretEnv, kubeletVersion: undefined, now: capturedAt };
  const plan = planRestore(whole, options);
  const left = [...skipped, ...plan.skipped];
  if (plan.pods.length === 0 && left.length > 0) {
    const [first] = left;
    const others = left
      .slice(1, 6)
      .map(({ namespace, name, code }) => `${namespace}/${name} ${code}`);
    const more = left.length > 6 ? [`${left.length - 6} more`] : [];
    throw new Failure("E_SUSPICIOUS_EMPTY", {
      what: "none of the selected pods can be projected, so no generation is made",
      found: [
        `${first?.namespace}/${first?.name} ${first?.code}: ${first?.message.replace(/\.$/, "")}`,
        ...others,
        ...more,
      ].join("; "),
      next: "Mend the first, and run it again",
    });
  }
  const projectable = new Set(plan.pods.map(({ namespace, name }) => `${namespace}/${name}`));
  const isKept = (namespace: string, name: string) => projectable.has(`${namespace}/${name}`);
  const kept = selected.filter(({ metadata }) =>
    isKept(metadata.namespace ?? "default", metadata.name),
  );
  const checkpoint = buildCheckpoint({
    ...facts,
    tokens: tokens.filter(({ namespace, pod }) => isKept(namespace, pod)),
    unminted: unminted.filter(({ namespace, pod }) => isKept(namespace, pod)),
    images: images?.filter(({ namespace, pod }) => isKept(namespace, pod)),
    selected: kept,
    objects: gatherObjects(kept, objects, node),
    unprojectable: left,
  });
  return { checkpoint, plan };
}
