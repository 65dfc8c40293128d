/** When something is to be committed. */
export type NextCommit =
  /** Nothing has changed. */
  | { readonly kind: "idle" }
  | { readonly kind: "now" }
  /** Not before that time; ask again then, or at the next change. */
  | { readonly kind: "at"; readonly ms: number };

/** All times in ms of one clock, in which `now` is given. */
export interface CadenceFacts {
  readonly now: number;
  /** The first change that is not committed; undefined for none. */
  readonly changedSinceMs?: number | undefined;
  /** The latest such change; the first one when undefined. */
  readonly lastChangeMs?: number | undefined;
  /** undefined when nothing was committed yet. */
  readonly lastCommitMs?: number | undefined;
  /** True when nothing but tokens changed. */
  readonly tokensOnly: boolean;
  /** When the first of the tokens in the newest generation passes half of its life; undefined for no tokens. */
  readonly halfLifeMs?: number | undefined;
  /** Least time between two generations. */
  readonly intervalMs: number;
  /** Least time before a generation that brings only new tokens. */
  readonly tokenIntervalMs?: number;
  /** Changes closer together than this go together. */
  readonly debounceMs?: number;
  /** No change waits longer than this for others. */
  readonly debounceMaxMs?: number;
}

/**
 * Decides when the changes so far become a generation.
 *
 * Pure. When no change has come for `debounceMs`, or `debounceMaxMs` after the first, but not before `intervalMs` after
 * the last commit. New tokens alone wait for `tokenIntervalMs`, unless a token that the newest generation holds has
 * passed half of its life: then for `intervalMs` only.
 *
 * A time after `now` is from before the clock was set back, and tells nothing of how long ago it was: what is counted
 * from it counts as over. Were it taken for `now`, asking again would put the commit off again, for as long as the clock
 * was set back.
 */
export function nextCommit(facts: CadenceFacts): NextCommit {
  const { now, changedSinceMs, lastChangeMs, lastCommitMs, tokensOnly, halfLifeMs } = facts;
  const { intervalMs, tokenIntervalMs = 600_000, debounceMs = 300, debounceMaxMs = 1_000 } = facts;
  if (changedSinceMs === undefined) {
    return { kind: "idle" };
  }
  const after = (startMs: number | undefined, waitMs: number) =>
    startMs === undefined || startMs > now ? now : startMs + waitMs;
  const quietMs = Math.min(
    after(lastChangeMs ?? changedSinceMs, debounceMs),
    after(changedSinceMs, debounceMaxMs),
  );
  const tokensMs = Math.min(
    after(lastCommitMs, tokenIntervalMs),
    halfLifeMs ?? Number.POSITIVE_INFINITY,
  );
  const ms = Math.max(
    quietMs,
    after(lastCommitMs, intervalMs),
    tokensOnly ? tokensMs : Number.NEGATIVE_INFINITY,
  );
  return ms <= now ? { kind: "now" } : { kind: "at", ms };
}
