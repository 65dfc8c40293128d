import type {
  Checkpoint,
  CheckpointImage,
  KubeletFacts,
  ServiceAccountToken,
  UnmintedToken,
} from "../model/checkpoint.ts";
import { isoTime } from "../model/iso-time.ts";
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
  /** Where the objects came from; "files" when absent. */
  readonly source?: "apiserver" | "files";
  readonly tokens?: readonly ServiceAccountToken[];
  readonly unminted?: readonly UnmintedToken[];
  readonly kubelet?: KubeletFacts | undefined;
  /** undefined where the runtime was not asked. */
  readonly images?: readonly CheckpointImage[] | undefined;
}

/** Pure. The document that a generation seals; equal input gives equal bytes. */
export function buildCheckpoint(captured: Captured): Checkpoint {
  const { node, capturedAt, selected, objects, unprojectable } = captured;
  const { source = "files", tokens = [], unminted = [], kubelet, images } = captured;
  return {
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: {
      node,
      capturedAt: isoTime(capturedAt),
      source,
      ...(kubelet === undefined ? {} : { kubelet }),
    },
    pods: selected
      .map(({ metadata }) => ({ namespace: metadata.namespace ?? "default", name: metadata.name }))
      .sort(byName),
    unprojectable: unprojectable
      .map(({ namespace, name, code, message }) => ({ namespace, name, code, message }))
      .sort(byName),
    tokens: [...tokens].sort(byPod),
    ...(unminted.length === 0 ? {} : { unminted: [...unminted].sort(byPod) }),
    ...(images === undefined ? {} : { images: [...images].sort(byPlace) }),
    items: objects,
  };
}

interface Named {
  readonly namespace: string;
  readonly name: string;
}

function byName(a: Named, b: Named): number {
  return compare(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`);
}

/** By namespace, pod and audience. No name holds the character between them. */
function byPod(a: UnmintedToken | ServiceAccountToken, b: UnmintedToken | ServiceAccountToken) {
  const key = ({ namespace, pod, audience }: typeof a) => `${namespace}\0${pod}\0${audience}`;
  return compare(key(a), key(b));
}

function byPlace(a: CheckpointImage, b: CheckpointImage): number {
  const key = ({ namespace, pod, place }: CheckpointImage) => `${namespace}\0${pod}\0${place}`;
  return compare(key(a), key(b));
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
