import { log, logWarning } from "../host/log.ts";
import type { Applied } from "../model/outcome.ts";
import { giveAttemptBack, takeAttempt } from "../store/marks.ts";
import { observeProjected } from "./projected.ts";
import type { Session } from "./session.ts";
import { count } from "./table.ts";

/**
 * Projects a generation as one of its boot attempts.
 *
 * Taken before use: a boot that this generation kills must count. Given back when in the end the kubelet sees
 * nothing of ours: a full or read-only disk says nothing about a generation, and after three such boots there
 * would be none left.
 *
 * @throws {Failure} E_BOOT_LOOP only when no attempt is left; what `project` throws
 */
export function asAttempt(
  session: Session,
  staticPodPath: string,
  generation: number,
  project: () => Applied,
): Applied {
  const { warnings, ...taken } = takeAttempt(session.storeDir, generation);
  warnings.forEach(logWarning);
  log(
    `restore 5/5 project: generation ${generation}, ${count(taken.left, "attempt")} left after this boot`,
  );
  let isTried = false;
  try {
    const applied = project();
    const { outcomes } = applied;
    isTried = outcomes.length === 0 || outcomes.some(({ kind }) => kind !== "failed");
    return applied;
  } finally {
    if (
      !isTried &&
      warnings.length === 0 &&
      observeProjected(session, staticPodPath) === undefined
    ) {
      const failed = giveAttemptBack(session.storeDir, generation, taken);
      failed.forEach(logWarning);
      if (failed.length === 0) {
        log(
          `restore 5/5 project: nothing could be projected: this boot does not count, ${count(taken.left + 1, "attempt")} left`,
        );
      }
    }
  }
}
