import type { Checkpoint } from "../model/checkpoint.ts";
import type { KubernetesObject, Pod } from "../model/kubernetes.ts";
import type { Skip } from "../model/plan.ts";

/** What a capture found, before it becomes a document. */
export interface Captured {
  readonly node: string;
  readonly capturedAt: Date;
  readonly selected: readonly Pod[];
  /** As `gatherObjects` gives them: the selected pods and all that they need. */
  readonly objects: readonly KubernetesObject[];
  /** Selected pods that the planner cannot project, with its reasons. */
  readonly unprojectable: readonly Skip[];
}

/** Pure. The document that a generation seals; equal input gives equal bytes. */
export function buildCheckpoint(captured: Captured): Checkpoint {
  const { node, capturedAt, selected, objects, unprojectable } = captured;
  return {
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node, capturedAt: capturedAt.toISOString(), source: "files" },
    pods: selected
      .map(({ metadata }) => ({ namespace: metadata.namespace ?? "default", name: metadata.name }))
      .sort(byName),
    unprojectable: unprojectable
      .map(({ namespace, name, code, message }) => ({ namespace, name, code, message }))
      .sort(byName),
    tokens: [],
    items: objects,
  };
}

interface Named {
  readonly namespace: string;
  readonly name: string;
}

function byName(a: Named, b: Named): number {
  const [left, right] = [`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`];
  return left < right ? -1 : left > right ? 1 : 0;
}
