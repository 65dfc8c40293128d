import { Failure } from "../errors.ts";
import { type GrpcSocket, notFound, openGrpcSocket, type UnaryAnswer } from "./grpc.ts";
import type { StreamEnd } from "./grpc-call.ts";
import { type GrpcStreams, openGrpcStreams } from "./grpc-stream.ts";

/** A container runtime that is asked for more than one message at a time. */
export interface Runtime extends Disposable {
  /** Absolute, for messages. */
  readonly path: string;
  readonly socket: GrpcSocket;
  readonly streams: GrpcStreams;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

/** containerd's own namespace for Kubernetes, and how a call names it. */
export const kubernetesNamespace = { "containerd-namespace": "k8s.io" } as const;
/** How long a single question may take. */
export const answerMs = 30_000;
/** How long nothing may come while a blob is on its way: a disk that is ill syncs slowly. */
export const silenceMs = 60_000;

export const alreadyExists = 6;

/**
 * Opens the runtime that listens on a socket; nothing is sent before the first call.
 *
 * @param path  absolute
 */
export function openRuntime(path: string, signal: AbortSignal): Runtime {
  const socket = openGrpcSocket(path);
  const streams = openGrpcStreams(path);
  const close = () => {
    signal.removeEventListener("abort", close);
    socket[Symbol.dispose]();
    streams[Symbol.dispose]();
  };
  // A question that waits for its answer would otherwise wait on.
  signal.addEventListener("abort", close);
  return { path, socket, streams, signal, [Symbol.dispose]: close };
}

/**
 * Asks containerd one question; undefined where it does not know what was asked for.
 *
 * @param metadata  headers besides the namespace
 * @throws {Failure} E_RUNTIME only when it refuses or does not answer
 */
export async function ask(
  runtime: Runtime,
  method: string,
  message: Uint8Array,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array | undefined> {
  runtime.signal.throwIfAborted();
  const call = { method, message, metadata: { ...kubernetesNamespace, ...metadata } };
  const answer = await runtime.socket.call(call, answerMs);
  if (answer.kind === "answered") {
    return answer.message;
  }
  if (answer.kind === "refused" && answer.status === notFound) {
    return undefined;
  }
  throw unanswered(runtime, method, answer);
}

/** The failure of a call. Throws the signal's reason instead where that has ended it. */
export function unanswered(
  { path, signal }: Runtime,
  method: string,
  answer: Exclude<UnaryAnswer | StreamEnd, { readonly kind: "answered" | "ended" }>,
): Failure {
  signal.throwIfAborted();
  return new Failure("E_RUNTIME", {
    what: `the container runtime does not answer ${method.slice(1)}`,
    where: path,
    found: answer.problem,
    next: "See whether it runs (`systemctl status containerd`)",
  });
}
