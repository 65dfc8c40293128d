import { type CadenceFacts, nextCommit } from "../capture/cadence.ts";
import { Follower } from "../capture/follower.ts";
import { Minting } from "../capture/minting.ts";
import { namesOf, Patience } from "../capture/replacement.ts";
import { Exit, Failure } from "../errors.ts";
import { log, logWarning } from "../host/log.ts";
import type { Clock } from "../kube/clock.ts";
import { describeDuration } from "../model/clock.ts";
import type { CaptureSetup } from "./capture-setup.ts";
import { Changes } from "./changes.ts";
import { concerns, describePending } from "./describe-watch.ts";
import { LiveArchive } from "./live-archive.ts";
import { type Assessment, LiveCapture } from "./live-capture.ts";
import { readNewest } from "./newest-generation.ts";
import { checkClock, type Live, openLive, refuseProjected } from "./open-live.ts";
import { count, size } from "./table.ts";
import { Tidying } from "./tidying.ts";

/** How often what cannot be watched is looked at: rotated credentials, pods of ours, the clock. */
const lookMs = 30_000;
/** How soon what stands in the way of a first capture is looked at again. */
const retryMs = 5_000;
/** What is pending for longer is said. */
const pendingMs = 60_000;

/** One run of `capture --watch`, from one reading of the configuration to the next. */
export class Watch {
  readonly #setup: CaptureSetup;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #changes: Changes;
  /** What was said last: each trouble is said once, and that it is over. */
  #said = "";
  #lastCommitMs: number | undefined;
  #halfLifeMs: number | undefined;
  #pendingSinceMs: number | undefined;
  #isClockTrusted = false;
  readonly #tidying: Tidying;
  readonly #patience = new Patience();

  constructor(setup: CaptureSetup, clock: Clock, signal: AbortSignal) {
    this.#setup = setup;
    this.#clock = clock;
    this.#signal = signal;
    this.#changes = new Changes(clock, signal);
    this.#tidying = new Tidying(clock);
  }

  /** Runs until the signal is aborted. */
  async run(): Promise<void> {
    const live = await this.#open();
    if (live === undefined) {
      return;
    }
    const { session, key } = this.#setup;
    const { api, connections, node, kubelet } = live;
    const archive = new LiveArchive(session, key.ring, node, this.#clock);
    try {
      const { newest, checkpoint, warnings } = readNewest(session.storeDir, key.ring, node);
      [...live.warnings, ...warnings].forEach(logWarning);
      const asking = { api, clock: this.#clock, signal: this.#signal };
      const minting = new Minting({ ...asking, attempts: 1 }, checkpoint);
      const setup = { ...this.#setup, node, kubelet, ring: key.ring, clock: this.#clock };
      const capture = new LiveCapture(setup, minting, newest);
      this.#lastCommitMs = newest?.capturedAt.getTime();
      this.#halfLifeMs = minting.halfLifeMs;
      this.#changes.note();
      const follower = new Follower({
        ...asking,
        node,
        select: (pods) => capture.select(pods),
        onChange: () => this.#changes.note(),
        onWatches: (watches) => connections.expect(watches),
      });
      log(`capture: following the pods of node ${node}`);
      while (!this.#signal.aborted) {
        const dueMs = await this.#attempt(() => this.#step(live, follower, capture, minting));
        await capture.pins.run();
        archive.run(capture.newest?.blessed === true ? capture.newest.generation : undefined);
        const now = this.#clock.now();
        const mintMs = Math.max(minting.dueAt ?? now + lookMs, now + 1_000);
        await this.#changes.rest(Math.min(dueMs, this.#tidying.run(), mintMs, now + lookMs));
      }
    } finally {
      await archive.end();
      connections.close();
    }
  }

  /** The apiserver's credentials, as soon as there are any; undefined when it ends before. */
  async #open(): Promise<Live | undefined> {
    let live: Live | undefined;
    while (live === undefined && !this.#signal.aborted) {
      const dueMs = await this.#attempt(async () => {
        live = await openLive(this.#setup.session, { node: this.#setup.node, patient: true });
        return 0;
      });
      await this.#changes.rest(dueMs);
    }
    return live;
  }

  /** Looks at what is known, and does what is due. Gives the time of the next look. */
  async #step(
    { credentials, connections, kubelet, ...live }: Live,
    follower: Follower,
    capture: LiveCapture,
    minting: Minting,
  ): Promise<number> {
    const now = this.#clock.now();
    this.#changes.look();
    if (capture.reread()) {
      this.#changes.since(now); // somebody else has committed, or removed generations
    }
    if (credentials.changed()) {
      log("capture: the kubelet's credentials have changed, connecting anew");
      connections.reconnect();
    }
    refuseProjected(this.#setup.session, kubelet.staticPodPath);
    const view = follower.view();
    if (view.pending.length > 0) {
      return this.#await(view.pending, view.failures);
    }
    this.#pendingSinceMs = undefined;
    if (!this.#isClockTrusted) {
      const capturedAt = capture.newest?.capturedAt;
      checkClock(new Date(now), { skewMs: live.skewMs(), capturedAt }).forEach(logWarning);
      this.#isClockTrusted = true;
    }
    if ((minting.dueAt ?? Number.POSITIVE_INFINITY) <= now || (await capture.images.recheck())) {
      this.#changes.since(now);
    }
    const settle = () => capture.settle(view, new Date(this.#clock.now()));
    const quiet = nextCommit(this.#facts({ lastCommitMs: undefined, tokensOnly: false }));
    if (quiet.kind === "at") {
      return quiet.ms;
    }
    if (quiet.kind === "idle") {
      return this.#settled(settle(), capture, minting);
    }
    this.#tidying.note(false);
    const assessment = await capture.assess(view, new Date(now));
    this.#say("");
    capture.images.tell(assessment.change.imageWarnings);
    const awaited = assessment.kind === "awaiting" ? assessment.workloads : [];
    const untilMs = this.#patience.until(awaited, now);
    switch (assessment.kind) {
      case "unchanged":
        this.#changes.done();
        return this.#settled(settle(), capture, minting);
      case "awaiting":
        if (untilMs !== undefined) {
          this.#say(`waiting for a new pod of ${namesOf(assessment.workloads)}`);
          return untilMs;
        }
        return this.#commit(assessment, capture, minting);
      case "changed":
        return this.#commit(assessment, capture, minting);
    }
  }

  async #commit(
    assessment: Exclude<Assessment, { readonly kind: "unchanged" }>,
    capture: LiveCapture,
    minting: Minting,
  ): Promise<number> {
    const tokensOnly = assessment.kind === "changed" && assessment.tokensOnly;
    const when = nextCommit(this.#facts({ lastCommitMs: this.#lastCommitMs, tokensOnly }));
    if (when.kind === "at") {
      return when.ms;
    }
    const sinceMs = this.#changes.sinceMs ?? this.#clock.now();
    const recorded = await capture.commit(assessment.change);
    if (recorded === undefined) {
      return this.#clock.now(); // another process has committed: assess anew
    }
    this.#changes.done();
    const { checkpoint, plan } = assessment.change;
    this.#lastCommitMs = this.#clock.now();
    this.#tidying.note(true);
    this.#halfLifeMs = minting.halfLifeMs;
    log(
      `capture: generation ${recorded.generation}: ${count(checkpoint.pods.length, "pod")}, ${count(checkpoint.items.length, "object")}, ${count(checkpoint.tokens.length, "token")}, ${size(recorded.sizeBytes)}${tokensOnly ? ", new tokens" : ""}; ${describeDuration(this.#clock.now() - sinceMs)} after the change`,
    );
    for (const line of concerns(checkpoint, [...plan.warnings, ...recorded.warnings])) {
      log(line, "warning");
    }
    return this.#lastCommitMs;
  }

  #settled(
    settled: ReturnType<LiveCapture["settle"]>,
    { newest }: LiveCapture,
    minting: Minting,
  ): number {
    if (settled === "blessed") {
      const period = describeDuration(this.#setup.session.config.settleMs);
      log(
        `capture: generation ${newest?.generation} is blessed: its pods have been Ready for ${period}`,
      );
    }
    const dueMs = minting.dueAt ?? Number.POSITIVE_INFINITY;
    return typeof settled === "number" ? Math.min(settled, dueMs) : dueMs;
  }

  #await(pending: readonly string[], failures: readonly Failure[]): number {
    const now = this.#clock.now();
    this.#pendingSinceMs ??= now;
    if (now - this.#pendingSinceMs >= pendingMs) {
      this.#say(describePending(pending, failures));
    }
    return now + lookMs;
  }

  #facts(facts: Pick<CadenceFacts, "lastCommitMs" | "tokensOnly">): CadenceFacts {
    return {
      ...facts,
      now: this.#clock.now(),
      changedSinceMs: this.#changes.sinceMs,
      lastChangeMs: this.#changes.lastMs,
      halfLifeMs: this.#halfLifeMs,
      intervalMs: this.#setup.session.config.capture.intervalMs,
    };
  }

  /** Runs a step; what it throws is said once, and tried again. */
  async #attempt(step: () => Promise<number>): Promise<number> {
    try {
      return await step();
    } catch (error) {
      if (this.#signal.aborted) {
        return 0;
      }
      if (!(error instanceof Failure) || error.code === "E_NODE") {
        throw error;
      }
      this.#say(`${error.code}: ${error.message}`);
      return this.#clock.now() + (error.exit === Exit.tempFail ? retryMs : lookMs);
    }
  }

  #say(line: string): void {
    if (line !== this.#said && line !== "") {
      log(`capture: ${line}`, "warning");
    }
    this.#said = line;
  }
}
