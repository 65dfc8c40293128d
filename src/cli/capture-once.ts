import { join } from "node:path";
import type { View } from "../capture/follower.ts";
import { Minting } from "../capture/minting.ts";
import { viewOnce } from "../capture/once.ts";
import { namesOf, patienceMs } from "../capture/replacement.ts";
import { Failure } from "../errors.ts";
import { statOf } from "../host/guarded-file.ts";
import { log } from "../host/log.ts";
import { systemClock } from "../kube/clock.ts";
import { generationName } from "../store/layout.ts";
import type { CaptureSetup } from "./capture-setup.ts";
import type { CaptureReport } from "./describe-capture.ts";
import { LiveCapture } from "./live-capture.ts";
import { readNewest } from "./newest-generation.ts";
import { checkClock, openLive, refuseProjected } from "./open-live.ts";
import { count } from "./table.ts";

const lookMs = 2_000;
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
      { session, node, selection, kubelet, ring, recipients, allowEmpty },
      minting,
      reading.newest,
    );
    const look = () => viewOnce(node, (pods) => capture.select(pods), asking);

    let view: View = await look();
    clearTimeout(waiting);
    const warnings = checkClock(new Date(), {
      skewMs: live.skewMs(),
      capturedAt: reading.newest?.capturedAt,
    });
    let assessment = await capture.assess(view, new Date());
    for (const startedAt = clock.now(); assessment.kind === "awaiting"; ) {
      if (clock.now() - startedAt >= patienceMs(assessment.workloads)) {
        break; // it was scaled down, or moved to another node
      }
      log(`capture: waiting for a new pod of ${namesOf(assessment.workloads)}`);
      await clock.sleep(lookMs, signal);
      view = await look();
      assessment = await capture.assess(view, new Date());
    }
    let { change } = assessment;
    let recorded = assessment.kind === "unchanged" ? undefined : await capture.commit(change);
    if (recorded === undefined && assessment.kind !== "unchanged") {
      // Another process has just committed: most often the same.
      assessment = await capture.assess(view, new Date());
      ({ change } = assessment);
      recorded = assessment.kind === "unchanged" ? undefined : await capture.commit(change);
    }
    const blessed = recorded === undefined && capture.settle(view, new Date()) === "blessed";
    const generation = capture.newest?.generation;
    if (generation === undefined) {
      throw new Failure("E_LOCKED", {
        what: "another process commits generations at the same time",
        where: session.storeDir,
        found: `${count(2, "attempt")} came too late`,
        next: "Stop the other process",
      });
    }
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
        ...(recorded?.warnings ?? []),
      ],
    };
  } finally {
    clearTimeout(waiting);
    connections.close();
  }
}
