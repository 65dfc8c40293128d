import type { KubernetesObject, Pod } from "../model/kubernetes.ts";

/** A pod of the newest generation, as far as it matters whether another takes its place. */
export interface FormerPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
  /** `namespace/kind/name` of what makes its successor; undefined for a pod that stands alone. */
  readonly workload: string | undefined;
}

/** Pure. */
export function formerPod({ metadata }: KubernetesObject): FormerPod {
  const { namespace = "default", name, uid } = metadata;
  return { namespace, name, uid, workload: workloadOf(metadata) };
}

/** A workload that is between two pods. */
export interface Awaited {
  /** `namespace/kind/name`. */
  readonly workload: string;
  /** True while an old pod of it is still being stopped. */
  readonly isEnding: boolean;
}

/** How long an old pod may take to end, ms: its grace period may be long. */
export const endingMs = 600_000;
/** How long a controller may then take to make the next, ms. */
export const successorMs = 30_000;

interface Wait {
  readonly sinceMs: number;
  /** Since when no old pod has been ending; undefined while one is. */
  readonly goneMs: number | undefined;
}

/** How long each workload has been waited for; one that is complete again begins anew the next time. */
export class Patience {
  #waits: ReadonlyMap<string, Wait> = new Map();

  /**
   * Until when the successors are worth waiting for, ms since 1970; undefined when that is over for all of them.
   *
   * The time for a controller counts from when the old pod has gone, not from when it began to end.
   */
  until(awaited: readonly Awaited[], now: number): number | undefined {
    this.#waits = new Map(
      awaited.map(({ workload, isEnding }) => {
        const known = this.#waits.get(workload);
        const goneMs = isEnding ? undefined : atMost(known?.goneMs ?? now, now);
        return [workload, { sinceMs: atMost(known?.sinceMs ?? now, now), goneMs }];
      }),
    );
    const ends = [...this.#waits.values()].map(({ sinceMs, goneMs }) =>
      Math.min(sinceMs + endingMs, (goneMs ?? Number.POSITIVE_INFINITY) + successorMs),
    );
    const untilMs = Math.max(...ends);
    return untilMs > now ? untilMs : undefined;
  }
}

/** A time after `now` is from before the clock was set back. */
function atMost(timeMs: number, now: number): number {
  return Math.min(timeMs, now);
}

/** Pure. */
export function namesOf(awaited: readonly Awaited[]): string {
  return awaited.map(({ workload }) => workload).join(", ");
}

/**
 * Names the workloads that have fewer pods here than in the newest generation, because pods were deleted, are
 * being deleted or have finished, and not because they are no longer chosen.
 *
 * Pure. A rolling update takes a pod away before its successor is there: a generation made in between would
 * lack it. So the caller waits for a moment; a pod without a controller has no successor, and is not waited for.
 *
 * @param present  every pod of the node
 */
export function awaitedWorkloads(
  former: readonly FormerPod[],
  selected: readonly Pod[],
  present: readonly KubernetesObject[],
): readonly Awaited[] {
  const lacking = new Map<string, number>();
  const add = (workload: string | undefined, count: number) => {
    if (workload !== undefined) {
      lacking.set(workload, (lacking.get(workload) ?? 0) + count);
    }
  };
  for (const { workload } of former) {
    add(workload, 1);
  }
  const chosen = new Set<KubernetesObject>(selected);
  const known = new Set(former.map(({ uid }) => uid));
  for (const pod of present) {
    // One that was captured and runs on, but is chosen no longer, is missed by nobody.
    if (chosen.has(pod) || (known.has(pod.metadata.uid) && !isEnding(pod))) {
      add(workloadOf(pod.metadata), -1);
    }
  }
  const ending = new Set(present.filter(isTerminating).map(({ metadata }) => workloadOf(metadata)));
  return [...lacking]
    .filter(([, count]) => count > 0)
    .map(([workload]) => ({ workload, isEnding: ending.has(workload) }));
}

/** Pure. The same pod, or one that the same workload has put in its place. */
export function isSuccessor(
  former: FormerPod,
  { metadata: { namespace = "default", name, ...metadata } }: KubernetesObject,
): boolean {
  return (
    former.namespace === namespace &&
    (former.name === name ||
      (former.workload !== undefined &&
        former.workload === workloadOf({ namespace, name, ...metadata })))
  );
}

function isEnding(pod: KubernetesObject): boolean {
  const status = pod["status"];
  const phase =
    typeof status === "object" && status !== null && "phase" in status ? status.phase : undefined;
  return isTerminating(pod) || phase === "Succeeded" || phase === "Failed";
}

function isTerminating({ metadata }: KubernetesObject): boolean {
  return (metadata.deletionTimestamp ?? "") !== "";
}

function workloadOf({ namespace = "default", ownerReferences }: KubernetesObject["metadata"]) {
  const owner = ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined || owner.kind === "Job" || owner.kind === "Node") {
    return undefined;
  }
  // Each revision of a Deployment has a ReplicaSet of its own, named with the revision's hash.
  const name = owner.kind === "ReplicaSet" ? owner.name.replace(/-[a-z0-9]+$/, "") : owner.name;
  return `${namespace}/${owner.kind}/${name}`;
}
