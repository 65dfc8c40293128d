import { Exit, type ExitStatus, type Failure } from "../errors.ts";
import { slotDirConcerns } from "../host/key-slots.ts";
import type { Warning } from "../model/plan.ts";
import { openNewest, requireGenerations } from "../store/store.ts";
import { describeSkips, describeWarnings } from "./describe-plan.ts";
import {
  askForImages,
  describeImages,
  describeRuntime,
  type ReportedPod,
  reportImages,
} from "./image-report.ts";
import { judgeImageUse } from "./image-use.ts";
import { type Inspected, inspectGeneration } from "./inspect.ts";
import { observeNode } from "./observe-node.ts";
import { readNodeKey } from "./open-checkpoint.ts";
import type { GlobalOptions, OutputFormat } from "./options.ts";
import { output } from "./output.ts";
import { openSession } from "./session.ts";
import { count, size, table } from "./table.ts";

export interface VerifyOptions extends GlobalOptions {
  readonly output: OutputFormat;
}

/**
 * Opens every generation, checks every object in it again, and plans its restore. Changes nothing.
 *
 * The exit status is that of the first broken promise, the newest generation's first.
 *
 * @throws {Failure} E_NO_STORE, E_NO_CHECKPOINT only when there is nothing to verify; what reading the key throws
 */
export async function verify(options: VerifyOptions): Promise<ExitStatus> {
  const session = await openSession(options);
  const listing = requireGenerations(session.storeDir);
  const { ring, warnings: keyWarnings } = readNodeKey(session);
  const { name: node, kubelet } = await observeNode(session);
  const facts = { node, now: new Date() };
  const inspected = listing.generations.map((file) =>
    inspectGeneration(session, file, ring, facts),
  );
  const rollback = inspected.some(({ kind }) => kind === "opens")
    ? openNewest(session.storeDir, ring, node).rollback
    : undefined;
  const broken = [
    ...inspected.flatMap((one) => (one.kind === "refused" ? [one.failure] : one.concerns)),
    ...(rollback === undefined ? [] : [rollback]),
    ...listing.concerns,
    ...slotDirConcerns(session.root),
  ];
  const opened = inspected.filter((one) => one.kind === "opens");
  const { findings, ...asked } = await askForImages(
    session.root,
    opened.flatMap((one) => one.plan.pods),
  );
  const judged = await Promise.all(
    opened.map(async ({ generation, plan, checkpoint }) => {
      const { version } = checkpoint.metadata.kubelet ?? {};
      const { use, warnings } = await judgeImageUse(session, kubelet, version, plan.pods);
      return { generation, images: reportImages(plan.pods, findings, use), warnings };
    }),
  );
  const report = ({ generation }: Inspected) =>
    judged.find((one) => one.generation === generation)?.images ?? [];
  const warnings: readonly Warning[] = [
    ...keyWarnings,
    ...listing.warnings,
    ...opened.flatMap(({ plan }) => plan.warnings),
    ...(judged[0]?.warnings ?? []),
  ];
  const data = {
    ok: broken.length === 0,
    generations: inspected.map((one) => describeData(one, report)),
    runtime: asked,
    broken: broken.map(({ code, message }) => ({ code, message })),
    warnings,
  };
  const said = describeRuntime(asked, session.config.images.pin);
  await output(options.output, data, () =>
    describeVerified(inspected, broken, warnings, { report, said }),
  );
  return broken[0]?.exit ?? Exit.ok;
}

type Report = (one: Inspected) => readonly ReportedPod[];

function describeData(one: Inspected, report: Report) {
  const { generation, file, sizeBytes, blessed } = one;
  return one.kind === "opens"
    ? {
        generation,
        file,
        sizeBytes,
        blessed,
        intact: true,
        capturedAt: one.checkpoint.metadata.capturedAt,
        pods: one.plan.pods.length,
        skipped: one.plan.skipped,
        images: report(one),
      }
    : {
        generation,
        file,
        sizeBytes,
        blessed,
        intact: false,
        code: one.failure.code,
        message: one.failure.message,
      };
}

function describeVerified(
  inspected: readonly Inspected[],
  broken: readonly Failure[],
  warnings: readonly Warning[],
  { report, said }: { readonly report: Report; readonly said: string },
): string {
  const rows = inspected.map((one) => [
    `generation ${one.generation}`,
    size(one.sizeBytes),
    one.kind === "opens"
      ? `intact, ${one.age}, ${count(one.plan.pods.length, "pod")}${one.plan.skipped.length === 0 ? "" : `, ${one.plan.skipped.length} cannot be projected`}${describeMissing(report(one))}`
      : `${one.failure.code}: ${one.failure.message}`,
  ]);
  const skips = inspected.flatMap((one) => (one.kind === "opens" ? one.plan.skipped : []));
  const others = broken.filter(
    (failure) => !inspected.some((one) => one.kind === "refused" && one.failure === failure),
  );
  const newest = inspected.find((one) => one.kind === "opens");
  const images = (newest === undefined ? [] : report(newest)).flatMap((pod) =>
    describeImages(pod).map((row, line) => [
      line === 0 ? `${pod.namespace}/${pod.name}` : "",
      ...row,
    ]),
  );
  return [
    table(rows, ""),
    newest === undefined
      ? ""
      : `images of generation ${newest.generation}\n${table(images)}  the runtime ${said}\n`,
    describeSkips(skips),
    ...others.map(({ code, message }) => `  ${code}: ${message}\n`),
    describeWarnings(warnings),
    broken.length === 0
      ? `${count(inspected.length, "generation")} verified: every promise holds\n`
      : `${count(broken.length, "promise")} broken\n`,
  ].join("");
}

function describeMissing(pods: readonly ReportedPod[]): string {
  const missing = new Set(
    pods.flatMap(({ images }) =>
      images.filter(({ present }) => present === false).map(({ digest, name }) => digest ?? name),
    ),
  );
  return missing.size === 0 ? "" : `, ${count(missing.size, "image")} missing`;
}
