import { Failure } from "../errors.ts";
import { log, logWarning } from "../host/log.ts";
import type { Clock } from "../kube/clock.ts";
import type { Warning } from "../model/plan.ts";
import type { KeyRing } from "../model/store-key.ts";
import type { Session } from "./session.ts";

/** How soon after one that could not be made whole. */
const retryMs = 600_000;

/** Keeps the archive of images beside whatever else a watch does: a copy of gigabytes runs for minutes. */
export class LiveArchive {
  readonly #session: Session;
  readonly #ring: KeyRing;
  readonly #node: string;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  /** The blessed generation that was looked at last. */
  #seen: number | undefined;
  #dueMs = Number.NEGATIVE_INFINITY;
  #said: readonly string[] = [];

  constructor(session: Session, ring: KeyRing, node: string, clock: Clock) {
    this.#session = session;
    this.#ring = ring;
    this.#node = node;
    this.#clock = clock;
  }

  /**
   * Starts archiving when that is due: at first, when another generation is blessed, and again some time after a
   * failure. Returns at once.
   *
   * @param blessed  the newest generation, where that is blessed
   */
  run(blessed: number | undefined): void {
    const isOff = this.#session.config.images.archive === "off";
    if (isOff || this.#running !== undefined || this.#stop.signal.aborted) {
      return;
    }
    const now = this.#clock.now();
    const isNew = blessed !== undefined && blessed !== this.#seen;
    // A clock that was set back must not put it off for years.
    if (isNew || now >= this.#dueMs || (this.#dueMs > now + retryMs && this.#dueMs !== never)) {
      this.#seen = blessed ?? this.#seen;
      this.#running = this.archive(this.#stop.signal).then((warnings) => {
        this.#running = undefined;
        this.#dueMs = warnings.length === 0 ? never : this.#clock.now() + retryMs;
        warnings.filter(({ message }) => !this.#said.includes(message)).forEach(logWarning);
        this.#said = warnings.map(({ message }) => message);
      });
    }
  }

  /** Archives now, when the archive is not the one of the blessed generation. What goes wrong is a warning. */
  async archive(signal: AbortSignal): Promise<readonly Warning[]> {
    if (this.#session.config.images.archive === "off") {
      return [];
    }
    // Not for whoever wants no archive.
    const { archiveBlessed, describeArchiving } = await import("./archive-images.ts");
    try {
      const options = { node: this.#node, when: "changed", signal } as const;
      const archiving = await archiveBlessed(this.#session, this.#ring, options);
      if (archiving.kind === "made") {
        log(`capture: ${describeArchiving(archiving)}`);
        return archiving.report.warnings;
      }
      return [];
    } catch (error) {
      if (signal.aborted) {
        return [];
      }
      if (!(error instanceof Failure)) {
        throw error;
      }
      const message = `the images are not archived: ${error.code}: ${error.message}`;
      return [{ code: "W_IMAGE_ARCHIVE", message }];
    }
  }

  /** Ends what is under way; the old archive stays. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

const never = Number.POSITIVE_INFINITY;
