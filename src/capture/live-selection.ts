import type { Selection } from "../config.ts";
import { Failure } from "../errors.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import type { Skip } from "../model/plan.ts";
import { isPod, type SelectedPods, selectPods } from "./select.ts";

/** Pods chosen one by one: what is wrong with one of them does not reach the others. */
export interface EachSelected extends SelectedPods {
  /** Pods whose annotation means nothing (E_ANNOTATION): neither chosen nor passed over in silence. */
  readonly unprojectable: readonly Skip[];
}

/**
 * Chooses pods as `selectPods` does, and lets a malformed annotation cost only the pod that has it.
 *
 * Pure. Objects on disk are one person's, who is told to correct them; a live node's pods have many owners,
 * and none of them may stop the capture of the others.
 *
 * @throws {Failure} E_CONFIG only when the label selector is malformed
 */
export function selectEach(
  objects: readonly KubernetesObject[],
  selection: Selection,
  node: string,
): EachSelected {
  // Even where there is no pod, a malformed selector is told.
  const none = selectPods([], selection, node);
  const parts = objects.filter(isPod).map((pod): EachSelected => {
    try {
      return { ...selectPods([pod], selection, node), unprojectable: [] };
    } catch (error) {
      if (!(error instanceof Failure && error.code === "E_ANNOTATION")) {
        throw error;
      }
      const { namespace = "default", name } = pod.metadata;
      const { code, message } = error;
      return { ...none, unprojectable: [{ namespace, name, code, message }] };
    }
  });
  return {
    selected: parts.flatMap(({ selected }) => selected),
    ignored: parts.flatMap(({ ignored }) => ignored),
    unprojectable: parts.flatMap(({ unprojectable }) => unprojectable),
  };
}
