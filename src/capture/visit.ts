import { Failure } from "../errors.ts";
import { ApiFailure } from "../kube/api-failure.ts";
import { type Asking, getObject } from "../kube/request.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import { keyOf, type Need } from "./needs.ts";
import { apiserverEndpoints, nodeOf, type Single, singleOf } from "./resources.ts";

/** What asking once for a single object gave. */
export type Visit =
  | { readonly kind: "present"; readonly object: KubernetesObject }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly failure: Failure };

/**
 * Asks for a single object.
 *
 * Rejects only with the signal's reason. Absent is what the apiserver says does not exist (404), never what
 * it refuses to show (403).
 */
export async function visit({ path, asked }: Single, asking: Asking): Promise<Visit> {
  try {
    return { kind: "present", object: await getObject(path, asked, asking) };
  } catch (error) {
    if (error instanceof ApiFailure && error.code === "E_API_NOT_FOUND") {
      return { kind: "absent" };
    }
    if (error instanceof Failure && !asking.signal.aborted) {
      return { kind: "failed", failure: error };
    }
    throw error;
  }
}

/** What is always asked for; without it a generation is made all the same where a right is lacking. */
export function standing(node: string): readonly (readonly [string, Single])[] {
  return [
    [`Node//${node}`, nodeOf(node)],
    ["Endpoints/default/kubernetes", apiserverEndpoints],
  ];
}

interface Asked {
  readonly single: Single;
  readonly isOptional: boolean;
  result: Visit | undefined;
  /** When it is asked for next. */
  dueAt: number;
}

interface SinglesOptions extends Omit<Asking, "attempts" | "urgent"> {
  readonly node: string;
  readonly onChange: () => void;
}

const refreshMs = 600_000;
const retryMs = 30_000;

/** Objects that can only be asked for, not followed: kept as new as ten minutes. */
export class Singles {
  readonly #options: SinglesOptions;
  readonly #asked = new Map<string, Asked>();
  #sleep = new AbortController();

  constructor(options: SinglesOptions) {
    this.#options = options;
    for (const [key, single] of standing(options.node)) {
      this.#asked.set(key, { single, isOptional: true, result: undefined, dueAt: 0 });
    }
  }

  /** Says which others are needed. What is new is asked for at once. */
  want(needs: readonly Need[]): void {
    const wanted = new Map(needs.map((need) => [keyOf(need), need]));
    for (const [key, { isOptional }] of this.#asked) {
      if (!isOptional && !wanted.has(key)) {
        this.#asked.delete(key);
      }
    }
    const added = [...wanted].filter(([key]) => !this.#asked.has(key));
    for (const [key, need] of added) {
      const single = singleOf(need);
      this.#asked.set(key, { single, isOptional: false, result: undefined, dueAt: 0 });
    }
    if (added.length > 0) {
      this.#sleep.abort();
    }
  }

  view(): {
    readonly objects: readonly KubernetesObject[];
    readonly pending: readonly string[];
    readonly failures: readonly Failure[];
  } {
    const all = [...this.#asked.values()];
    const isPending = ({ result, isOptional }: Asked) =>
      result === undefined ||
      (result.kind === "failed" && !(isOptional && isDenied(result.failure)));
    return {
      objects: all.flatMap(({ result }) => (result?.kind === "present" ? [result.object] : [])),
      pending: all
        .filter(isPending)
        .map(({ single: { asked } }) => `${asked.resource} ${asked.object}`),
      failures: all.flatMap(({ result }) => (result?.kind === "failed" ? [result.failure] : [])),
    };
  }

  /** Asks for what is due, until the signal is aborted. */
  run(): void {
    void this.#loop().catch((error: unknown) => {
      if (!this.#options.signal.aborted) {
        throw error;
      }
    });
  }

  async #loop(): Promise<void> {
    const { clock, signal, api, onChange } = this.#options;
    while (!signal.aborted) {
      const now = clock.now();
      const all = [...this.#asked.values()];
      // A clock that was set back must not put everything off for years.
      const due = all.find(({ dueAt }) => dueAt <= now || dueAt > now + 2 * refreshMs);
      if (due === undefined) {
        this.#sleep = new AbortController();
        await this.#until(Math.min(...all.map(({ dueAt }) => dueAt)) - now);
        continue;
      }
      const found = await visit(due.single, { api, clock, signal, attempts: 1 });
      // What was known stays known while the apiserver is away.
      if (found.kind !== "failed" || due.result?.kind !== "present") {
        due.result = found;
      }
      const waitMs = found.kind === "failed" ? retryMs : refreshMs;
      due.dueAt = clock.now() + waitMs * (0.9 + 0.2 * clock.random());
      onChange();
    }
  }

  /** Sleeps, unless something new is wanted meanwhile. */
  async #until(ms: number): Promise<void> {
    const { clock, signal } = this.#options;
    const sleep = this.#sleep.signal;
    try {
      await clock.sleep(ms, AbortSignal.any([signal, sleep]));
    } catch (error) {
      if (signal.aborted || !sleep.aborted) {
        throw error;
      }
    }
  }
}

function isDenied(failure: Failure): boolean {
  return failure.code === "E_API_FORBIDDEN";
}
