import type { Pod } from "../model/kubernetes.ts";

/** A pod of a generation. */
export interface GenerationPod {
  readonly namespace: string;
  readonly name: string;
  /** undefined for a pod that no apiserver has made. */
  readonly uid: string | undefined;
}

/** Why a pod keeps its generation from being blessed. */
export interface UnreadyPod {
  readonly namespace: string;
  readonly name: string;
  readonly reason: "gone" | "replaced" | "terminating" | "not-ready";
}

export type Blessing =
  | { readonly kind: "blessed" }
  /** All pods are Ready; ask again at that time, ms since 1970. */
  | { readonly kind: "wait"; readonly untilMs: number }
  | { readonly kind: "not-ready"; readonly pods: readonly UnreadyPod[] };

/** What a generation is judged by. */
export interface BlessingFacts {
  readonly pods: readonly GenerationPod[];
  /** The node's pods as they are now. */
  readonly live: readonly Pod[];
  readonly now: Date;
  readonly settleMs: number;
  /** Since when the node's content is what the generation holds: `stableSince`. */
  readonly stableSince: Date;
}

/**
 * Judges whether a generation has been seen working: restore falls back to the newest that has.
 *
 * Pure. It is blessed when each of its pods is there with the uid that was captured, is Ready, and both that and the
 * content have lasted for the settle time. Times after `now`, or none at all, count as `now`: a clock that was set
 * back makes a blessing late, never early. A generation without pods is never blessed: it would restore nothing.
 */
export function blessing({ pods, live, now, settleMs, stableSince }: BlessingFacts): Blessing {
  const byName = new Map(live.map((pod) => [nameOf(pod.metadata), pod]));
  const unready: UnreadyPod[] = [];
  let sinceMs = atMost(stableSince.getTime(), now);
  for (const pod of pods) {
    const found = judge(pod, byName.get(nameOf(pod)));
    if (typeof found === "string") {
      unready.push({ namespace: pod.namespace, name: pod.name, reason: found });
    } else {
      sinceMs = Math.max(sinceMs, atMost(found.readyMs, now));
    }
  }
  if (unready.length > 0 || pods.length === 0) {
    return { kind: "not-ready", pods: unready };
  }
  const untilMs = sinceMs + settleMs;
  return untilMs <= now.getTime() ? { kind: "blessed" } : { kind: "wait", untilMs };
}

/** One generation as far as its stability matters. */
export interface GenerationTag {
  readonly generation: number;
  readonly capturedAt: Date;
  /** A digest of `essenceOf(…, {tokens: false})`. */
  readonly tag: string;
}

/**
 * Since when the content of the newest of these generations has been what it is.
 *
 * Pure. The capture time of the oldest in the unbroken run of equal tags that ends at the newest. A number that is not
 * there breaks the run: what that generation held is not known. In any order; no generation at all gives a time
 * that never comes.
 */
export function stableSince(generations: readonly GenerationTag[]): Date {
  const [newest, ...older] = generations.toSorted((a, b) => b.generation - a.generation);
  if (newest === undefined) {
    return new Date(8.64e15);
  }
  let oldest = newest;
  for (const next of older) {
    if (next.tag !== newest.tag || next.generation !== oldest.generation - 1) {
      break;
    }
    oldest = next;
  }
  return oldest.capturedAt;
}

function judge(
  { uid }: GenerationPod,
  pod: Pod | undefined,
): UnreadyPod["reason"] | { readonly readyMs: number } {
  if (pod === undefined) {
    return "gone";
  }
  if (uid === undefined || pod.metadata.uid !== uid) {
    return "replaced";
  }
  if ((pod.metadata.deletionTimestamp ?? "") !== "") {
    return "terminating";
  }
  const condition = conditionsOf(pod).find(({ type }) => type === "Ready");
  return condition?.status === "True"
    ? { readyMs: Date.parse(String(condition.lastTransitionTime)) }
    : "not-ready";
}

interface Condition {
  readonly type?: unknown;
  readonly status?: unknown;
  readonly lastTransitionTime?: unknown;
}

function conditionsOf({ status }: Pod): readonly Condition[] {
  const conditions = status?.["conditions"];
  return Array.isArray(conditions)
    ? conditions.filter((one): one is Condition => typeof one === "object" && one !== null)
    : [];
}

function atMost(timeMs: number, now: Date): number {
  return Number.isNaN(timeMs) ? now.getTime() : Math.min(timeMs, now.getTime());
}

function nameOf({ namespace = "default", name }: { namespace?: string; name: string }): string {
  return `${namespace}/${name}`;
}
