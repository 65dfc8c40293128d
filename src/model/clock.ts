import type { Warning } from "./plan.ts";

/** What the clock is worth beside the time of a capture. */
export interface ClockJudgement {
  /** undefined when the clock cannot be trusted. */
  readonly now: Date | undefined;
  /** `2 h ago`, or `unknown age`. */
  readonly age: string;
  readonly warnings: readonly Warning[];
}

const dayMs = 86_400_000;
/** No checkpoint is this old on a node that is worth restoring; a clock that says so is wrong. */
const incredibleMs = 10 * 365 * dayMs;
/** Two clocks of one cluster differ by less. */
const skewMs = 300_000;

/**
 * Judges this boot's clock by the newest checkpoint, which cannot lie in the future.
 *
 * Pure. Order never depends on time; only what is said about ages and token lives does.
 */
export function judgeClock(
  now: Date,
  capturedAt: string,
  generation: number | undefined,
): ClockJudgement {
  const elapsedMs = now.getTime() - Date.parse(capturedAt);
  const name = generation === undefined ? "the checkpoint" : `checkpoint ${generation}`;
  if (elapsedMs >= -skewMs && elapsedMs < incredibleMs) {
    return { now, age: `${describeDuration(Math.max(elapsedMs, 0))} ago`, warnings: [] };
  }
  const days = Math.floor(Math.abs(elapsedMs) / dayMs);
  const far = days > 0 ? `${days} days` : describeDuration(Math.abs(elapsedMs));
  const side = elapsedMs < 0 ? "behind" : "ahead of";
  const mistaken = elapsedMs < 0 ? "not yet valid" : "expired";
  const message = `the clock is ${far} ${side} ${name} (${capturedAt}); order is by number, certificates and tokens cannot be judged. Set the clock (\`timedatectl set-time\`): until then good certificates may count as ${mistaken}`;
  return { now: undefined, age: "unknown age", warnings: [{ code: "W_CLOCK", message }] };
}

/** Pure. The largest whole unit: `41 ms`, `5 s`, `12 min`, `3 h`, `2 days`. */
export function describeDuration(ms: number): string {
  if (ms < 1000) {
    return `${Math.round(ms)} ms`;
  }
  if (ms < 60_000) {
    return `${Math.round(ms / 1000)} s`;
  }
  if (ms < 3_600_000) {
    return `${Math.round(ms / 60_000)} min`;
  }
  return ms < 2 * dayMs ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / dayMs)} days`;
}
