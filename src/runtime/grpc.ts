import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import { headerText, problemOf, refusalOf } from "./grpc-words.ts";

/** One call of a gRPC service that takes one message and answers one. */
export interface UnaryCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly message: Uint8Array;
  /** Further headers, such as containerd's namespace. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * What came of a call. `refused`: the server has answered, with a status of gRPC (5 is NOT_FOUND). `unreachable`:
 * nobody answers there, or not in time.
 *
 * Source of the numbers: https://grpc.github.io/grpc/core/md_doc_statuscodes.html.
 */
export type UnaryAnswer =
  | { readonly kind: "answered"; readonly message: Uint8Array }
  | { readonly kind: "refused"; readonly status: number; readonly problem: string }
  | { readonly kind: "unreachable"; readonly problem: string };

/** A server that listens on a Unix socket; a connection is made for the first call and kept. */
export interface GrpcSocket extends Disposable {
  readonly call: (call: UnaryCall, deadlineMs: number) => Promise<UnaryAnswer>;
}

export const notFound = 5;

/** Longer answers are no answer: the largest one that is asked for tells of one node's images. */
const longestBytes = 16 << 20;

/**
 * Opens a gRPC connection over a Unix socket. Nothing is sent before the first call.
 *
 * Source: https://github.com/grpc/grpc/blob/v1.75.0/doc/PROTOCOL-HTTP2.md.
 *
 * @param path  absolute
 */
export function openGrpcSocket(path: string): GrpcSocket {
  const session = connectHttp2("http://localhost", {
    createConnection: () => connectSocket(path),
  });
  let broken: string | undefined;
  const listeners = new Set<() => void>();
  const end = (problem: string) => {
    broken ??= problem;
    for (const tell of [...listeners]) {
      tell();
    }
  };
  session.once("error", (error) => end(problemOf(error)));
  session.once("close", () => end("it has closed the connection"));

  const call = ({ method, message, metadata }: UnaryCall, deadlineMs: number) =>
    new Promise<UnaryAnswer>((resolve) => {
      const unreachable = () =>
        finish({ kind: "unreachable", problem: broken ?? "it has closed the connection" });
      // `closed`: it has said goodbye, and takes no more calls on a connection that is still open.
      if (broken !== undefined || session.closed) {
        resolve({ kind: "unreachable", problem: broken ?? "it is about to close the connection" });
        return;
      }
      const stream = session.request({
        ":method": "POST",
        ":path": method,
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-timeout": `${Math.ceil(deadlineMs)}m`,
        ...metadata,
      });
      const timer = setTimeout(
        () => finish({ kind: "unreachable", problem: `no answer within ${deadlineMs / 1000} s` }),
        deadlineMs,
      );
      const finish = (answer: UnaryAnswer) => {
        clearTimeout(timer);
        listeners.delete(unreachable);
        if (!stream.closed) {
          stream.close(constants.NGHTTP2_CANCEL);
        }
        resolve(answer);
      };
      listeners.add(unreachable);

      const chunks: Buffer[] = [];
      let length = 0;
      let status: string | undefined;
      let words: string | undefined;
      const read = (headers: Readonly<Record<string, unknown>>) => {
        status = headerText(headers["grpc-status"]) ?? status;
        words = headerText(headers["grpc-message"]) ?? words;
      };
      // An error comes without a body, and then its status among the first headers.
      stream.once("response", read);
      stream.once("trailers", read);
      stream.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > longestBytes) {
          finish({ kind: "unreachable", problem: "its answer does not end" });
        }
      });
      stream.once("error", (error) =>
        finish({ kind: "unreachable", problem: broken ?? problemOf(error) }),
      );
      stream.once("close", () => finish(judge(status, words, Buffer.concat(chunks))));
      stream.end(frame(message));
    });

  return {
    call,
    [Symbol.dispose]: () => session.destroy(),
  };
}

function judge(status: string | undefined, words: string | undefined, body: Buffer): UnaryAnswer {
  if (status === undefined) {
    return { kind: "unreachable", problem: "its answer is not gRPC" };
  }
  if (status !== "0") {
    const problem = refusalOf(words ?? "");
    return { kind: "refused", status: Number(status), problem };
  }
  const message = unframe(body);
  return message === undefined
    ? { kind: "unreachable", problem: "its answer is cut off" }
    : { kind: "answered", message };
}

/** One byte that says uncompressed, four of length, the message. */
function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function unframe(body: Buffer): Uint8Array | undefined {
  const isWhole = body.length >= 5 && body[0] === 0 && body.readUInt32BE(1) === body.length - 5;
  return isWhole ? body.subarray(5) : undefined;
}
