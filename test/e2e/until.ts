import { setTimeout as after } from "node:timers/promises";

const lookMs = 20;

/**
 * Waits until it is so.
 *
 * @throws {Error} after the deadline, with these words
 */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  deadlineMs: number,
  otherwise: () => string,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await isSo())) {
    if (performance.now() > end) {
      throw new Error(`after ${deadlineMs / 1000} s: ${otherwise()}`);
    }
    await after(lookMs);
  }
}
