import { type Clock, steadyTime } from "./clock.ts";

/** When a node's requests may come, so that thousands of nodes do not ask at one moment. */
export interface TurnsOptions {
  /** True when many nodes may be starting with this one. */
  readonly crowded: boolean;
  /** For each watch, milliseconds; 0 for no spread at all. */
  readonly spreadMs?: number | undefined;
}

/** Between two watches or lists of one node, milliseconds. */
const paceMs = 20;
/** For the pods of the node: few requests, and nothing else can begin without them. */
const urgentSpreadMs = 10_000;
const leastSpreadMs = 10_000;
const mostSpreadMs = 600_000;
/** Of the whole spread, where what was lost can be resumed: one request for each watch instead of three. */
const resumeShare = 0.25;
/** So many watches that end within a second have ended for one reason, and not on this node alone. */
const burst = 3;
const burstMs = 1_000;

/**
 * Gives each request of a node its turn.
 *
 * **After an outage** (a dial failed, or the node has only just booted) every node's requests come back together,
 * so each waits its random share of a time that grows with the watches that there are: urgent ones up to 10 s,
 * others up to 10 min. When many watches have ended at once and the server is still there, the same in a quarter of
 * the time. Otherwise requests that are not urgent keep a little distance from one another.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #now: () => number;
  readonly #crowded: boolean;
  readonly #spreadMs: number;
  #expected = 0;
  /** What the next connection begins with. */
  #nextShare: number;
  /** Since when requests are spread, and over what share of the whole time. */
  #since = Number.NEGATIVE_INFINITY;
  #share = 0;
  #nextStart = Number.NEGATIVE_INFINITY;
  #ended = 0;
  #endedSince = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, { crowded, spreadMs = 2_500 }: TurnsOptions) {
    this.#clock = clock;
    this.#now = steadyTime(clock);
    this.#crowded = crowded;
    this.#spreadMs = spreadMs;
    this.#nextShare = crowded ? 1 : 0;
  }

  /** Tells how many watches there are to be. */
  expect(watches: number): void {
    this.#expected = watches;
  }

  /** How long the first dial waits: nodes that got power together. */
  firstDialMs(): number {
    return this.#crowded && this.#spreadMs > 0 ? this.#clock.random() * urgentSpreadMs : 0;
  }

  /** There is no server. */
  outage(): void {
    this.#nextShare = 1;
  }

  /** There is one again. */
  connected(): void {
    if (this.#nextShare > 0) {
      this.#spread(this.#nextShare);
      this.#nextShare = 0;
    }
  }

  /** A watch has ended, and not because nobody wants it any more. */
  watchEnded(): void {
    const now = this.#now();
    if (now - this.#endedSince > burstMs) {
      this.#endedSince = now;
      this.#ended = 0;
    }
    this.#ended += 1;
    if (this.#ended === burst) {
      this.#spread(resumeShare);
    }
  }

  /**
   * Waits for a turn.
   *
   * @throws the signal's reason
   */
  async wait({ urgent }: { readonly urgent: boolean }, signal: AbortSignal): Promise<void> {
    const now = this.#now();
    const left = this.#since + this.#lengthMs(urgent) - now;
    if (left > 0) {
      await this.#clock.sleep(this.#clock.random() * left, signal);
    } else if (!urgent) {
      const start = Math.max(now, this.#nextStart);
      this.#nextStart = start + paceMs;
      if (start > now) {
        await this.#clock.sleep(start - now, signal);
      }
    }
    signal.throwIfAborted();
  }

  #spread(share: number): void {
    const now = this.#now();
    const isOver = now >= this.#since + this.#lengthMs(false);
    this.#share = isOver ? share : Math.max(share, this.#share);
    this.#since = now;
  }

  #lengthMs(urgent: boolean): number {
    if (this.#spreadMs === 0) {
      return 0;
    }
    const whole = Math.min(
      Math.max(this.#spreadMs * this.#expected, leastSpreadMs),
      urgent ? urgentSpreadMs : mostSpreadMs,
    );
    return whole * this.#share;
  }
}
