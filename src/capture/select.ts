import type { Selection } from "../config.ts";
import { Failure } from "../errors.ts";
import { describeObject, type KubernetesObject, type Pod } from "../model/kubernetes.ts";
import { marks } from "../model/marks.ts";
import { matchesLabels, parseLabelSelector, type Requirement } from "./label-selector.ts";

/** Why a pod is not captured. */
export type IgnoreCode =
  | "I_NODE"
  | "I_STATIC"
  | "I_COPY"
  | "I_JOB"
  | "I_FINISHED"
  | "I_TERMINATING"
  | "I_OPTED_OUT"
  | "I_NOT_SELECTED";

export interface IgnoredPod {
  readonly namespace: string;
  readonly name: string;
  readonly code: IgnoreCode;
  readonly message: string;
}

export interface SelectedPods {
  readonly selected: readonly Pod[];
  readonly ignored: readonly IgnoredPod[];
}

const checkpointKey = "blackstart.dev/checkpoint";
/** The annotations of bootkube's pod checkpointer. */
const olderKey = "checkpointer.alpha.coreos.com/checkpoint";
const olderCheckpointOfKey = "checkpointer.alpha.coreos.com/checkpoint-of";

/**
 * Chooses the pods of one node that are captured, and says why each other pod is not.
 *
 * Pure. Pods come in the order of `objects`. A pod without a node (written by hand for a first boot)
 * belongs to `node`. `"false"` opts out of every selection; of the two annotations ours decides.
 *
 * @throws {Failure} E_ANNOTATION only when our annotation is neither "true" nor "false" on a pod that could
 *   be captured: not to capture it would go unnoticed until it is missed; E_CONFIG only when the label
 *   selector is malformed
 */
export function selectPods(
  objects: readonly KubernetesObject[],
  selection: Selection,
  node: string,
): SelectedPods {
  const isWanted = wantedBy(selection);
  const selected: Pod[] = [];
  const ignored: IgnoredPod[] = [];
  for (const pod of objects.filter(isPod)) {
    const reason = reasonAgainst(pod, node) ?? choose(pod, isWanted);
    if (reason === undefined) {
      selected.push(pod);
    } else {
      const [code, message] = reason;
      const { namespace = "default", name } = pod.metadata;
      ignored.push({ namespace, name, code, message });
    }
  }
  return { selected, ignored };
}

/** Pure. True for a pod: `parseObject` has checked its shape. */
export function isPod(object: KubernetesObject): object is Pod {
  return object.kind === "Pod";
}

type Reason = readonly [IgnoreCode, string];

/** What keeps a pod from ever being captured on this node. */
function reasonAgainst(pod: Pod, node: string): Reason | undefined {
  const { annotations, labels, ownerReferences, deletionTimestamp } = pod.metadata;
  const has = (key: string) => annotations?.[key] !== undefined || labels?.[key] !== undefined;
  const owner = ownerReferences?.find(({ controller }) => controller === true)?.kind;
  const nodeName = pod.spec.nodeName ?? "";
  if (nodeName !== "" && nodeName !== node) {
    return ["I_NODE", `runs on node ${nodeName}`];
  }
  if (has(marks.checkpointOf) || has(olderCheckpointOfKey)) {
    return ["I_COPY", "is itself a copy made from a checkpoint"];
  }
  if (annotations?.["kubernetes.io/config.mirror"] !== undefined || owner === "Node") {
    return ["I_STATIC", "is the mirror of a static pod, which starts without an apiserver"];
  }
  if ((annotations?.["kubernetes.io/config.source"] ?? "api") !== "api") {
    return ["I_STATIC", "is a static pod, which starts without an apiserver"];
  }
  if (owner === "Job") {
    return ["I_JOB", "belongs to a Job, which must not run twice"];
  }
  const phase = pod.status?.phase;
  if (phase === "Succeeded" || phase === "Failed") {
    return ["I_FINISHED", `has finished (${phase})`];
  }
  return (deletionTimestamp ?? "") === "" ? undefined : ["I_TERMINATING", "is being deleted"];
}

function choose(pod: Pod, isWanted: (pod: Pod) => Reason | undefined): Reason | undefined {
  const annotation = annotationOf(pod);
  return annotation === "false"
    ? ["I_OPTED_OUT", `opts out by the annotation ${checkpointKey}: "false"`]
    : isWanted(pod);
}

function annotationOf(pod: Pod): string | undefined {
  const annotations = pod.metadata.annotations ?? {};
  const value = annotations[checkpointKey];
  if (value === undefined) {
    return annotations[olderKey];
  }
  if (value !== "true" && value !== "false") {
    throw new Failure("E_ANNOTATION", {
      what: `${describeObject(pod)} has an annotation that means nothing`,
      where: `metadata.annotations["${checkpointKey}"]`,
      found: JSON.stringify(value.slice(0, 40)),
      next: 'Write "true" or "false"',
    });
  }
  return value;
}

/** The reason of the selection against a pod, undefined when it wants the pod. */
function wantedBy(selection: Selection): (pod: Pod) => Reason | undefined {
  switch (selection.kind) {
    case "all":
      return () => undefined;
    case "annotated":
      return (pod) =>
        annotationOf(pod) === "true"
          ? undefined
          : ["I_NOT_SELECTED", `lacks the annotation ${checkpointKey}: "true"`];
    case "selector": {
      const { namespaces, labelSelector, priorityClassNames } = selection;
      const requirements = parseLabelSelector(labelSelector ?? "");
      return (pod) => {
        const unmet = unmetPart(pod, namespaces, requirements, priorityClassNames);
        return unmet === undefined
          ? undefined
          : ["I_NOT_SELECTED", `is not selected: ${unmet} differs from the configuration`];
      };
    }
  }
}

function unmetPart(
  pod: Pod,
  namespaces: readonly string[],
  requirements: readonly Requirement[],
  priorityClassNames: readonly string[],
): string | undefined {
  if (namespaces.length > 0 && !namespaces.includes(pod.metadata.namespace ?? "default")) {
    return "its namespace";
  }
  const priorityClass = String(pod.spec["priorityClassName"] ?? "");
  if (priorityClassNames.length > 0 && !priorityClassNames.includes(priorityClass)) {
    return "its priorityClassName";
  }
  return matchesLabels(requirements, pod.metadata.labels ?? {}) ? undefined : "a label";
}
