import { resolve } from "node:path";
import { paths, type Selection } from "../config.ts";
import { Exit, type ExitStatus } from "../errors.ts";
import { log, logWarning } from "../host/log.ts";
import { observeBoot } from "../host/observe.ts";
import type { UnappliedOwner } from "../model/outcome.ts";
import type { RestorePlan } from "../model/plan.ts";
import { planRestore } from "../plan/restore.ts";
import { writeTree } from "../project/project.ts";
import { describePlan } from "./describe-plan.ts";
import type { GlobalOptions, OutputFormat } from "./options.ts";
import { output } from "./output.ts";
import { asCheckpoint, readInput } from "./read-input.ts";
import { openSession } from "./session.ts";
import { count, table } from "./table.ts";

export interface RenderOptions extends GlobalOptions {
  readonly output: OutputFormat;
  readonly from: readonly string[];
  readonly node: string | undefined;
  readonly select: "annotated" | "all" | undefined;
  readonly out: string | undefined;
}

/**
 * Shows what a restore would write: as files under a directory, as manifests on stdout, or as data.
 *
 * Needs no root, store or key. Manifests and volumes hold secrets: nothing is printed that was not asked for.
 *
 * @throws {Failure} what reading, choosing and writing throw
 */
export async function render(options: RenderOptions): Promise<ExitStatus> {
  const { config } = await openSession(options);
  const selection: Selection =
    options.select === undefined ? config.select : { kind: options.select };
  const input = await readInput({ ...options, selection });
  const boot = observeBoot("/");
  const plan = planRestore(asCheckpoint(input), {
    generation: undefined,
    secretEnv: config.secretEnv,
    kubeletVersion: undefined,
    now: boot.now,
  });
  const written =
    options.out === undefined ? undefined : writeUnder(resolve(options.out), plan, boot.canOwn);
  if (options.verbose && "ignored" in input) {
    for (const { namespace, name, code, message } of input.ignored) {
      log(`${code} ${namespace}/${name}: ${message}`);
    }
  }
  const data = {
    manifests: plan.pods.map(({ manifest }): unknown => JSON.parse(manifest.text)),
    skipped: plan.skipped,
    warnings: [...plan.warnings, ...(written?.warnings ?? [])],
    ...(written === undefined ? {} : { unapplied: written.unapplied }),
  };
  await output(options.output, data, () => {
    if (options.out === undefined) {
      data.warnings.forEach(logWarning);
      for (const { namespace, name, code, message } of plan.skipped) {
        log(`left out ${namespace}/${name}: ${code}: ${message}`, "warning");
      }
      return plan.pods.map(({ manifest }) => manifest.text).join("");
    }
    const shown = { ...plan, warnings: data.warnings };
    const left = plan.skipped.length === 0 ? "" : `, ${plan.skipped.length} left out`;
    return `${count(plan.pods.length, "pod")} under ${options.out}${left}; what is there holds secrets\n${describePlan(shown)}${describeOwners(data.unapplied ?? [])}`;
  });
  return Exit.ok;
}

function writeUnder(outDir: string, plan: RestorePlan, canOwn: boolean) {
  const applied = writeTree(plan, outDir, paths.run, canOwn);
  for (const outcome of applied.outcomes) {
    if (outcome.kind === "failed") {
      throw outcome.failure;
    }
  }
  return applied;
}

function describeOwners(unapplied: readonly UnappliedOwner[]): string {
  const rows = unapplied.map(({ path, uid, gid }) => [path, `${uid}:${gid}`]);
  return rows.length === 0 ? "" : `not given to their owners (not root):\n${table(rows)}`;
}
