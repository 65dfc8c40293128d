import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { readFields, textAt } from "./cri.ts";
import { type GrpcSocket, notFound } from "./grpc.ts";

/** The namespace that containerd's CRI keeps its images in. Source: containerd 2.3.7 `internal/cri/constants/constants.go`. */
const kubernetes = { "containerd-namespace": "k8s.io" };
const service = "/containerd.services.images.v1.Images";

/** What containerd's own collector and the kubelet's respect. Source: containerd 2.3.7 `internal/cri/labels/labels.go`. */
export const pinnedLabel = "io.cri-containerd.pinned";
const pinnedValue = "pinned";
/** On those images that we have pinned, so that we never take away another's pin. */
export const ourLabel = "blackstart.dev/pinned";

/** What came of pinning or unpinning. `foreign`: another has pinned it, so it is left alone. */
export type PinResult =
  | { readonly kind: "pinned" | "unpinned" | "foreign" | "absent" }
  | { readonly kind: "failed"; readonly problem: string };

/**
 * Pins an image under one of the names that containerd has it by.
 *
 * An image that another has pinned stays as it is.
 *
 * @param name  as containerd has it: `docker.io/library/etcd:3.6`, `…@sha256:…`, or an image's id
 */
export async function pinImage(
  socket: GrpcSocket,
  name: string,
  deadlineMs: number,
): Promise<PinResult> {
  const found = await findImage(socket, name, deadlineMs);
  if (found.kind !== "found") {
    return found;
  }
  const isOurs = found.labels.has(ourLabel);
  if (found.labels.get(pinnedLabel) === pinnedValue) {
    return { kind: isOurs ? "pinned" : "foreign" };
  }
  const changed = new Map([
    [pinnedLabel, pinnedValue],
    [ourLabel, "true"],
  ]);
  return await writeLabels(socket, name, found.target, changed, "pinned", deadlineMs);
}

/** Takes our pin away; another's stays. */
export async function unpinImage(
  socket: GrpcSocket,
  name: string,
  deadlineMs: number,
): Promise<PinResult> {
  const found = await findImage(socket, name, deadlineMs);
  if (found.kind !== "found") {
    return found;
  }
  if (!found.labels.has(ourLabel)) {
    return { kind: "foreign" };
  }
  // An empty value removes a label. Source: containerd 2.3.7 `core/metadata/boltutil/helpers.go: WriteLabels`.
  const changed = new Map([
    [pinnedLabel, ""],
    [ourLabel, ""],
  ]);
  return await writeLabels(socket, name, found.target, changed, "unpinned", deadlineMs);
}

/** The names of all images that we have pinned; undefined when containerd does not tell. */
export async function pinnedByUs(
  socket: GrpcSocket,
  deadlineMs: number,
): Promise<readonly string[] | undefined> {
  const message = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(`labels."${ourLabel}"==true`)
    .finish();
  const call = { method: `${service}/List`, message, metadata: kubernetes };
  const answer = await socket.call(call, deadlineMs);
  if (answer.kind !== "answered") {
    return undefined;
  }
  const images = readFields(answer.message).get(1) ?? [];
  return images.flatMap((image) =>
    image instanceof Uint8Array ? [textAt(readFields(image), 1)] : [],
  );
}

type Found =
  | {
      readonly kind: "found";
      readonly labels: ReadonlyMap<string, string>;
      /** The descriptor of the image, as it came. */
      readonly target: Uint8Array;
    }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly problem: string };

async function findImage(socket: GrpcSocket, name: string, deadlineMs: number): Promise<Found> {
  const message = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).finish();
  const call = { method: `${service}/Get`, message, metadata: kubernetes };
  const answer = await socket.call(call, deadlineMs);
  if (answer.kind !== "answered") {
    return answer.kind === "refused" && answer.status === notFound
      ? { kind: "absent" }
      : { kind: "failed", problem: answer.problem };
  }
  const [image] = readFields(answer.message).get(1) ?? [];
  const fields = image instanceof Uint8Array ? readFields(image) : undefined;
  const target = fields?.get(3)?.at(-1);
  if (fields === undefined || !(target instanceof Uint8Array)) {
    return { kind: "failed", problem: "its answer tells of no image" };
  }
  const labels = (fields.get(2) ?? []).flatMap((entry) => {
    if (!(entry instanceof Uint8Array)) {
      return [];
    }
    const pair = readFields(entry);
    return [[textAt(pair, 1), textAt(pair, 2)] as const];
  });
  return { kind: "found", labels: new Map(labels), target };
}

/**
 * Changes labels of an image.
 *
 * The mask names each label, so that those of others are not touched, not even by a race. The target is sent
 * although the mask leaves it out: without one containerd ends with a nil pointer (seen with 2.3.7).
 */
async function writeLabels(
  socket: GrpcSocket,
  name: string,
  target: Uint8Array,
  labels: ReadonlyMap<string, string>,
  done: "pinned" | "unpinned",
  deadlineMs: number,
): Promise<PinResult> {
  const image = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
  const mask = new BinaryWriter();
  for (const [key, value] of labels) {
    const entry = new BinaryWriter()
      .tag(1, WireType.LengthDelimited)
      .string(key)
      .tag(2, WireType.LengthDelimited)
      .string(value)
      .finish();
    image.tag(2, WireType.LengthDelimited).bytes(entry);
    mask.tag(1, WireType.LengthDelimited).string(`labels.${key}`);
  }
  image.tag(3, WireType.LengthDelimited).bytes(target);
  const message = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .bytes(image.finish())
    .tag(2, WireType.LengthDelimited)
    .bytes(mask.finish())
    .finish();
  const call = { method: `${service}/Update`, message, metadata: kubernetes };
  const answer = await socket.call(call, deadlineMs);
  return answer.kind === "answered" ? { kind: done } : { kind: "failed", problem: answer.problem };
}
