import { under } from "../config.ts";
import { log, logWarning } from "../host/log.ts";
import { runtimeSocket } from "../host/runtime-socket.ts";
import type { Clock } from "../kube/clock.ts";
import type { KeyRing } from "../model/store-key.ts";
import type { Pinning } from "./pin-images.ts";
import type { Session } from "./session.ts";
import { count } from "./table.ts";

/** How often is looked without a reason: a pin goes with an image that somebody removes and pulls again. */
const recheckMs = 600_000;
/** How soon after one that could not be done whole. */
const retryMs = 60_000;

/** Keeps the images of the newest generation and of the blessed one from garbage collection. */
export class LivePins {
  readonly #session: Session;
  readonly #ring: KeyRing;
  readonly #node: string;
  readonly #clock: Clock;
  #dueMs = Number.NEGATIVE_INFINITY;
  #said: readonly string[] = [];

  constructor(session: Session, ring: KeyRing, node: string, clock: Clock) {
    this.#session = session;
    this.#ring = ring;
    this.#node = node;
    this.#clock = clock;
  }

  /** A generation was made or blessed. */
  note(): void {
    this.#dueMs = Number.NEGATIVE_INFINITY;
  }

  /** Pins and unpins what is due, and logs what has changed. Never rejects for what the runtime does. */
  async run(): Promise<void> {
    const now = this.#clock.now();
    // A clock that was set back must not put it off for years.
    if (now < this.#dueMs && this.#dueMs <= now + recheckMs) {
      return;
    }
    const { warnings, isSilent } = await this.pin();
    const isDone = warnings.length === 0 && !isSilent;
    this.#dueMs = this.#clock.now() + (isDone ? recheckMs : retryMs);
    warnings.filter(({ message }) => !this.#said.includes(message)).forEach(logWarning);
    this.#said = warnings.map(({ message }) => message);
  }

  /** Pins and unpins now. A runtime that is silent is told of where it is asked for images. */
  async pin(): Promise<Pick<Pinning, "isSilent" | "warnings">> {
    const found = await runtimeSocket(this.#session.root);
    if (found.kind === "none") {
      return { isSilent: true, warnings: [] };
    }
    // Not for whoever captures from files.
    const { pinImages } = await import("./pin-images.ts");
    const socket = under(this.#session.root, found.path);
    const pinning = await pinImages(this.#session, this.#ring, this.#node, socket);
    sayChanges(pinning);
    return pinning;
  }
}

function sayChanges({ pinned, unpinned }: Pinning): void {
  const parts = [
    ...(pinned > 0 ? [`${count(pinned, "image")} pinned`] : []),
    ...(unpinned > 0 ? [`${count(unpinned, "image")} unpinned`] : []),
  ];
  if (parts.length > 0) {
    log(`capture: ${parts.join(", ")}`);
  }
}
