import type { Warning } from "../model/plan.ts";
import { describeSkips, describeWarnings } from "./describe-plan.ts";
import { describeImages, type ReportedPod } from "./image-report.ts";
import type { Inspected } from "./inspect.ts";
import { count, size, table } from "./table.ts";

interface ProjectedPods {
  readonly manifestDir: string;
  readonly generation: number | null;
  readonly pods: readonly {
    readonly namespace: string | undefined;
    readonly name: string | undefined;
    readonly link: string;
  }[];
}

/** What the text of `status` is made of. */
export interface StatusData {
  readonly store: string;
  readonly problem: { readonly code: string; readonly message: string } | null;
  readonly restores: number | null;
  readonly protection: string;
  readonly pods: readonly ReportedPod[];
  readonly runtime: { readonly says: string } | null;
  readonly archive: { readonly dir: string; readonly images: number } | null;
  readonly unprojectable: Parameters<typeof describeSkips>[0];
  readonly offWindow: { readonly says: string } | null;
  readonly projected: ProjectedPods;
}

/** Pure. `status` on one screen. */
export function describeStatus(
  data: StatusData,
  inspected: readonly Inspected[],
  newest: Extract<Inspected, { readonly kind: "opens" }> | undefined,
  warnings: readonly Warning[],
): string {
  const rows = inspected.map((one) => [
    String(one.generation),
    one.kind === "opens" ? one.age : "-",
    size(one.sizeBytes),
    one.kind === "opens" ? "opens" : one.failure.code,
    one.blessed ? "blessed" : "not blessed",
    `${count(one.attempts.left, "boot")} left`,
    one.kind === "opens" ? count(one.plan.pods.length, "pod") : "",
  ]);
  const pods = data.pods.flatMap((pod, at) =>
    describeImages(pod).map((row, line) => [
      ...(line > 0
        ? ["", ""]
        : [
            `${pod.namespace}/${pod.name}`,
            count(newest?.plan.pods[at]?.volumes.length ?? 0, "volume"),
          ]),
      ...row,
    ]),
  );
  const { projected } = data;
  return [
    `store       ${data.store}, ${count(inspected.length, "generation")}\n`,
    table(rows, "            "),
    `protection  ${data.protection}\n`,
    newest === undefined
      ? ""
      : `newest      generation ${newest.generation} of node ${newest.checkpoint.metadata.node}, taken ${newest.age}\n`,
    table(pods, "            "),
    data.runtime === null ? "" : `runtime     ${data.runtime.says}\n`,
    data.archive === null
      ? ""
      : `archive     ${count(data.archive.images, "image")} in ${data.archive.dir}\n`,
    data.offWindow === null ? "" : `off-window  ${data.offWindow.says}\n`,
    describeSkips(data.unprojectable),
    projected.pods.length === 0
      ? `projected   nothing in ${projected.manifestDir}\n`
      : `projected   ${count(projected.pods.length, "pod")} of generation ${projected.generation ?? "(several)"} in ${projected.manifestDir}\n`,
    table(
      projected.pods.map(({ namespace, name, link }) => [`${namespace}/${name}`, link]),
      "            ",
    ),
    describeWarnings(warnings),
    data.problem === null
      ? `A cold boot of this node would be restored from generation ${data.restores}.\n`
      : `A cold boot of this node would not be restored: ${data.problem.code}: ${data.problem.message}\n`,
  ].join("");
}
