/** How waits grow with each failure. */
export interface Growth {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** A server that asks for a longer wait is asked again all the same. */
const mostRetryAfterMs = 60_000;

/**
 * How long to wait after the `failures`-th failure in a row, milliseconds.
 *
 * Pure. Between half of the doubled wait and the whole of it, so that nodes that failed together do not come
 * back together; at least what the server asked for, up to a minute.
 *
 * @param failures  at least 1
 * @param random  at least 0, below 1
 */
export function backoffMs(
  failures: number,
  { firstMs, mostMs }: Growth,
  random: number,
  retryAfterMs = 0,
): number {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 30));
  const asked = Math.min(retryAfterMs, mostRetryAfterMs);
  return Math.max(whole * (0.5 + random / 2), asked * (1 + random / 2));
}
