import type { Failure } from "../errors.ts";
import type { Warning } from "./plan.ts";

/** What became of one pod of a plan. */
export type Outcome =
  | {
      /** projected: visible to the kubelet since this run; updated: it was, and something was rewritten. */
      readonly kind: "projected" | "unchanged" | "updated";
      readonly namespace: string;
      readonly name: string;
    }
  | {
      readonly kind: "failed";
      readonly namespace: string;
      readonly name: string;
      readonly failure: Failure;
      /** True when the pod of an earlier run still stands as it was; false when nothing is left of it. */
      readonly kept: boolean;
    };

/** Something that has its planned mode and bytes, but not its planned owner. */
export interface UnappliedOwner {
  readonly namespace: string;
  readonly name: string;
  /** Absolute on the node, without `--root`. */
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
}

/** What applying a plan did. */
export interface Applied {
  /** One for each pod of the plan, in its order. */
  readonly outcomes: readonly Outcome[];
  readonly warnings: readonly Warning[];
  /** Links, manifests and volume directories of pods that the plan does not have, absolute on the node. */
  readonly removed: readonly string[];
  readonly unapplied: readonly UnappliedOwner[];
}
