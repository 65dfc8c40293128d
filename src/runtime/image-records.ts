import { notFound } from "./grpc.ts";
import { encodeMessage, messageAt, messagesAt, numberIn, textIn } from "./message.ts";
import {
  alreadyExists,
  answerMs,
  ask,
  kubernetesNamespace,
  type Runtime,
  unanswered,
} from "./runtime.ts";

/*
 * Names of images in containerd, leases, snapshots and sandboxes, as far as an archive of images needs them.
 * Source: containerd 2.3.7 `api/services/{images,leases,snapshots,containers}/v1`, `api/types/descriptor.proto`.
 */

const images = "/containerd.services.images.v1.Images";
const leases = "/containerd.services.leases.v1.Leases";
const snapshots = "/containerd.services.snapshots.v1.Snapshots";
const containers = "/containerd.services.containers.v1.Containers";

/** What an image's name stands for. */
export interface Target {
  readonly mediaType: string;
  /** `sha256:…`. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** What containerd has under a name; undefined for nothing. @throws {Failure} E_RUNTIME */
export async function imageTarget(runtime: Runtime, name: string): Promise<Target | undefined> {
  const answer = await ask(runtime, `${images}/Get`, encodeMessage([1, name]));
  const image = answer === undefined ? undefined : messageAt(answer, 1);
  const target = image === undefined ? undefined : messageAt(image, 3);
  return target === undefined
    ? undefined
    : { mediaType: textIn(target, 1), digest: textIn(target, 2), size: numberIn(target, 3) };
}

/** Gives an image a name; one that is taken stays as it is. @throws {Failure} E_RUNTIME */
export async function createImage(
  runtime: Runtime,
  {
    name,
    target,
    labels,
  }: {
    readonly name: string;
    readonly target: Target;
    readonly labels: ReadonlyMap<string, string>;
  },
): Promise<void> {
  const { mediaType, digest, size } = target;
  const descriptor = encodeMessage([1, mediaType], [2, digest], [3, BigInt(size)]);
  const method = `${images}/Create`;
  const message = encodeMessage([1, encodeMessage([1, name], [2, labels], [3, descriptor])]);
  const call = { method, message, metadata: kubernetesNamespace };
  runtime.signal.throwIfAborted();
  const answer = await runtime.socket.call(call, answerMs);
  if (answer.kind === "answered") {
    return;
  }
  if (answer.kind === "refused" && answer.status === alreadyExists) {
    return;
  }
  throw unanswered(runtime, method, answer);
}

/** The names of the images that the sandboxes of pods are made from. @throws {Failure} E_RUNTIME */
export async function sandboxImages(runtime: Runtime): Promise<readonly string[]> {
  const filter = 'labels."io.cri-containerd.kind"==sandbox';
  const answer = await ask(runtime, `${containers}/List`, encodeMessage([1, filter]));
  const found = answer === undefined ? [] : messagesAt(answer, 1);
  return [...new Set(found.map((container) => textIn(container, 3)))].filter((name) => name !== "");
}

/** Whether a layer is unpacked under this key. @throws {Failure} E_RUNTIME */
export async function hasSnapshot(
  runtime: Runtime,
  snapshotter: string,
  key: string,
): Promise<boolean> {
  const message = encodeMessage([1, snapshotter], [2, key]);
  const call = { method: `${snapshots}/Stat`, message, metadata: kubernetesNamespace };
  runtime.signal.throwIfAborted();
  const answer = await runtime.socket.call(call, answerMs);
  if (answer.kind === "answered") {
    return true;
  }
  // 3 and 12: a snapshotter that this containerd does not have any more.
  if (answer.kind === "refused" && [notFound, 3, 12].includes(answer.status)) {
    return false;
  }
  throw unanswered(runtime, call.method, answer);
}

/**
 * Keeps from garbage collection what is written under its name, until it is ended or its time is over.
 *
 * @throws {Failure} E_RUNTIME
 */
export async function createLease(runtime: Runtime, id: string, expiresAt: Date): Promise<void> {
  const time = expiresAt.toISOString().replace(/\.\d+Z$/, "Z");
  const labels = new Map([["containerd.io/gc.expire", time]]);
  await ask(runtime, `${leases}/Create`, encodeMessage([1, id], [3, labels]));
}

/** Ends a lease; with `collect` it returns when garbage is collected. @throws {Failure} E_RUNTIME */
export async function deleteLease(
  runtime: Runtime,
  id: string,
  collect: "collect" | "later",
): Promise<void> {
  const sync = collect === "collect" ? ([[2, 1n]] as const) : [];
  await ask(runtime, `${leases}/Delete`, encodeMessage([1, id], ...sync));
}
