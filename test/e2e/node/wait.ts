import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks again and again until the answer is not undefined, and gives it.
 *
 * @param what  is waited for, for the error message
 * @param ask  an exception means not yet; the last one is told
 * @param isHopeless  a reason to stop waiting at once
 * @throws {Error} after the deadline, with `what` and the last that was seen
 */
export async function eventually<T>(
  what: string,
  deadlineMs: number,
  ask: () => Promise<T | undefined> | T | undefined,
  isHopeless: () => string | undefined = () => undefined,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last = "nothing came";
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) {
        return answer;
      }
      last = "not yet";
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    const hopeless = isHopeless();
    if (hopeless !== undefined) {
      throw new Error(`${what}: ${hopeless}`);
    }
    if (performance.now() > end) {
      throw new Error(`${what}: not after ${deadlineMs / 1000} s: ${last}`);
    }
    await sleep(25);
  }
}
