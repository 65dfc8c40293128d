import { Failure } from "../errors.ts";
import type { ApiAnswer, ApiRequest, Connection, Dial } from "./api.ts";
import { ApiFailure } from "./api-failure.ts";
import { backoffMs, type Growth } from "./backoff.ts";
import { type Clock, steadyTime } from "./clock.ts";
import { closeLine, hasRoom, type Line, releasing } from "./line.ts";
import { Turns } from "./turns.ts";

/** How a request is let through. */
export interface Ticket {
  /** A watch keeps its stream; a request gives it back at once. */
  readonly kind: "watch" | "request";
  /** What is asked first when everything is asked anew. */
  readonly urgent: boolean;
  /** True when it follows on an answer that has just come, as a list's next page: its turn goes on. */
  readonly continues?: boolean;
}

/** What those who ask see of the connections. */
export interface Api {
  /**
   * Sends a request over a connection with room, when its turn has come.
   *
   * The stream is given back once the answer's body has ended or `signal` is aborted.
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
  /** Over how long what is asked anew after an outage is spread, milliseconds for each watch; 0 for not at all. */
  readonly spreadMs?: number;
  /** Hears each failure to connect, and each connection. */
  readonly onDial?: (failure: Failure | undefined) => void;
}

/** Between dials; the most is short, for the first minute of a control plane is when a capture is wanted. */
const redial: Growth = { firstMs: 1_000, mostMs: 15_000 };
/** A connection that was lost sooner counts as a dial that failed: asking at once would be a loop. */
const steadyMs = 5_000;
/**
 * As few connections to one apiserver as its stream limit allows: one, unless there are more watches than that.
 *
 * A lost connection is dialled again at once, then with growing waits. When every node's requests may come back
 * together, each waits for its turn: see `Turns`.
 */
export class Connections implements Api {
  readonly #options: ConnectionsOptions;
  readonly #now: () => number;
  readonly #turns: Turns;
  readonly #lines = new Set<Line>();
  readonly #closed = new AbortController();
  #dialing: Promise<void> | undefined;
  /** Dials in a row that failed, or whose connection was soon lost. */
  #failures = 0;
  /** No dial before that. */
  #dialFrom: number;

  constructor(options: ConnectionsOptions) {
    const { clock, crowded, spreadMs } = options;
    this.#options = options;
    this.#now = steadyTime(clock);
    this.#turns = new Turns(clock, { crowded, spreadMs });
    this.#dialFrom = this.#now() + this.#turns.firstDialMs();
  }

  /** How many connections are open. */
  get size(): number {
    return this.#lines.size;
  }

  /** Tells how many watches there are to be, for the spread after an outage. */
  expect(watches: number): void {
    this.#turns.expect(watches);
  }

  async send(request: ApiRequest, ticket: Ticket, signal: AbortSignal): Promise<ApiAnswer> {
    const line = await this.#admit(ticket, signal);
    let isOpen = true;
    const release = (): void => {
      if (isOpen) {
        isOpen = false;
        signal.removeEventListener("abort", release);
        this.#release(line);
      }
    };
    // Nobody has to read the body.
    signal.addEventListener("abort", release, { once: true });
    try {
      const answer = await line.connection.send(request, signal);
      const isWatch = ticket.kind === "watch" && answer.status === 200;
      const body = releasing(answer.body, () => {
        if (isWatch && !signal.aborted && !line.isClosedHere) {
          this.#turns.watchEnded();
        }
        release();
      });
      return { ...answer, body };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Ends every connection; the next request dials anew, with the credentials as they are then. */
  reconnect(): void {
    for (const line of this.#lines) {
      closeLine(line);
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
    for (let isDue = ticket.continues === true; ; ) {
      both.throwIfAborted();
      if (this.#usable().length === 0) {
        isDue = false;
      } else if (!isDue) {
        await this.#turns.wait(ticket, both);
        isDue = true;
      }
      const line = this.#usable().find((one) => hasRoom(one, ticket.kind));
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

  #usable(): readonly Line[] {
    return [...this.#lines].filter(({ isRetired }) => !isRetired);
  }

  async #dial(): Promise<void> {
    const { dial, clock, attempts, onDial } = this.#options;
    const { signal } = this.#closed;
    for (let attempt = 1; ; attempt += 1) {
      const wait = this.#dialFrom - this.#now();
      if (wait > 0) {
        await clock.sleep(wait, signal);
      }
      try {
        const connection = await dial(signal);
        this.#adopt(connection);
        onDial?.(undefined);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof Failure)) {
          throw error;
        }
        onDial?.(error);
        this.#turns.outage();
        this.#failed(error instanceof ApiFailure ? error.retryAfterMs : undefined);
        const isFinal = error instanceof ApiFailure ? !error.isTransient : true;
        if (attempts !== Number.POSITIVE_INFINITY && (attempt >= attempts || isFinal)) {
          throw error;
        }
      }
    }
  }

  #failed(retryAfterMs?: number): void {
    this.#failures += 1;
    const random = this.#options.clock.random();
    this.#dialFrom = this.#now() + backoffMs(this.#failures, redial, random, retryAfterMs);
  }

  #adopt(connection: Connection): void {
    const since = this.#now();
    const line: Line = { connection, since, open: 0, isRetired: false, isClosedHere: false };
    this.#lines.add(line);
    void connection.retired.then(() => this.#retire(line));
    if (this.#closed.signal.aborted) {
      closeLine(line);
      this.#closed.signal.throwIfAborted();
    }
    this.#turns.connected();
  }

  #retire(line: Line): void {
    line.isRetired = true;
    if (!line.isClosedHere) {
      if (this.#now() - line.since < steadyMs) {
        this.#failed();
      } else {
        this.#failures = 0;
      }
    }
    this.#drop(line);
  }

  #release(line: Line): void {
    line.open -= 1;
    const others = this.#usable().filter((one) => one !== line);
    // A further connection is kept no longer than it is needed.
    if (line.open === 0 && others.some((one) => hasRoom(one, "watch"))) {
      closeLine(line);
    }
    this.#drop(line);
  }

  #drop(line: Line): void {
    if (line.isRetired && line.open === 0 && this.#lines.delete(line)) {
      closeLine(line);
    }
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
