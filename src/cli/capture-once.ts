import { join } from "node:path";
import type { View } from "../capture/follower.ts";
import { Minting } from "../capture/minting.ts";
import { viewOnce } from "../capture/once.ts";
import { namesOf, Patience } from "../capture/replacement.ts";
import { Failure } from "../errors.ts";
import { statOf } from "../host/guarded-file.ts";
import { log } from "../host/log.ts";
import { systemClock } from "../kube/clock.ts";
import type { Asking } from "../kube/request.ts";
import type { Warning } from "../model/plan.ts";
import { generationName } from "../store/layout.ts";
import type { CaptureSetup } from "./capture-setup.ts";
import type { CaptureReport } from "./describe-capture.ts";
import { LiveArchive } from "./live-archive.ts";
import { type Assessment, LiveCapture, type Recorded } from "./live-capture.ts";
import { readNewest } from "./newest-generation.ts";
import { checkClock, openLive, refuseProjected } from "./open-live.ts";
import { count } from "./table.ts";

const lookMs = 2_000;
/** How often what was read is read again because another process has committed meanwhile. */
const commitRounds = 5;
const lockPatienceMs = 5_000;
const lockPauseMs = 100;
/** When the first look takes longer, whoever waits is told for what. */
const sayMs = 4_000;

/**
 * Captures once from the apiserver, with the kubelet's credentials: read, choose, mint, plan, compare, commit.
 *
 * @throws {Failure} E_PROJECTED, E_CLOCK, E_KUBECONFIG, E_API_…, and what `LiveCapture` throws: the newest
 *   generation stays the newest
 */
export async function captureOnce(setup: CaptureSetup): Promise<CaptureReport> {
  const { session, selection, key, recipients, node: named, allowEmpty } = setup;
  const { ring } = key;
  const live = await openLive(session, { node: named, patient: false });
  const { api, connections, credentials, node, kubelet } = live;
  const clock = systemClock;
  const { signal } = new AbortController();
  const waiting = setTimeout(() => log(`capture: waiting for ${credentials.server}`), sayMs);
  try {
    refuseProjected(session, kubelet.staticPodPath);
    const reading = readNewest(session.storeDir, ring, node);
    const asking = { api, clock, signal, attempts: 3 };
    const minting = new Minting(asking, reading.checkpoint);
    const capture = new LiveCapture(
      { session, node, selection, kubelet, ring, recipients, allowEmpty, clock },
      minting,
      reading.newest,
    );
    let warnings: readonly Warning[] = [];
    const look = async (): Promise<{ view: View; assessment: Assessment }> => {
      const view = await viewOnce(node, (pods) => capture.select(pods), asking);
      const { capturedAt } = reading.newest ?? {};
      warnings = checkClock(new Date(), { skewMs: live.skewMs(), capturedAt });
      return { view, assessment: await capture.assess(view, new Date()) };
    };

    let { view, assessment } = await look();
    clearTimeout(waiting);
    for (const patience = new Patience(); assessment.kind === "awaiting"; ) {
      if (patience.until(assessment.workloads, clock.now()) === undefined) {
        break; // it was scaled down, or moved to another node
      }
      log(`capture: waiting for a new pod of ${namesOf(assessment.workloads)}`);
      await clock.sleep(lookMs, signal);
      ({ view, assessment } = await look());
    }
    let recorded: Recorded | undefined;
    for (let round = 1; assessment.kind !== "unchanged"; round += 1) {
      const { change } = assessment;
      recorded = await afterOthers(() => capture.commit(change), asking);
      if (recorded !== undefined) {
        break;
      }
      if (round === commitRounds) {
        throw overtaken(session.storeDir);
      }
      // Another process has committed meanwhile: what this one has read may be older than that.
      ({ view, assessment } = await look());
    }
    const { change } = assessment;
    const settle = () => capture.settle(view, new Date());
    const blessed =
      recorded === undefined && (await afterOthers(async () => settle(), asking)) === "blessed";
    const generation = capture.newest?.generation;
    if (generation === undefined) {
      throw overtaken(session.storeDir);
    }
    const pinning = await capture.pins.pin();
    const archiving = await new LiveArchive(session, ring, node, clock).archive(signal);
    const file = join(session.storeDir, generationName(generation));
    return {
      generation,
      file,
      sizeBytes: statOf(file)?.size ?? 0,
      changed: recorded !== undefined,
      blessed,
      checkpoint: change.checkpoint,
      plan: change.plan,
      ignored: change.ignored,
      recipients: recipients.length,
      warnings: [
        ...key.warnings,
        ...live.warnings,
        ...reading.warnings,
        ...warnings,
        ...change.plan.warnings,
        ...change.imageWarnings,
        ...(recorded?.warnings ?? []),
        ...pinning.warnings,
        ...archiving,
      ],
    };
  } finally {
    clearTimeout(waiting);
    connections.close();
  }
}

/** Runs it once other processes have committed what they are committing, which takes them no time. */
async function afterOthers<Result>(
  run: () => Promise<Result>,
  { clock, signal }: Pick<Asking, "clock" | "signal">,
): Promise<Result> {
  for (const untilMs = clock.now() + lockPatienceMs; ; ) {
    try {
      return await run();
    } catch (error) {
      const isLocked = error instanceof Failure && error.code === "E_LOCKED";
      if (!isLocked || clock.now() >= untilMs) {
        throw error;
      }
    }
    await clock.sleep(lockPauseMs, signal);
  }
}

function overtaken(storeDir: string): Failure {
  return new Failure("E_LOCKED", {
    what: "other processes commit generations all the time",
    where: storeDir,
    found: `${count(commitRounds, "attempt")} came too late`,
    next: "See which `blackstart capture` run on this node, and stop all but one",
  });
}
