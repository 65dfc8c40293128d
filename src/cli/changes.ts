import type { Clock } from "../kube/clock.ts";

/** Changes that are noticed while something else is being done, and the sleep that they end. */
export class Changes {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #sleep = new AbortController();
  #count = 0;
  #seen = 0;
  #sinceMs: number | undefined;
  #lastMs: number | undefined;

  /** @param signal  ends every sleep, for good */
  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#sleep.abort(), { once: true });
  }

  /** Something may have changed. */
  note(): void {
    const now = this.#clock.now();
    this.#count += 1;
    this.#sinceMs ??= now;
    this.#lastMs = now;
    this.#sleep.abort();
  }

  /** The first change that is not done with, ms since 1970. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  /** The latest change, ms since 1970. */
  get lastMs(): number | undefined {
    return this.#lastMs;
  }

  /** All changes up to now are about to be looked at. */
  look(): void {
    this.#seen = this.#count;
  }

  /** What was looked at is done with; what was noticed since is not. */
  done(): void {
    this.#sinceMs = this.#count === this.#seen ? undefined : this.#lastMs;
  }

  /** Something is due that no change tells of. */
  since(sinceMs: number): void {
    this.#sinceMs = Math.min(sinceMs, this.#sinceMs ?? sinceMs);
  }

  /** Sleeps until then, or until something changes; not at all when something has since `look`. */
  async rest(untilMs: number): Promise<void> {
    const ms = untilMs - this.#clock.now();
    if (ms <= 0 || this.#signal.aborted || this.#count !== this.#seen) {
      return;
    }
    this.#sleep = new AbortController();
    try {
      await this.#clock.sleep(ms, this.#sleep.signal);
    } catch (error) {
      if (!this.#sleep.signal.aborted) {
        throw error;
      }
    }
  }
}
