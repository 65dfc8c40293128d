import { type ClientHttp2Stream, connect as connectHttp2, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import type { UnaryAnswer, UnaryCall } from "./grpc.ts";

/** How a stream of messages ended. `refused` and `unreachable` as in `UnaryAnswer`. */
export type StreamEnd =
  | { readonly kind: "ended" }
  | Exclude<UnaryAnswer, { readonly kind: "answered" }>;

/** A call whose messages are sent one after the other. */
export type StreamCall = Omit<UnaryCall, "message">;

/** When a call is given up. */
export interface Patience {
  /** The longest time without a byte in either direction. */
  readonly silenceMs: number;
  /** Ends the call at once. */
  readonly signal: AbortSignal;
}

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
/** Longer messages are none: containerd sends 32 KiB of a blob at a time. */
const longestBytes = 16 << 20;
const headBytes = 5;

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
      ? new Stream(
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

/** One call under way. */
class Stream implements Disposable {
  readonly #http: ClientHttp2Stream;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #broken: () => string | undefined;
  readonly #signal: AbortSignal;
  #buffer: Buffer = Buffer.alloc(0);
  #status: string | undefined;
  #words = "";
  #givenUp: string | undefined;

  constructor(
    http: ClientHttp2Stream,
    { silenceMs, signal }: Patience,
    broken: () => string | undefined,
  ) {
    this.#http = http;
    this.#broken = broken;
    this.#signal = signal;
    const read = (headers: Readonly<Record<string, unknown>>) => {
      this.#status = textOf(headers["grpc-status"]) ?? this.#status;
      this.#words = textOf(headers["grpc-message"]) ?? this.#words;
    };
    // A refusal comes without a body, and then its status among the first headers.
    http.once("response", read);
    http.once("trailers", read);
    http.setTimeout(silenceMs, () => this.#giveUp(`no answer within ${silenceMs / 1000} s`));
    signal.addEventListener("abort", this.#stop);
    // The iterator tells of errors; without a listener one that comes between two reads would end the process.
    http.on("error", () => undefined);
    this.#chunks = http[Symbol.asyncIterator]();
    if (signal.aborted) {
      this.#stop();
    }
  }

  send(message: Uint8Array): void {
    if (this.#http.writable) {
      const head = Buffer.alloc(headBytes);
      head.writeUInt32BE(message.length, 1);
      this.#http.write(head);
      this.#http.write(message);
    }
  }

  /** Nothing more is sent. */
  finish(): void {
    if (this.#http.writable) {
      this.#http.end();
    }
  }

  /** The next message, or how the stream has ended. */
  async next(): Promise<Uint8Array | StreamEnd> {
    for (;;) {
      const length = this.#buffer.length < headBytes ? undefined : this.#buffer.readUInt32BE(1);
      if (length !== undefined && (length > longestBytes || this.#buffer[0] !== 0)) {
        return { kind: "unreachable", problem: "its answer is not gRPC" };
      }
      if (length !== undefined && this.#buffer.length >= headBytes + length) {
        const message = this.#buffer.subarray(headBytes, headBytes + length);
        this.#buffer = this.#buffer.subarray(headBytes + length);
        return message;
      }
      let chunk: IteratorResult<Buffer>;
      try {
        chunk = await this.#chunks.next();
      } catch (error) {
        const seen = error instanceof Error ? problemOf(error) : String(error);
        return { kind: "unreachable", problem: this.#givenUp ?? this.#broken() ?? seen };
      }
      if (chunk.done === true) {
        return this.#end();
      }
      this.#buffer =
        this.#buffer.length === 0 ? chunk.value : Buffer.concat([this.#buffer, chunk.value]);
    }
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#stop);
    if (!this.#http.closed) {
      this.#http.close(constants.NGHTTP2_CANCEL);
    }
  }

  #end(): StreamEnd {
    if (this.#status === undefined) {
      const problem = this.#givenUp ?? this.#broken() ?? "its answer is not gRPC";
      return { kind: "unreachable", problem };
    }
    if (this.#status !== "0") {
      const problem = decode(this.#words) || "it gives no reason";
      return { kind: "refused", status: Number(this.#status), problem };
    }
    return this.#buffer.length === 0
      ? { kind: "ended" }
      : { kind: "unreachable", problem: "its answer is cut off" };
  }

  readonly #stop = (): void => this.#giveUp("stopped");

  #giveUp(problem: string): void {
    this.#givenUp ??= problem;
    this.#http.destroy();
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The message of a status is percent-encoded. */
function decode(words: string): string {
  try {
    return decodeURIComponent(words);
  } catch {
    return words;
  }
}

function problemOf(error: Error): string {
  const code: unknown = Reflect.get(error, "code");
  switch (code) {
    case "ENOENT":
      return "there is no such socket";
    case "ECONNREFUSED":
      return "nobody listens there";
    case "EACCES":
      return "permission denied";
    case "ERR_STREAM_PREMATURE_CLOSE":
      return "it has closed the connection";
    default:
      return typeof code === "string" ? code : error.message;
  }
}
