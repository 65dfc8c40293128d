import { blessing } from "../capture/blessing.ts";
import type { View } from "../capture/follower.ts";
import { imageQuestions, imageUses } from "../capture/image-uses.ts";
import { imageFacts } from "../capture/images.ts";
import { selectEach } from "../capture/live-selection.ts";
import type { Minting } from "../capture/minting.ts";
import type { Awaited } from "../capture/replacement.ts";
import { type IgnoredPod, isPod } from "../capture/select.ts";
import { tokensWanted } from "../capture/tokens.ts";
import type { Selection } from "../config.ts";
import { kubeletFlags } from "../host/kubelet.ts";
import { acquireLock } from "../host/lock.ts";
import type { Clock } from "../kube/clock.ts";
import type { KubeletFacts } from "../model/checkpoint.ts";
import { encodeJson } from "../model/json.ts";
import type { KubernetesObject, Pod } from "../model/kubernetes.ts";
import type { Warning } from "../model/plan.ts";
import type { KeyRing } from "../model/store-key.ts";
import { type CommittedGeneration, commitGeneration } from "../store/commit.ts";
import { bless } from "../store/marks.ts";
import type { Recipient } from "../store/recipients.ts";
import { listGenerations } from "../store/store.ts";
import { chooseLive } from "./choose-live.ts";
import { judgeImageUse } from "./image-use.ts";
import { LiveImages } from "./live-images.ts";
import { LivePins } from "./live-pins.ts";
import { type Newest, newestAfter, readNewest, type Tags, tagsOf } from "./newest-generation.ts";
import { type CapturePlan, planCapture } from "./plan-capture.ts";
import type { Session } from "./session.ts";

/** What a live capture is made with. */
export interface LiveSetup {
  readonly session: Session;
  readonly node: string;
  readonly selection: Selection;
  readonly kubelet: KubeletFacts;
  readonly ring: KeyRing;
  readonly recipients: readonly Recipient[];
  readonly allowEmpty: boolean;
  readonly clock: Clock;
}

/** What is to be done about what is known now. */
export type Assessment =
  /** Some workloads are between two pods. */
  | { readonly kind: "awaiting"; readonly workloads: readonly Awaited[]; readonly change: Change }
  | { readonly kind: "unchanged"; readonly change: Change }
  | {
      readonly kind: "changed";
      /** Nothing but tokens differs from the newest generation. */
      readonly tokensOnly: boolean;
      readonly change: Change;
    };

/** What the next generation would be. The document is secret. */
export interface Change extends CapturePlan {
  readonly tags: Tags;
  readonly ignored: readonly IgnoredPod[];
  /** W_RUNTIME; W_IMAGE_MISSING and W_IMAGE_CREDENTIALS of pods that are captured. */
  readonly imageWarnings: readonly Warning[];
}

/** A generation as it was committed, and what went wrong around it. */
export interface Recorded extends CommittedGeneration {
  readonly warnings: readonly Warning[];
}

/** The captures of one node from one store: assesses what is known, commits it, blesses what has lasted. */
export class LiveCapture {
  readonly #setup: LiveSetup;
  readonly #minting: Minting;
  readonly images: LiveImages;
  readonly pins: LivePins;
  #newest: Newest | undefined;
  /** The number of the newest file when it was last looked at; whether that opens or not. */
  #seen: number | undefined;

  constructor(setup: LiveSetup, minting: Minting, newest: Newest | undefined) {
    this.#setup = setup;
    this.#minting = minting;
    this.images = new LiveImages(setup.session.root, setup.clock);
    this.pins = new LivePins(setup.session, setup.ring, setup.node, setup.clock);
    this.#newest = newest;
    this.#seen = newest?.generation;
  }

  /** Takes note when another process has committed, or generations are gone. True when that is so. */
  reread(): boolean {
    const { session, ring, node } = this.#setup;
    const onDisk = this.#onDisk();
    if (onDisk === this.#seen) {
      return false;
    }
    this.#seen = onDisk;
    const before = this.#newest?.generation;
    this.#newest = readNewest(session.storeDir, ring, node).newest;
    return this.#newest?.generation !== before;
  }

  get newest(): Newest | undefined {
    return this.#newest;
  }

  /** The pods that are captured, among all of the node. */
  select(pods: readonly KubernetesObject[]): readonly Pod[] {
    return selectEach(pods, this.#setup.selection, this.#setup.node).selected;
  }

  /**
   * Plans the next generation and compares it with the newest one. Mints the tokens that are due, and asks the runtime
   * for the images.
   *
   * @throws {Failure} what `chooseLive` and `planCapture` throw: the newest generation stays; what minting throws
   */
  async assess(view: View, now: Date): Promise<Assessment> {
    const { node, selection, allowEmpty, kubelet, ring, session } = this.#setup;
    const choice = { node, selection, newest: this.#newest, allowEmpty };
    const { selected, skipped, ignored, awaited } = chooseLive(view, choice);
    const uses = imageUses(selected);
    const [told] = await Promise.all([
      this.images.ask(imageQuestions(uses)),
      this.#minting.refresh(tokensWanted(selected)),
    ]);
    const { images, warnings } = imageFacts(uses, told.answers, this.#newest?.images);
    const plan = planCapture(
      {
        node,
        capturedAt: now,
        source: "apiserver",
        selected,
        objects: view.objects,
        skipped,
        tokens: this.#minting.tokens,
        unminted: this.#minting.unminted,
        images,
        kubelet: { ...versionOf(view.objects, node), ...kubelet },
      },
      session.config,
    );
    const flags = kubeletFlags(session.root);
    const { version } = plan.checkpoint.metadata.kubelet ?? {};
    const judged = await judgeImageUse(session, { flags }, version, plan.plan.pods);
    const isKept = ({ namespace, name }: Warning) =>
      plan.plan.pods.some((pod) => pod.namespace === namespace && pod.name === name);
    const change = {
      ...plan,
      tags: tagsOf(plan.checkpoint, ring.primary),
      ignored,
      imageWarnings: [...told.warnings, ...warnings.filter(isKept), ...judged.warnings],
    };
    const newest = this.#newest?.tags;
    if (newest?.whole === change.tags.whole) {
      return { kind: "unchanged", change };
    }
    if (awaited.length > 0) {
      return { kind: "awaiting", workloads: awaited, change };
    }
    const tokensOnly = newest?.withoutTokens === change.tags.withoutTokens;
    return { kind: "changed", tokensOnly, change };
  }

  /**
   * Commits the next generation; the commit point is `commitGeneration`.
   *
   * undefined when another process has committed meanwhile: what is known is to be assessed anew.
   *
   * @throws {Failure} E_LOCKED only when another process is committing; what `commitGeneration` throws
   */
  async commit({ checkpoint, tags }: Change): Promise<Recorded | undefined> {
    const { session, ring, recipients, node } = this.#setup;
    using lock = acquireLock(session.runDir);
    if (this.reread()) {
      return undefined;
    }
    const { capturedAt } = checkpoint.metadata;
    const committed = await commitGeneration(
      session.storeDir,
      { plaintext: Buffer.from(encodeJson(checkpoint), "utf8"), node, capturedAt },
      ring,
      recipients,
      { keep: session.config.retention.generations },
    );
    const { generation } = committed;
    this.#seen = generation;
    this.pins.note();
    this.#newest = newestAfter(this.#newest, { generation, checkpoint, tags });
    return { ...committed, warnings: [...lock.warnings, ...committed.warnings] };
  }

  /**
   * Blesses the newest generation once all its pods have been Ready for the settle period. Only while what is
   * known does not differ from it.
   *
   * @returns when to look again, ms since 1970; undefined where a change has to come first; "blessed" when just done
   * @throws {Failure} what `bless` throws
   */
  settle(view: View, now: Date): number | "blessed" | undefined {
    const newest = this.#newest;
    if (newest === undefined || newest.blessed || newest.pods.length === 0) {
      return undefined;
    }
    const { session } = this.#setup;
    const verdict = blessing({
      pods: newest.pods,
      live: view.pods.filter(isPod),
      now,
      settleMs: session.config.settleMs,
      stableSince: newest.stableSince,
    });
    if (verdict.kind !== "blessed") {
      return verdict.kind === "wait" ? verdict.untilMs : undefined;
    }
    using _lock = acquireLock(session.runDir);
    bless(session.storeDir, newest.generation);
    this.pins.note();
    this.#newest = { ...newest, blessed: true };
    return "blessed";
  }

  /** The number of the newest generation's file, whether it opens or not. */
  #onDisk(): number | undefined {
    try {
      return listGenerations(this.#setup.session.storeDir).generations[0]?.generation;
    } catch {
      return undefined; // committing makes the directory, or tells what is wrong with it
    }
  }
}

/** The kubelet's version, as its Node says. */
function versionOf(objects: readonly KubernetesObject[], node: string): KubeletFacts {
  const found = objects.find(({ kind, metadata }) => kind === "Node" && metadata.name === node);
  const version = fieldOf(fieldOf(found?.["status"], "nodeInfo"), "kubeletVersion");
  return typeof version === "string" ? { version } : {};
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
