import { Failure } from "../errors.ts";
import type { ApiAnswer, ApiRequest, Connection, Dial } from "./api.ts";
import { ApiFailure } from "./api-failure.ts";
import { backoffMs, type Growth } from "./backoff.ts";
import type { Clock } from "./clock.ts";

/** How a request is let through. */
export interface Ticket {
  /** A watch keeps its stream; a request gives it back at once. */
  readonly kind: "watch" | "request";
  /** What is asked first when everything is asked anew. */
  readonly urgent: boolean;
}

/** What those who ask see of the connections. */
export interface Api {
  /**
   * Sends a request over a connection with room, when its turn has come.
   *
   * @throws {ApiFailure} E_API_UNREACHABLE only when the connection is lost before the answer; what `Dial` throws
   *   only when the connections are impatient; the signal's reason
   */
  send(request: ApiRequest, ticket: Ticket, signal: AbortSignal): Promise<ApiAnswer>;
}

export interface ConnectionsOptions {
  readonly dial: Dial;
  readonly clock: Clock;
  /** Dials in a row before those who wait are told of the failure; `Infinity` where the wait has no end. */
  readonly attempts: number;
  /** True when many nodes may be starting with this one, as after a power cut. */
  readonly crowded: boolean;
  /** Over how long what is asked anew after an outage is spread, milliseconds for each watch. */
  readonly spreadMs?: number;
  /** Hears each failure to connect, and each connection. */
  readonly onDial?: (failure: Failure | undefined) => void;
}

/** Between dials; the most is short, for the first minute of a control plane is when a capture is wanted. */
const redial: Growth = { firstMs: 1_000, mostMs: 30_000 };
/** Streams of each connection that no watch may take. */
const reserved = 4;
/** Between two watches or lists of one node, milliseconds. */
const paceMs = 20;
const urgentSpreadMs = 10_000;
const mostSpreadMs = 300_000;

interface Line {
  readonly connection: Connection;
  open: number;
  retired: boolean;
}

/**
 * As few connections to one apiserver as its stream limit allows: one, unless there are more watches than that.
 *
 * A lost connection is dialled again at once, then with growing waits. **After an outage** (a dial failed, or
 * the node has only just booted) every node's requests come back together, so each waits its random share: urgent
 * ones up to 10 s, others up to `spreadMs` for each watch there was, at most 5 min.
 */
export class Connections implements Api {
  readonly #options: ConnectionsOptions;
  readonly #lines = new Set<Line>();
  #dialing: Promise<void> | undefined;
  readonly #closed = new AbortController();
  #failures = 0;
  #outage: boolean;
  /** When the last outage ended. */
  #backAt = Number.NEGATIVE_INFINITY;
  #nextStart = 0;
  #expected = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#outage = options.crowded;
  }

  /** How many connections are open. */
  get size(): number {
    return this.#lines.size;
  }

  /** Tells how many watches there are to be, for the spread after an outage. */
  expect(watches: number): void {
    this.#expected = watches;
  }

  async send(request: ApiRequest, ticket: Ticket, signal: AbortSignal): Promise<ApiAnswer> {
    const line = await this.#admit(ticket, signal);
    let released = false;
    const release = (): void => {
      if (!released) {
        released = true;
        line.open -= 1;
      }
    };
    try {
      const answer = await line.connection.send(request, signal);
      return { ...answer, body: releasing(answer.body, release) };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Ends every connection; the next request dials anew, with the credentials as they are then. */
  reconnect(): void {
    for (const { connection } of this.#lines) {
      connection.close();
    }
  }

  /** Ends everything; whatever waits is rejected. */
  close(): void {
    this.#closed.abort(new ApiFailure("E_API_UNREACHABLE", { what: "the connections are closed" }));
    this.reconnect();
  }

  /** Waits for a turn and a connection with room, and takes the stream. */
  async #admit(ticket: Ticket, signal: AbortSignal): Promise<Line> {
    const both = AbortSignal.any([signal, this.#closed.signal]);
    for (;;) {
      await this.#turn(ticket, both);
      const line = this.#free(ticket);
      if (line !== undefined) {
        line.open += 1;
        return line;
      }
      this.#dialing ??= this.#dial().finally(() => {
        this.#dialing = undefined;
      });
      await untilAborted(this.#dialing, both);
    }
  }

  async #turn({ urgent }: Ticket, signal: AbortSignal): Promise<void> {
    const { clock, spreadMs = 1_500 } = this.#options;
    const now = clock.now();
    const spread = Math.min(spreadMs * Math.max(this.#expected, 1), mostSpreadMs);
    const left = Math.min(
      this.#backAt + (urgent ? Math.min(spread, urgentSpreadMs) : spread) - now,
      spread,
    );
    if (left > 0 && this.#lines.size > 0) {
      await clock.sleep(clock.random() * left, signal);
    } else if (!urgent) {
      const start = Math.max(now, Math.min(this.#nextStart, now + mostSpreadMs));
      this.#nextStart = start + paceMs;
      if (start > now) {
        await clock.sleep(start - now, signal);
      }
    }
    signal.throwIfAborted();
  }

  #free({ kind }: Ticket): Line | undefined {
    const room = (line: Line) =>
      line.connection.streamLimit - line.open - (kind === "watch" ? reservedOf(line) : 0);
    return [...this.#lines].find((line) => !line.retired && room(line) > 0);
  }

  async #dial(): Promise<void> {
    const { dial, clock, attempts, onDial } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#adopt(await dial(this.#closed.signal));
        onDial?.(undefined);
        return;
      } catch (error) {
        this.#closed.signal.throwIfAborted();
        if (!(error instanceof Failure)) {
          throw error;
        }
        onDial?.(error);
        this.#outage = true;
        this.#failures += 1;
        const isFinal = error instanceof ApiFailure ? !error.isTransient : true;
        if (attempts !== Number.POSITIVE_INFINITY && (attempt >= attempts || isFinal)) {
          throw error;
        }
        const asked = error instanceof ApiFailure ? error.retryAfterMs : undefined;
        await clock.sleep(
          backoffMs(this.#failures, redial, clock.random(), asked),
          this.#closed.signal,
        );
      }
    }
  }

  #adopt(connection: Connection): void {
    const line: Line = { connection, open: 0, retired: false };
    this.#lines.add(line);
    void connection.retired.then(() => {
      line.retired = true;
      this.#lines.delete(line);
    });
    this.#failures = 0;
    if (this.#outage) {
      this.#outage = false;
      this.#backAt = this.#options.clock.now();
    }
  }
}

function reservedOf({ connection }: Line): number {
  return Math.min(reserved, Math.floor(connection.streamLimit / 2));
}

/** The body as it is; `release` is called once it has ended, however it ends. */
async function* releasing(
  body: AsyncIterable<Uint8Array>,
  release: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    release();
  }
}

/** Rejects with the signal's reason where that comes first. */
async function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
