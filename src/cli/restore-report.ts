import { Exit, type ExitStatus } from "../errors.ts";
import { log } from "../host/log.ts";
import { describeDuration } from "../model/clock.ts";
import type { Applied } from "../model/outcome.ts";
import type { RestorePlan, Warning } from "../model/plan.ts";
import type { RecordChanges } from "./records-aside.ts";
import { count } from "./table.ts";

/** Logs what came of a plan: what is missing and why, then one line of what is there. */
export function sayOutcome(plan: RestorePlan, applied: Applied, elapsedMs: number): void {
  for (const { namespace, name, code, message } of plan.skipped) {
    log(`left out ${namespace}/${name}: ${code}: ${message}`, "warning");
  }
  for (const outcome of applied.outcomes) {
    if (outcome.kind === "failed") {
      const { namespace, name, failure, kept } = outcome;
      log(
        `${kept ? "not updated" : "left out"} ${namespace}/${name}: ${failure.code}: ${failure.message}`,
        "warning",
      );
    }
  }
  const total = plan.pods.length + plan.skipped.length;
  const good = applied.outcomes.filter(({ kind }) => kind !== "failed");
  const isUnchanged =
    good.every(({ kind }) => kind === "unchanged") && applied.removed.length === 0;
  const said = isUnchanged && good.length > 0 ? ", nothing changed: it is all there already" : "";
  const gone =
    applied.removed.length === 0 ? "" : `, ${count(applied.removed.length, "leftover")} removed`;
  log(
    `restore 5/5 project: ${good.length} of ${count(total, "pod")}${said}${gone}, ${describeDuration(elapsedMs)}`,
  );
}

/** Pure. What `-o json` prints of a cold boot; `applied` is undefined for a plan only. */
export function summary(
  plan: RestorePlan,
  applied: Applied | undefined,
  generation: number | undefined,
  pullRecords: RecordChanges,
  warnings: readonly Warning[],
) {
  return {
    verdict: "cold",
    generation: generation ?? null,
    node: plan.node,
    dryRun: applied === undefined,
    pods: plan.pods.map(({ namespace, name, manifest, volumes }, at) => ({
      namespace,
      name,
      manifest: manifest.file,
      volumes: volumes.map(({ dir }) => dir),
      outcome: applied?.outcomes[at]?.kind ?? "planned",
    })),
    skipped: plan.skipped,
    removed: applied?.removed ?? [],
    pullRecords,
    warnings,
  };
}

/** Pure. 73 unless every pod is there. */
export function statusOf(plan: RestorePlan, applied: Applied | undefined): ExitStatus {
  const failed =
    applied?.outcomes.some(({ kind }) => kind === "failed") === true ||
    applied?.warnings.some(({ code }) => code === "W_LEFTOVER") === true;
  return failed || plan.skipped.length > 0 ? Exit.cantCreat : Exit.ok;
}
