import { collectGarbage } from "../host/memory.ts";
import type { Clock } from "../kube/clock.ts";

/** After a commit, which uses several times the memory of what is known. */
const commitMs = 2_000;
/** After less. */
const lookMs = 30_000;

/** Gives memory back soon after it was used, so that a process that waits for hours is small meanwhile. */
export class Tidying {
  readonly #clock: Clock;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something was worked at; `isCommit` when a generation was made. */
  note(isCommit: boolean): void {
    this.#dueMs = Math.min(this.#dueMs, this.#clock.now() + (isCommit ? commitMs : lookMs));
  }

  /** Tidies up when that is due. Gives the time of the next, ms since 1970; `Infinity` when there is nothing to do. */
  run(): number {
    const now = this.#clock.now();
    // A clock that was set back must not put it off for years.
    if (now >= this.#dueMs || this.#dueMs > now + 2 * lookMs) {
      if (Number.isFinite(this.#dueMs)) {
        collectGarbage();
      }
      this.#dueMs = Number.POSITIVE_INFINITY;
    }
    return this.#dueMs;
  }
}
