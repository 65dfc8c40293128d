import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Failure } from "../errors.ts";
import { type GrpcSocket, notFound } from "./grpc.ts";

/**
 * An image as the runtime knows it.
 *
 * Source: k8s.io/cri-api v0.37.2 `pkg/apis/runtime/v1/api.proto`, message Image.
 */
export interface RuntimeImage {
  /** `sha256:…` of its configuration; what the kubelet's pull records name. */
  readonly id: string;
  readonly repoTags: readonly string[];
  /** `registry/repository@sha256:…`; none for an image that was imported. */
  readonly repoDigests: readonly string[];
  /** Bytes. */
  readonly size: number;
  /** Kept from garbage collection. */
  readonly pinned: boolean;
}

/** What is known of an image. */
export type ImageFinding =
  | { readonly kind: "present"; readonly image: RuntimeImage }
  | { readonly kind: "absent" }
  /** The runtime does not tell. */
  | { readonly kind: "unknown"; readonly problem: string };

const service = "/runtime.v1.ImageService";

/**
 * Asks the runtime for an image by its name, digest or id.
 *
 * @param name  as in a pod's spec
 */
export async function imageStatus(
  socket: GrpcSocket,
  name: string,
  deadlineMs: number,
): Promise<ImageFinding> {
  const spec = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).finish();
  const message = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(spec).finish();
  const answer = await socket.call({ method: `${service}/ImageStatus`, message }, deadlineMs);
  if (answer.kind !== "answered") {
    return answer.kind === "refused" && answer.status === notFound
      ? { kind: "absent" }
      : { kind: "unknown", problem: answer.problem };
  }
  try {
    const [image] = readFields(answer.message).get(1) ?? [];
    // An image that is not there is an answer without one.
    return image instanceof Uint8Array
      ? { kind: "present", image: readImage(image) }
      : { kind: "absent" };
  } catch {
    return { kind: "unknown", problem: "its answer cannot be read" };
  }
}

/** Name and version of the runtime: `containerd v2.3.7`. Undefined when it does not tell. */
export async function runtimeVersion(
  socket: GrpcSocket,
  deadlineMs: number,
): Promise<{ readonly name: string; readonly version: string } | undefined> {
  const method = "/runtime.v1.RuntimeService/Version";
  const answer = await socket.call({ method, message: new Uint8Array() }, deadlineMs);
  if (answer.kind !== "answered") {
    return undefined;
  }
  try {
    const fields = readFields(answer.message);
    return { name: textAt(fields, 2), version: textAt(fields, 3) };
  } catch {
    return undefined;
  }
}

function readImage(bytes: Uint8Array): RuntimeImage {
  const fields = readFields(bytes);
  const texts = (field: number) => (fields.get(field) ?? []).map(textOf);
  return {
    id: textAt(fields, 1),
    repoTags: texts(2),
    repoDigests: texts(3),
    size: Number(fields.get(4)?.at(-1) ?? 0),
    pinned: Number(fields.get(8)?.at(-1) ?? 0) !== 0,
  };
}

type Fields = ReadonlyMap<number, readonly (Uint8Array | number | bigint)[]>;

/**
 * The fields of a message by number: bytes of the length-delimited, numbers of the varints; others are passed over.
 *
 * @throws {Failure} E_RUNTIME only when it is no message, or is cut off
 */
export function readFields(bytes: Uint8Array): Fields {
  const fields = new Map<number, (Uint8Array | number | bigint)[]>();
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      const values = fields.get(field) ?? [];
      fields.set(field, values);
      if (type === WireType.LengthDelimited) {
        values.push(reader.bytes());
      } else if (type === WireType.Varint) {
        values.push(BigInt(reader.uint64()));
      } else {
        reader.skip(type, field);
      }
    }
  } catch (error) {
    throw unreadable(error);
  }
  return fields;
}

/** Pure. The failure of reading a message: the library's own errors are of several kinds. */
export function unreadable(cause: unknown): Failure {
  return new Failure(
    "E_RUNTIME",
    {
      what: "an answer of the container runtime cannot be read",
      found: cause instanceof Error ? cause.message : "it is no message",
      next: "See whether it runs (`systemctl status containerd`)",
    },
    { cause },
  );
}

/** The text of a field; the last counts, and one that is missing is empty. */
export function textAt(fields: Fields, field: number): string {
  const value = fields.get(field)?.at(-1);
  return value === undefined ? "" : textOf(value);
}

function textOf(value: Uint8Array | number | bigint): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : String(value);
}
