import type { View } from "../capture/follower.ts";
import { gatherEach } from "../capture/gather-each.ts";
import { selectEach } from "../capture/live-selection.ts";
import { keyOf, needsOf } from "../capture/needs.ts";
import {
  type Awaited,
  awaitedWorkloads,
  type FormerPod,
  isSuccessor,
} from "../capture/replacement.ts";
import type { IgnoredPod } from "../capture/select.ts";
import type { Selection } from "../config.ts";
import { Failure } from "../errors.ts";
import { describeObject, type Pod } from "../model/kubernetes.ts";
import type { Skip } from "../model/plan.ts";
import { count } from "./table.ts";

/** What the choice among a node's live pods is made by. */
export interface Choice {
  readonly node: string;
  readonly selection: Selection;
  /** The newest generation; undefined where there is none. */
  readonly newest: { readonly generation: number; readonly pods: readonly FormerPod[] } | undefined;
  /** Let a generation without a pod take the place of one with pods. */
  readonly allowEmpty: boolean;
}

/** The pods of the next generation. */
export interface ChosenLive {
  /** Whole: all that they refer to is there. */
  readonly selected: readonly Pod[];
  /** Selected and not whole, with the reason. */
  readonly skipped: readonly Skip[];
  readonly ignored: readonly IgnoredPod[];
  /** Workloads that are between two pods; while there are any, no generation should be made. */
  readonly awaited: readonly Awaited[];
}

/**
 * Chooses the pods of the next generation, so that it is never worse than the newest one.
 *
 * Pure. A new pod whose references lead nowhere is left out with its reason: it has never run. One that the
 * newest generation holds keeps that generation the newest: there its Secret still is.
 *
 * @throws {Failure} E_SUSPICIOUS_EMPTY only when no pod is selected and the newest generation holds some; E_NOT_SELECTED
 *   only when no pod is selected and there is no generation; E_REF_MISSING, E_API_FORBIDDEN, E_DUP_KEY, E_TOO_BIG only
 *   when a pod that the newest generation holds, or its successor, can no longer be captured whole
 */
export function chooseLive(
  { pods, objects, refused }: View,
  { node, selection, newest, allowEmpty }: Choice,
): ChosenLive {
  const { selected, ignored, unprojectable } = selectEach(pods, selection, node);
  if (selected.length === 0 && !allowEmpty) {
    throw emptyFailure(node, pods.length, ignored.length + unprojectable.length, newest);
  }
  const former = newest?.pods ?? [];
  const { whole, broken } = gatherEach(selected, objects, node);
  const skipped = broken.map(({ pod, failure }): Skip & { readonly pod: Pod } => {
    const { namespace = "default", name } = pod.metadata;
    const { code, message } = refusalOf(pod, objects, refused) ?? failure;
    return { pod, namespace, name, code, message };
  });
  for (const { pod, code, message } of skipped) {
    if (newest !== undefined && former.some((one) => isSuccessor(one, pod))) {
      throw new Failure(failureCode(code), {
        what: `${describeObject(pod)} cannot be captured whole, so generation ${newest.generation} stays the newest`,
        found: message,
        next: "Put back what is missing, or take the reference out of the pod",
      });
    }
  }
  return {
    selected: whole,
    skipped: [
      ...unprojectable,
      ...skipped.map(({ namespace, name, code, message }) => ({ namespace, name, code, message })),
    ],
    ignored,
    awaited: awaitedWorkloads(former, selected, pods),
  };
}

/** Why the apiserver does not show what a pod refers to, where that is why it is missing. */
function refusalOf(pod: Pod, objects: View["objects"], refused: View["refused"]) {
  // A volume is named by its claim, not by the pod.
  const { watched, fetched } = needsOf([pod], objects);
  return [...watched, ...fetched]
    .map((need) => refused.get(keyOf(need)))
    .find((failure) => failure !== undefined);
}

function failureCode(code: string) {
  switch (code) {
    case "E_API_FORBIDDEN":
    case "E_DUP_KEY":
    case "E_TOO_BIG":
      return code;
    default:
      return "E_REF_MISSING";
  }
}

function emptyFailure(node: string, pods: number, left: number, newest: Choice["newest"]): Failure {
  if (newest === undefined || newest.pods.length === 0) {
    return new Failure("E_NOT_SELECTED", {
      what: `no pod of node ${node} is selected`,
      found:
        pods === 0
          ? "the apiserver knows no pod of that node"
          : `${count(left, "pod")}, each left out for a reason (-v tells)`,
      next: 'Annotate pods with blackstart.dev/checkpoint: "true", or set `select` in the configuration',
    });
  }
  return new Failure("E_SUSPICIOUS_EMPTY", {
    what: `no pod of node ${node} is selected any more, so generation ${newest.generation} stays the newest`,
    found: `it holds ${count(newest.pods.length, "pod")}, the apiserver knows ${count(pods, "pod")} of the node`,
    next: "If that is meant, run `blackstart capture --allow-empty` once",
  });
}
