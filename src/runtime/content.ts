import { Failure } from "../errors.ts";
import { notFound } from "./grpc.ts";
import { bytesIn, encodeMessage, mapIn, messageAt, numberIn } from "./message.ts";
import {
  alreadyExists,
  ask,
  kubernetesNamespace,
  type Runtime,
  silenceMs,
  unanswered,
} from "./runtime.ts";

/*
 * Blobs of containerd's content store.
 * Source: containerd 2.3.7 `api/services/content/v1/content.proto`, `plugins/services/content/contentserver`.
 */

const service = "/containerd.services.content.v1.Content";

/** `WriteAction` of content.proto. */
const write = 1n;
const commit = 2n;

/** A blob as containerd's database has it. */
export interface ContentInfo {
  /** Bytes. */
  readonly size: number;
  readonly labels: ReadonlyMap<string, string>;
}

/**
 * What the database says of a blob; undefined for none. Whether its file is there this does not tell.
 *
 * @throws {Failure} E_RUNTIME
 */
export async function contentInfo(
  runtime: Runtime,
  digest: string,
): Promise<ContentInfo | undefined> {
  const answer = await ask(runtime, `${service}/Info`, encodeMessage([1, digest]));
  const info = answer === undefined ? undefined : messageAt(answer, 1);
  return info === undefined ? undefined : { size: numberIn(info, 2), labels: mapIn(info, 5) };
}

/**
 * Reads a blob from a place on, piece by piece. False when containerd has no such blob, or no file of it.
 *
 * @throws {Failure} E_RUNTIME, and what `take` throws
 */
export async function readContent(
  runtime: Runtime,
  { digest, offset = 0 }: { readonly digest: string; readonly offset?: number },
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<boolean> {
  runtime.signal.throwIfAborted();
  const method = `${service}/Read`;
  const message = encodeMessage([1, digest], [2, BigInt(offset)]);
  const end = await runtime.streams.receive(
    { method, message, metadata: kubernetesNamespace },
    (answer) => take(bytesIn(answer, 2)),
    { silenceMs, signal: runtime.signal },
  );
  if (end.kind === "ended") {
    return true;
  }
  if (end.kind === "refused" && (end.status === notFound || end.status === outOfRange)) {
    return false;
  }
  throw unanswered(runtime, method, end);
}

const outOfRange = 11;

/**
 * Writes a blob and commits it; containerd checks the digest and the size once more. One that is there stays.
 *
 * **The commit point** is containerd's own; it comes after the last piece, so what `pieces` throws leaves nothing.
 *
 * @throws {Failure} E_RUNTIME, E_DIGEST only when containerd finds another digest or size; what `pieces` throws
 */
export async function writeContent(
  runtime: Runtime,
  blob: {
    readonly digest: string;
    readonly size: number;
    readonly labels: ReadonlyMap<string, string>;
    readonly lease: string;
  },
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  runtime.signal.throwIfAborted();
  const method = `${service}/Write`;
  // As `ctr images import` and the kubelet's pulls have it, one for each blob.
  const ref = `blackstart-${blob.digest}`;
  const total = BigInt(blob.size);
  async function* requests() {
    let offset = 0n;
    for await (const piece of pieces) {
      const at = offset === 0n ? [] : [[5, offset] as const];
      yield encodeMessage([1, write], [2, ref], [3, total], ...at, [6, piece]);
      offset += BigInt(piece.length);
    }
    const at = offset === 0n ? [] : [[5, offset] as const];
    yield encodeMessage([1, commit], [2, ref], [3, total], [4, blob.digest], ...at, [
      7,
      blob.labels,
    ]);
  }
  const metadata = { ...kubernetesNamespace, "containerd-lease": blob.lease };
  const patience = { silenceMs, signal: runtime.signal };
  try {
    const answer = await runtime.streams.exchange({ method, metadata }, requests(), patience);
    if (answer.kind === "answered") {
      return;
    }
    if (answer.kind === "refused" && answer.status === alreadyExists) {
      return;
    }
    if (answer.kind === "refused" && answer.status === failedPrecondition) {
      throw new Failure("E_DIGEST", {
        what: "the container runtime takes a blob for another",
        where: blob.digest,
        found: answer.problem,
        next: "Run `blackstart images archive` while the image is whole",
      });
    }
    throw unanswered(runtime, method, answer);
  } catch (error) {
    await abort(runtime, ref);
    throw error;
  }
}

const failedPrecondition = 9;

/** What was written and not committed is let go; containerd does it by itself after a day. */
async function abort({ socket }: Runtime, ref: string): Promise<void> {
  const call = {
    method: `${service}/Abort`,
    message: encodeMessage([1, ref]),
    metadata: kubernetesNamespace,
  };
  await socket.call(call, abortMs);
}

const abortMs = 5_000;

/** Takes a blob out of the database; its file goes with the next garbage collection. @throws {Failure} E_RUNTIME */
export async function deleteContent(runtime: Runtime, digest: string): Promise<void> {
  await ask(runtime, `${service}/Delete`, encodeMessage([1, digest]));
}
