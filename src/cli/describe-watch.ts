import type { Failure } from "../errors.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { Warning } from "../model/plan.ts";
import { warningLines } from "./describe-plan.ts";

/** Pure. What the apiserver has not told yet, and why, in one line. */
export function describePending(pending: readonly string[], failures: readonly Failure[]): string {
  const [failure] = failures;
  const reason = failure === undefined ? "" : `: ${failure.code}: ${failure.message}`;
  const more = pending.length > 3 ? ` and ${pending.length - 3} more` : "";
  return `not yet known: ${pending.slice(0, 3).join(", ")}${more}${reason}`;
}

/** Pure. A line for each pod that a new generation leaves out, then for each warning about the others. */
export function concerns(
  { unprojectable }: Checkpoint,
  warnings: readonly Warning[],
): readonly string[] {
  return [
    ...unprojectable.map(
      ({ namespace, name, code, message }) =>
        `capture: left out ${namespace}/${name}: ${code}: ${message}`,
    ),
    ...warningLines(warnings),
  ];
}
