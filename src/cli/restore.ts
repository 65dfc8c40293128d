import { paths } from "../config.ts";
import { Exit, type ExitStatus, Failure } from "../errors.ts";
import type { KubeletFacts } from "../host/kubelet.ts";
import { acquireLock } from "../host/lock.ts";
import { log, logWarning } from "../host/log.ts";
import { type BootFacts, observeBoot } from "../host/observe.ts";
import { ensureMemory } from "../host/tmpfs.ts";
import { uptimeMs } from "../host/uptime.ts";
import { describeDuration, judgeClock } from "../model/clock.ts";
import { describeTime } from "../model/describe-outcome.ts";
import { isoTime } from "../model/iso-time.ts";
import type { Warning } from "../model/plan.ts";
import type { Verdict } from "../model/probe.ts";
import { planRestore } from "../plan/restore.ts";
import { applyPlan, checkPlace } from "../project/project.ts";
import { resetAttempts } from "../store/marks.ts";
import { asAttempt } from "./boot-attempt.ts";
import { describePlan, warningLines } from "./describe-plan.ts";
import { withoutForeignPods } from "./foreign-pods.ts";
import { type ObservedNode, observeNode, withCaptured } from "./observe-node.ts";
import { warnOfExpired } from "./off-window.ts";
import { type OpenedCheckpoint, openForRestore, openShown } from "./open-checkpoint.ts";
import { output } from "./output.ts";
import { probeApiserver } from "./probe-apiserver.ts";
import { observeProjected, removeDead } from "./projected.ts";
import {
  projectWithRecords,
  putEarlierBack,
  type RecordChanges,
  setRecordsAside,
} from "./records-aside.ts";
import type { RestoreOptions } from "./restore-options.ts";
import { sayOutcome, statusOf, summary } from "./restore-report.ts";
import { openSession, type Session } from "./session.ts";
import { count } from "./table.ts";

/**
 * At boot: asks for an apiserver and, if none answers, projects the newest good generation.
 *
 * 1 boot facts · 2 open · 3 probe · 4 plan · 5 project. Warm, or nothing that could be projected in a boot
 * loop, is success. Each step can be repeated; a second run changes nothing and says so.
 *
 * @throws {Failure} E_NO_STORE, E_NO_CHECKPOINT, E_NO_KEY, … only on a cold boot: what a warm one does not need
 *   cannot fail it
 */
export async function restore(options: RestoreOptions): Promise<ExitStatus> {
  if (options.retire) {
    const { retire } = await import("./retire.ts");
    return retire(options);
  }
  const startedMs = uptimeMs();
  const session = await openSession(options);
  const boot = observeBoot(session.root);
  const node = await observeNode(session);
  const { staticPodPath } = node.kubelet;
  logWarnings(node.warnings);
  log(
    `restore 1/5 boot: ${boot.bootId ?? "unknown boot id"}, clock ${isoTime(boot.now)}, manifests in ${staticPodPath}`,
  );
  if (!options.dryRun) {
    removeDead(session, staticPodPath);
    if (options.resetAttempts) {
      resetAttempts(session.storeDir);
    }
  }
  const records = putEarlierBack(session, node.kubelet, options.dryRun);
  logWarnings(records.warnings);
  const opened = tryOpen(session, options, node);
  const known =
    opened instanceof Failure ? node : await withCaptured(session, node, opened.checkpoint);
  if (options.force) {
    log("restore 3/5 probe: not asked (--force)");
  } else {
    const items = opened instanceof Failure ? [] : opened.checkpoint.items;
    const verdict = await probeApiserver(session, items, known);
    sayVerdict(verdict);
    if (verdict.verdict === "warm") {
      await output(
        options.output,
        { verdict: "warm", reason: verdict.reason, pods: [], pullRecords: records.changes },
        () => "",
      );
      return Exit.ok;
    }
  }
  if (opened instanceof Failure) {
    throw opened;
  }
  return project(session, options, opened, {
    boot,
    startedMs,
    kubelet: known.kubelet,
    records: records.changes,
    kubeletCertificate: known.kubeconfig?.clientCert?.certPem,
  });
}

/** A warm boot must not fail for want of a checkpoint, so that the failure is kept until it matters. */
function tryOpen(
  session: Session,
  options: RestoreOptions,
  node: ObservedNode,
): OpenedCheckpoint | Failure {
  const { generation, from } = options;
  const shown =
    generation === undefined && from === undefined
      ? observeProjected(session, node.kubelet.staticPodPath)
      : undefined;
  try {
    const wanted = { generation, from, node: node.name };
    const opened = openShown(session, wanted, shown?.generation) ?? openForRestore(session, wanted);
    const { checkpoint } = opened;
    const name = opened.generation === undefined ? opened.file : `generation ${opened.generation}`;
    const { capturedAt, node: source } = checkpoint.metadata;
    const { age } = judgeClock(new Date(), capturedAt, opened.generation);
    log(
      `restore 2/5 open: ${name}, taken ${age} on ${source}, ${count(checkpoint.pods.length, "pod")}`,
    );
    logWarnings(opened.warnings);
    return opened;
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    log(`restore 2/5 open: nothing, ${error.code}`);
    return error;
  }
}

function sayVerdict({ verdict, reason, waitedMs, clockSuspect }: Verdict): void {
  if (clockSuspect !== undefined) {
    logWarning({ code: "W_CLOCK", message: describeTime(clockSuspect) });
  }
  log(`restore 3/5 probe: ${verdict}, ${reason}, ${describeDuration(waitedMs)}`);
}

function logWarnings(warnings: readonly Warning[]): void {
  for (const line of warningLines(warnings)) {
    log(line, "warning");
  }
}

interface Circumstances {
  readonly boot: BootFacts;
  readonly startedMs: number;
  readonly kubelet: KubeletFacts;
  /** What was put back at the start. */
  readonly records: RecordChanges;
  /** PEM. */
  readonly kubeletCertificate: string | undefined;
}

async function project(
  session: Session,
  options: RestoreOptions,
  opened: OpenedCheckpoint,
  { boot, startedMs, kubelet, records, kubeletCertificate }: Circumstances,
): Promise<ExitStatus> {
  const { checkpoint, generation } = opened;
  const { staticPodPath } = kubelet;
  const clock = judgeClock(boot.now, checkpoint.metadata.capturedAt, generation);
  const expired =
    clock.now === undefined ? [] : warnOfExpired(checkpoint, kubeletCertificate, clock.now);
  const timely = [...clock.warnings, ...expired];
  logWarnings(timely);
  const planned = planRestore(checkpoint, {
    generation,
    secretEnv: session.config.secretEnv,
    kubeletVersion: undefined,
    now: clock.now,
  });
  const plan = await withoutForeignPods(session, staticPodPath, planned);
  log(`restore 4/5 plan: ${count(plan.pods.length, "pod")}, ${plan.skipped.length} left out`);
  logWarnings(plan.warnings);
  const name = generation === undefined ? opened.file : `generation ${generation}`;
  const head = `${name}, taken ${clock.age} on ${checkpoint.metadata.node}, ${count(plan.pods.length, "pod")}\n`;
  const version = checkpoint.metadata.kubelet?.version;
  if (options.dryRun) {
    const aside = await setRecordsAside(session, kubelet, version, plan, true);
    logWarnings(aside.warnings);
    await output(
      options.output,
      summary(plan, undefined, generation, { ...aside.changes, putBack: records.putBack }, [
        ...timely,
        ...plan.warnings,
        ...aside.warnings,
      ]),
      () => head + describePlan(plan),
    );
    return statusOf(plan, undefined);
  }
  const memory = ensureMemory(paths.run, { root: session.root, swap: session.config.swap, log });
  logWarnings(memory.warnings);
  using lock = acquireLock(session.runDir);
  logWarnings(lock.warnings);
  checkPlace({ root: session.root, staticPodDir: staticPodPath, canOwn: boot.canOwn });
  const aside = await setRecordsAside(session, kubelet, version, plan, false);
  logWarnings(aside.warnings);
  const apply = () =>
    applyPlan(plan, {
      root: session.root,
      staticPodDir: staticPodPath,
      runDir: paths.run,
      memory,
      canOwn: boot.canOwn,
      seLinux: boot.seLinux,
      prune: plan.pods.length > 0, // a plan of nothing takes nothing away
    });
  // A person who names one has decided.
  const isCounted =
    generation !== undefined &&
    options.generation === undefined &&
    observeProjected(session, staticPodPath)?.generation !== generation;
  const { applied, changes } = projectWithRecords(aside, () =>
    isCounted ? asAttempt(session, staticPodPath, generation, apply) : apply(),
  );
  logWarnings(applied.warnings);
  sayOutcome(plan, applied, uptimeMs() - startedMs);
  const warnings = [
    ...[...timely, ...plan.warnings, ...memory.warnings],
    ...[...aside.warnings, ...applied.warnings],
  ];
  const told = { ...changes, putBack: records.putBack };
  await output(options.output, summary(plan, applied, generation, told, warnings), () => "");
  return statusOf(plan, applied);
}
