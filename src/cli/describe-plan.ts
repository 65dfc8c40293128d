import { describeWarning } from "../host/log.ts";
import type { RestorePlan, Skip, Warning, WarningCode } from "../model/plan.ts";
import { count, table } from "./table.ts";

/**
 * The plan as a table: each pod with its volumes and manifest, then what is left out and why.
 *
 * Pure. Names and counts only, never a value.
 */
export function describePlan(plan: RestorePlan): string {
  const rows = plan.pods.map(({ namespace, name, volumes, manifest }) => [
    `${namespace}/${name}`,
    count(volumes.length, "volume"),
    count(
      volumes.reduce(
        (sum, { entries }) => sum + entries.filter(({ kind }) => kind === "file").length,
        0,
      ),
      "file",
    ),
    manifest.carriesSecret ? "secret env" : "",
    manifest.file,
  ]);
  return table(rows) + describeSkips(plan.skipped) + describeWarnings(plan.warnings);
}

/** Pure. The pods that are left out, a line each; empty when there is none. */
export function describeSkips(skips: readonly Skip[]): string {
  return skips
    .map(
      ({ namespace, name, code, message }) =>
        `  left out ${namespace}/${name}: ${code}: ${message}\n`,
    )
    .join("");
}

/** Pure. The warnings as text, a line each; empty when there is none. */
export function describeWarnings(warnings: readonly Warning[]): string {
  return warningLines(warnings)
    .map((line) => `  ${line}\n`)
    .join("");
}

/** Each pod is named that such a warning keeps from running; of others one stands for all. */
const namingAll: readonly WarningCode[] = ["W_IMAGE_CREDENTIALS", "W_IMAGE_MISSING"];

/** Pure. A line for each warning; those that differ only in the pod and its volume share one. */
export function warningLines(warnings: readonly Warning[]): readonly string[] {
  const groups = Map.groupBy(
    warnings,
    ({ code, message }) => `${code} ${message.replace(/^volume [^. ]+/, "volume")}`,
  );
  return [...groups.values()].flatMap(([first, ...others]) => {
    if (first === undefined) {
      return [];
    }
    const isOfPods = first.name !== undefined && others.length > 0;
    return [`${describeWarning(first)}${isOfPods ? describeOthers(first, others) : ""}`];
  });
}

function describeOthers(first: Warning, others: readonly Warning[]): string {
  if (!namingAll.includes(first.code)) {
    return ` (and ${count(others.length, "more pod")} alike)`;
  }
  const named = ({ namespace, name }: Warning) => `${namespace ?? "default"}/${name}`;
  // A pod has one for each of its containers.
  const names = [...new Set(others.map(named))].filter((name) => name !== named(first));
  return names.length === 0 ? "" : ` (alike: ${names.join(", ")})`;
}
