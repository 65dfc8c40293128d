import { Failure } from "../errors.ts";
import type { KubernetesObject } from "./kubernetes.ts";
import { parseObject } from "./parse-object.ts";
import { anything, array, literal, maybe, object, text, timestamp } from "./shape.ts";

/** The document that a generation seals: this node's chosen pods and all that they reference. */
export interface Checkpoint {
  readonly apiVersion: "blackstart.dev/v1";
  readonly kind: "Checkpoint";
  readonly metadata: {
    readonly node: string;
    /** RFC 3339, UTC. For people; order is by generation, never by time. */
    readonly capturedAt: string;
    readonly source: "apiserver" | "files";
    /** What the node's kubelet said of itself; absent where nobody asked. */
    readonly kubelet?: KubeletFacts;
  };
  /** The captured pods, in the order of `items`. */
  readonly pods: readonly PodReference[];
  /** Selected pods that no static pod can stand in for, with the reason. */
  readonly unprojectable: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly code: string;
    readonly message: string;
  }[];
  readonly tokens: readonly ServiceAccountToken[];
  /** Tokens that pods want and that could not be minted; absent for none. */
  readonly unminted?: readonly UnmintedToken[];
  /** What the runtime knew of each image; absent where it was not asked. Sorted by namespace, pod, place. */
  readonly images?: readonly CheckpointImage[];
  /** Raw objects, exactly as they were read. */
  readonly items: readonly KubernetesObject[];
}

export interface PodReference {
  readonly namespace: string;
  readonly name: string;
}

/** A minted service account token, bound to the parent pod. */
export interface ServiceAccountToken {
  readonly namespace: string;
  readonly pod: string;
  /** As in the projected source; "" is the apiserver's own audience. */
  readonly audience: string;
  readonly token: string;
  /** RFC 3339, UTC: when the apiserver stops accepting it. */
  readonly expiresAt: string;
}

/** A token that is not in the checkpoint, and why. */
export interface UnmintedToken {
  readonly namespace: string;
  readonly pod: string;
  /** As in the projected source; "" is the apiserver's own audience. */
  readonly audience: string;
  /** For people. */
  readonly message: string;
}

/** The image of one container, or of one image volume. */
export interface CheckpointImage {
  readonly namespace: string;
  readonly pod: string;
  /** `containers/NAME`, `initContainers/NAME` or `volumes/NAME`. */
  readonly place: string;
  /** As in the pod's spec. */
  readonly name: string;
  /** `registry/repository@sha256:…`, by which the runtime knows what ran; absent where it has no such name. */
  readonly digest?: string;
  /** The runtime's, `sha256:…`, which a kubelet's pull records name; absent where it did not say. */
  readonly id?: string;
}

/** Facts of the kubelet's configuration at the time of the capture. */
export interface KubeletFacts {
  /** `v1.37.2`. */
  readonly version?: string;
  /** Absolute on the node. */
  readonly staticPodPath?: string;
  readonly nodeIP?: string;
  /** Absolute on the node. */
  readonly kubeconfig?: string;
}

const checkpointShape = object({
  apiVersion: literal("blackstart.dev/v1"),
  kind: literal("Checkpoint"),
  metadata: object({
    node: text,
    capturedAt: timestamp,
    source: literal("apiserver", "files"),
    kubelet: maybe(
      object({
        version: maybe(text),
        staticPodPath: maybe(text),
        nodeIP: maybe(text),
        kubeconfig: maybe(text),
      }),
    ),
  }),
  pods: array(object({ namespace: text, name: text })),
  unprojectable: array(object({ namespace: text, name: text, code: text, message: text })),
  tokens: array(
    object({ namespace: text, pod: text, audience: text, token: text, expiresAt: timestamp }),
  ),
  unminted: maybe(array(object({ namespace: text, pod: text, audience: text, message: text }))),
  images: maybe(
    array(
      object({
        namespace: text,
        pod: text,
        place: text,
        name: text,
        digest: maybe(text),
        id: maybe(text),
      }),
    ),
  ),
  items: array(anything),
});

/**
 * Takes a parsed document as a Checkpoint.
 *
 * Pure. The value itself is returned, so that fields it does not know survive.
 *
 * @throws {Failure} E_OBJECT, E_NAME, E_UID, E_B64, … only when the document or an item has a wrong shape
 */
export function parseCheckpoint(value: unknown): Checkpoint {
  const mismatch = checkpointShape(value);
  if (mismatch !== undefined) {
    throw new Failure("E_OBJECT", {
      what: "the checkpoint's document is malformed",
      where: mismatch.path,
      found: `expected ${mismatch.expected}`,
      next: "Use another generation (`blackstart verify` shows which open)",
    });
  }
  const document = value as Checkpoint;
  for (const item of document.items) {
    parseObject(item);
  }
  return document;
}
