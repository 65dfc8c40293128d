import type { IgnoredPod } from "../capture/select.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { RestorePlan, Warning } from "../model/plan.ts";
import { describeSkips, describeWarnings } from "./describe-plan.ts";
import { count, size, table } from "./table.ts";

/** What a capture did. */
export interface CaptureReport {
  /** The newest generation, made now or before. */
  readonly generation: number;
  /** Absolute. */
  readonly file: string;
  readonly sizeBytes: number;
  /** False where nothing has changed since that generation. */
  readonly changed: boolean;
  /** True when it has just been blessed. */
  readonly blessed: boolean;
  readonly checkpoint: Checkpoint;
  readonly plan: RestorePlan;
  readonly ignored: readonly IgnoredPod[];
  readonly recipients: number;
  readonly warnings: readonly Warning[];
}

/** Pure. The report as data: no secret, so no checkpoint. */
export function captureData({ checkpoint, plan: _plan, ...report }: CaptureReport) {
  return {
    ...report,
    node: checkpoint.metadata.node,
    capturedAt: checkpoint.metadata.capturedAt,
    objects: checkpoint.items.length,
    pods: checkpoint.pods,
    tokens: checkpoint.tokens.length,
    unminted: checkpoint.unminted ?? [],
    unprojectable: checkpoint.unprojectable,
  };
}

/** Pure. The report in words: names and counts only. */
export function describeCapture(report: CaptureReport): string {
  const { checkpoint, plan, generation, file, sizeBytes, recipients, ignored } = report;
  const rows = plan.pods.map(({ namespace, name, volumes, images }) => [
    `${namespace}/${name}`,
    count(volumes.length, "volume"),
    [...new Set(images.map(({ reference }) => reference))].join(", "),
  ]);
  const tokens =
    checkpoint.tokens.length === 0 ? "" : `, ${count(checkpoint.tokens.length, "token")}`;
  const extra = recipients === 0 ? "" : `, and ${count(recipients, "break-glass key")}`;
  return [
    `generation ${generation} of node ${checkpoint.metadata.node}: ${count(plan.pods.length, "pod")}, ${count(checkpoint.items.length, "object")}${tokens}\n`,
    table(rows),
    describeSkips(checkpoint.unprojectable),
    ...(checkpoint.unminted ?? []).map(
      ({ namespace, pod, audience, message }) =>
        `  no token for ${namespace}/${pod}${audience === "" ? "" : ` (audience ${audience})`}: ${message}\n`,
    ),
    ignored.length === 0
      ? ""
      : `  ${count(ignored.length, "other pod")} not captured (-v tells why)\n`,
    describeWarnings(report.warnings),
    report.changed
      ? `sealed for the node's key${extra}: ${file}, ${size(sizeBytes)}\n`
      : `nothing has changed since generation ${generation} was made: ${file}\n`,
    report.blessed
      ? `generation ${generation} is blessed: its pods have been Ready for the settle period\n`
      : "",
  ].join("");
}
