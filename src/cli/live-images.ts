import type { ImageAnswer } from "../capture/images.ts";
import { under } from "../config.ts";
import { log } from "../host/log.ts";
import { runtimeSocket } from "../host/runtime-socket.ts";
import { type Clock, steadyTime } from "../kube/clock.ts";
import type { Warning } from "../model/plan.ts";
import { warningLines } from "./describe-plan.ts";
import { count } from "./table.ts";

/** What a capture waits for the runtime, however many images it asks for. */
const deadlineMs = 2_000;
/** For how long an answer is taken as it was when a change is assessed. */
const freshMs = 30_000;
/** How often is asked again without a change, for images come and go on their own. */
const recheckMs = 300_000;
/** How soon is asked again after the runtime was silent; nobody waits for it in between. */
const retryMs = 60_000;

/** What the runtime told when it was last asked. */
export interface ImagesTold {
  readonly answers: ReadonlyMap<string, ImageAnswer>;
  /** It told nothing at all. */
  readonly silent: boolean;
  /** W_RUNTIME, at most one. */
  readonly warnings: readonly Warning[];
}

/** Asks this node's runtime for images, and not too often. Each look has a connection of its own. */
export class LiveImages {
  readonly #root: string;
  readonly #now: () => number;
  #told: ImagesTold & { readonly questions: readonly string[]; readonly atMs: number } = {
    questions: [],
    answers: new Map(),
    silent: false,
    warnings: [],
    atMs: Number.NEGATIVE_INFINITY,
  };

  #said: readonly string[] = [];

  constructor(root: string, clock: Clock) {
    this.#root = root;
    this.#now = steadyTime(clock);
  }

  /** What the runtime tells of these names, digests and ids. Never rejects. */
  async ask(questions: readonly string[]): Promise<ImagesTold> {
    const { answers, silent, atMs } = this.#told;
    const ageMs = this.#now() - atMs;
    const isKnown = silent || questions.every((question) => answers.has(question));
    return isKnown && ageMs < (silent ? retryMs : freshMs) ? this.#told : this.#look(questions);
  }

  /** Asks anew for what was asked last, where that is due. True where the runtime now tells something else. */
  async recheck(): Promise<boolean> {
    const before = this.#told;
    const dueMs = before.atMs + (before.warnings.length > 0 ? retryMs : recheckMs);
    if (before.questions.length === 0 || this.#now() < dueMs) {
      return false;
    }
    return factsOf(await this.#look(before.questions)) !== factsOf(before);
  }

  /**
   * Logs what is new, and what is no longer so, since it was last told.
   *
   * @param warnings  all that are true now
   */
  tell(warnings: readonly Warning[]): void {
    const lines = warningLines(warnings);
    for (const line of lines.filter((one) => !this.#said.includes(one))) {
      log(line, "warning");
    }
    for (const line of this.#said.filter((one) => !lines.includes(one))) {
      log(`capture: no longer so: ${line}`);
    }
    this.#said = lines;
  }

  async #look(questions: readonly string[]): Promise<ImagesTold> {
    const told = await look(this.#root, questions);
    this.#told = { ...told, questions, atMs: this.#now() };
    return this.#told;
  }
}

async function look(root: string, questions: readonly string[]): Promise<ImagesTold> {
  if (questions.length === 0) {
    return { answers: new Map(), silent: false, warnings: [] };
  }
  const found = await runtimeSocket(root);
  if (found.kind === "none") {
    return { answers: new Map(), silent: true, warnings: [warningOf(found.problem)] };
  }
  // Not for whoever captures from files.
  const { askImages } = await import("../runtime/ask-images.ts");
  const answers = await askImages(under(root, found.path), questions, deadlineMs);
  const problems = [...answers.values()].flatMap((answer) =>
    answer.kind === "unknown" ? [answer.problem] : [],
  );
  const [problem] = problems;
  const silent = problems.length === questions.length;
  const some = silent ? "" : ` (${problems.length} of ${count(questions.length, "name")})`;
  return {
    answers,
    silent,
    warnings: problem === undefined ? [] : [warningOf(`${found.path}: ${problem}${some}`)],
  };
}

function warningOf(problem: string): Warning {
  return {
    code: "W_RUNTIME",
    message: `the container runtime does not tell which images this node has: ${problem}; what the newest generation knows of them is kept`,
  };
}

/** Equal where a capture would make the same of it. */
function factsOf({ answers, warnings }: ImagesTold): string {
  const facts = [...answers].map(([question, answer]) =>
    answer.kind === "present"
      ? [question, answer.image.id, ...answer.image.repoDigests.toSorted()]
      : [question, answer.kind],
  );
  return JSON.stringify([facts.sort(), warnings.map(({ message }) => message)]);
}
