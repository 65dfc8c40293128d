/** How waits grow with each failure. */
export interface Growth {
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * How long to wait after the `failures`-th failure in a row, milliseconds.
 *
 * Pure. Between half of the doubled wait and the whole of it, so that nodes that failed together do not come
 * back together; at least what the server asked for.
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
  return Math.max(whole * (0.5 + random / 2), retryAfterMs * (1 + random / 2));
}
