import { type ClientHttp2Stream, constants } from "node:http2";
import type { UnaryAnswer, UnaryCall } from "./grpc.ts";
import { headerText, problemOf, refusalOf } from "./grpc-words.ts";

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

/** Longer messages are none: containerd sends 32 KiB of a blob at a time. */
const longestBytes = 16 << 20;
const headBytes = 5;

/** One call of many messages that is under way; when it is disposed of, it ends. */
export class GrpcCall implements Disposable {
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
      this.#status = headerText(headers["grpc-status"]) ?? this.#status;
      this.#words = headerText(headers["grpc-message"]) ?? this.#words;
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

  /** Sends a message, uncompressed. */
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
      const problem = refusalOf(this.#words);
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
