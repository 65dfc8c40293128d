import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import type { UnaryAnswer, UnaryCall } from "./grpc.ts";
import { GrpcCall, type Patience, type StreamCall, type StreamEnd } from "./grpc-call.ts";
import { problemOf } from "./grpc-words.ts";

/**
 * A server on a Unix socket, for calls of many messages. At most a message and HTTP/2's window are in memory,
 * however long the whole is.
 */
export interface GrpcStreams extends Disposable {
  /**
   * Calls a method that answers with many messages. The next one is taken from the server when `take` is done.
   *
   * What `take` throws ends the call and is thrown.
   */
  readonly receive: (
    call: UnaryCall,
    take: (message: Uint8Array) => Promise<void>,
    patience: Patience,
  ) => Promise<StreamEnd>;
  /**
   * Calls a method that answers each message with one, and gives its last answer. The next message is asked for
   * when the one before has been answered.
   *
   * What `messages` throws ends the call and is thrown.
   */
  readonly exchange: (
    call: StreamCall,
    messages: AsyncIterable<Uint8Array>,
    patience: Patience,
  ) => Promise<UnaryAnswer>;
}

/** What the server may send before it is told that we have taken it. */
const windowBytes = 1 << 20;

/**
 * Opens a gRPC connection for streams over a Unix socket.
 *
 * Source: https://github.com/grpc/grpc/blob/v1.75.0/doc/PROTOCOL-HTTP2.md.
 *
 * @param path  absolute
 */
export function openGrpcStreams(path: string): GrpcStreams {
  const session = connectHttp2("http://localhost", {
    createConnection: () => connectSocket(path),
    settings: { initialWindowSize: windowBytes, enablePush: false },
  });
  let broken: string | undefined;
  session.once("connect", () => session.setLocalWindowSize(windowBytes));
  session.once("error", (error) => {
    broken ??= problemOf(error);
  });
  session.once("close", () => {
    broken ??= "it has closed the connection";
  });
  const open = (call: StreamCall, patience: Patience) =>
    broken === undefined && !session.destroyed
      ? new GrpcCall(
          session.request({
            ":method": "POST",
            ":path": call.method,
            "content-type": "application/grpc",
            te: "trailers",
            ...call.metadata,
          }),
          patience,
          () => broken,
        )
      : undefined;
  const unreachable = () =>
    ({ kind: "unreachable", problem: broken ?? "it has closed the connection" }) as const;

  return {
    async receive(call, take, patience) {
      using stream = open(call, patience);
      if (stream === undefined) {
        return unreachable();
      }
      stream.send(call.message);
      stream.finish();
      for (;;) {
        const next = await stream.next();
        if (!(next instanceof Uint8Array)) {
          return next;
        }
        await take(next);
      }
    },

    async exchange(call, messages, patience) {
      using stream = open(call, patience);
      if (stream === undefined) {
        return unreachable();
      }
      let last: Uint8Array | undefined;
      for await (const message of messages) {
        stream.send(message);
        const next = await stream.next();
        if (!(next instanceof Uint8Array)) {
          return next.kind === "ended" ? tooEarly : next;
        }
        last = next;
      }
      stream.finish();
      for (;;) {
        const next = await stream.next();
        if (next instanceof Uint8Array) {
          last = next;
        } else if (next.kind !== "ended") {
          return next;
        } else {
          return last === undefined ? tooEarly : { kind: "answered", message: last };
        }
      }
    },

    [Symbol.dispose]: () => session.destroy(),
  };
}

const tooEarly = { kind: "unreachable", problem: "it has ended the call too early" } as const;
