import { setTimeout as after } from "node:timers/promises";

/** Time and chance, so that a test can run hours of them at once. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after `ms`, or rejects with the signal's reason once it is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** At least 0, below 1. */
  random(): number;
}

/** A longer timer fires at once. Source: Node v24.21.0 `lib/internal/timers.js: TIMEOUT_MAX`. */
const longestTimerMs = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await after(Math.min(ms, longestTimerMs), undefined, { signal });
    } catch (error) {
      // Node rejects with an error of its own, which says nothing.
      signal.throwIfAborted();
      throw error;
    }
  },
  random: () => Math.random(),
};

/**
 * The clock's time, but never going back: NTP may set a clock by hours, soon after a boot above all.
 *
 * What was set back is passed over, as if no time had gone by meanwhile. For durations only.
 */
export function steadyTime(clock: Clock): () => number {
  let last = clock.now();
  let ahead = 0;
  return () => {
    const now = clock.now();
    ahead += Math.max(0, last - now);
    last = now;
    return now + ahead;
  };
}
