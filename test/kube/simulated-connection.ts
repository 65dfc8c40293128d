import type { ApiAnswer, ApiRequest, Connection } from "../../src/kube/api.ts";
import { ApiFailure } from "../../src/kube/api-failure.ts";

/** How an answer goes on after its head. */
export interface Stream {
  readonly request: ApiRequest;
  /** Sends bytes of the body. */
  write(chunk: string | Uint8Array): void;
  /** Ends the body, whole. */
  end(): void;
  /** Breaks it off. */
  cut(failure?: ApiFailure): void;
  /** True once it has ended in any way, the client's leaving included. */
  readonly isOver: boolean;
  /** Called once it is over. */
  onOver: () => void;
}

/** What a server does with a request: answers with a head, or lets it be lost. */
export interface Answering {
  head(status: number, headers: Readonly<Record<string, string>>): Stream;
  lose(): void;
}

/** The client's end of a connection, and what the server can do to it. */
export class SimulatedConnection implements Connection {
  readonly streamLimit: number;
  readonly retired: Promise<void>;
  readonly #retire: () => void;
  readonly #serve: (request: ApiRequest, answering: Answering) => void;
  readonly #open = new Set<(failure: ApiFailure) => void>();
  readonly #onClose: () => void;
  readonly #splitAt: (() => number) | undefined;
  #isRetired = false;
  isClosed = false;
  /** Requests that came though as many as are allowed were open. */
  excess = 0;

  constructor(
    streamLimit: number,
    serve: (request: ApiRequest, answering: Answering) => void,
    onClose: () => void,
    splitAt?: () => number,
  ) {
    this.#splitAt = splitAt;
    this.streamLimit = streamLimit;
    this.#serve = serve;
    this.#onClose = onClose;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.retired = promise;
    this.#retire = resolve;
  }

  /** How many streams are open. */
  get open(): number {
    return this.#open.size;
  }

  async send(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    signal.throwIfAborted();
    if (this.#isRetired) {
      throw lost();
    }
    if (this.#open.size >= this.streamLimit) {
      this.excess += 1;
    }
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>();
    let stream: QueuedStream | undefined;
    const over = () => {
      this.#open.delete(fail);
      signal.removeEventListener("abort", abort);
    };
    const fail = (failure: ApiFailure) => {
      over();
      stream?.cut(failure);
      reject(failure);
    };
    const abort = () => {
      over();
      stream?.leave(signal.reason);
      reject(signal.reason);
    };
    this.#open.add(fail);
    signal.addEventListener("abort", abort, { once: true });
    this.#serve(request, {
      head: (status, headers) => {
        const begun = new QueuedStream(request, over, this.#splitAt);
        stream = begun;
        if (!this.#open.has(fail)) {
          begun.leave(signal.reason);
        }
        resolve({ status, headers, body: begun.body() });
        return begun;
      },
      lose: () => fail(lost()),
    });
    return promise;
  }

  /** Takes nothing new; what is open goes on. */
  goAway(): void {
    this.#isRetired = true;
    this.#retire();
  }

  /** The connection breaks. */
  break(): void {
    this.goAway();
    this.isClosed = true;
    for (const fail of [...this.#open]) {
      fail(lost());
    }
    this.#onClose();
  }

  close(): void {
    this.break();
  }
}

class QueuedStream implements Stream {
  readonly request: ApiRequest;
  readonly #release: () => void;
  #chunks: Uint8Array[] = [];
  #ending: { readonly error?: unknown } | undefined;
  #wake: () => void = () => undefined;
  onOver: () => void = () => undefined;

  readonly #splitAt: (() => number) | undefined;

  constructor(request: ApiRequest, release: () => void, splitAt: (() => number) | undefined) {
    this.#splitAt = splitAt;
    this.request = request;
    this.#release = release;
  }

  get isOver(): boolean {
    return this.#ending !== undefined;
  }

  write(chunk: string | Uint8Array): void {
    if (this.#ending === undefined) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      const at = Math.floor((this.#splitAt?.() ?? 0) * bytes.length);
      this.#chunks.push(...(at > 0 ? [bytes.subarray(0, at), bytes.subarray(at)] : [bytes]));
      this.#wake();
    }
  }

  end(): void {
    this.#finish({});
  }

  cut(failure = lost()): void {
    this.#finish({ error: failure });
  }

  /** The client has gone. */
  leave(reason: unknown): void {
    this.#chunks = [];
    this.#finish({ error: reason });
  }

  async *body(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          yield chunk;
        } else if (this.#ending === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        } else if ("error" in this.#ending) {
          throw this.#ending.error;
        } else {
          return;
        }
      }
    } finally {
      this.#finish({});
    }
  }

  #finish(ending: { readonly error?: unknown }): void {
    if (this.#ending === undefined) {
      this.#ending = ending;
      this.#release();
      this.onOver();
      this.#wake();
    }
  }
}

/** What a connection's loss looks like. */
export function lost(): ApiFailure {
  return new ApiFailure("E_API_UNREACHABLE", { what: "the simulated connection is lost" });
}
