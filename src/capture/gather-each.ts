import { Failure } from "../errors.ts";
import type { KubernetesObject, Pod } from "../model/kubernetes.ts";
import { gatherObjects } from "./gather.ts";

/** Pods that can be gathered, and those that cannot, each with its own failure. */
export interface GatheredEach {
  readonly whole: readonly Pod[];
  readonly broken: readonly { readonly pod: Pod; readonly failure: Failure }[];
}

/**
 * Tells which of the selected pods can be gathered, so that one that cannot does not stop the others.
 *
 * Pure. Pods stay in their order. What `gatherObjects` throws for a pod alone is that pod's failure (E_REF_MISSING,
 * E_DUP_KEY, E_TOO_BIG); it throws nothing for `whole` together.
 */
export function gatherEach(
  pods: readonly Pod[],
  all: readonly KubernetesObject[],
  node: string,
): GatheredEach {
  const whole: Pod[] = [];
  const broken: { readonly pod: Pod; readonly failure: Failure }[] = [];
  for (const pod of pods) {
    try {
      gatherObjects([pod], all, node);
      whole.push(pod);
    } catch (error) {
      if (!(error instanceof Failure)) {
        throw error;
      }
      broken.push({ pod, failure: error });
    }
  }
  return { whole, broken };
}
