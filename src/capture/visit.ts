import { Failure } from "../errors.ts";
import { ApiFailure } from "../kube/api-failure.ts";
import { backoffMs } from "../kube/backoff.ts";
import { steadyTime } from "../kube/clock.ts";
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
  /** In a row. */
  failures: number;
  /** Since when the apiserver has refused it, without a break. */
  refusedAt: number | undefined;
}

interface SinglesOptions extends Omit<Asking, "attempts" | "urgent"> {
  readonly node: string;
  readonly onChange: () => void;
}

/** The authorizer learns of a new pod a little later than its watchers do. */
export const refusalMs = 3_000;
const refreshMs = 600_000;
const retry = { firstMs: 1_000, mostMs: 30_000 } as const;

/** Objects that can only be asked for, not followed: kept as new as ten minutes. */
export class Singles {
  readonly #options: SinglesOptions;
  readonly #asked = new Map<string, Asked>();
  readonly #now: () => number;
  #sleep = new AbortController();

  constructor(options: SinglesOptions) {
    this.#options = options;
    this.#now = steadyTime(options.clock);
    for (const [key, single] of standing(options.node)) {
      this.#asked.set(key, unasked(single, true));
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
      this.#asked.set(key, unasked(singleOf(need), false));
    }
    if (added.length > 0) {
      this.#sleep.abort();
    }
  }

  /** What is known now; see `View`. */
  view(): {
    readonly objects: readonly KubernetesObject[];
    readonly pending: readonly string[];
    readonly refused: ReadonlyMap<string, Failure>;
    readonly failures: readonly Failure[];
  } {
    const objects: KubernetesObject[] = [];
    const pending: string[] = [];
    const refused = new Map<string, Failure>();
    const failures: Failure[] = [];
    const now = this.#now();
    for (const [key, { single, isOptional, result, refusedAt }] of this.#asked) {
      if (result?.kind === "present") {
        objects.push(result.object);
      }
      const failure = result?.kind === "failed" ? result.failure : undefined;
      const isRefused = refusedAt !== undefined && (isOptional || now - refusedAt >= refusalMs);
      if (failure !== undefined && isRefused) {
        if (!isOptional) {
          refused.set(key, failure);
        }
      } else if (failure !== undefined || result === undefined) {
        pending.push(`${single.asked.resource} ${single.asked.object}`);
        failures.push(...(failure === undefined ? [] : [failure]));
      }
    }
    return { objects, pending, refused, failures };
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
      const now = this.#now();
      const all = [...this.#asked.values()];
      const due = all.find(({ dueAt }) => dueAt <= now);
      if (due === undefined) {
        this.#sleep = new AbortController();
        await this.#until(Math.min(...all.map(({ dueAt }) => dueAt)) - now);
        continue;
      }
      const found = await visit(due.single, { api, clock, signal, attempts: 1 });
      this.#take(due, found);
      onChange();
    }
  }

  #take(asked: Asked, found: Visit): void {
    const random = this.#options.clock.random();
    const now = this.#now();
    // What was known stays known while the apiserver is away.
    if (found.kind !== "failed" || asked.result?.kind !== "present") {
      asked.result = found;
    }
    if (found.kind === "failed") {
      const { failure } = found;
      asked.failures += 1;
      asked.refusedAt = isDenied(failure) ? (asked.refusedAt ?? now) : undefined;
      const retryAfterMs = failure instanceof ApiFailure ? failure.retryAfterMs : undefined;
      const waitMs = backoffMs(asked.failures, retry, random, retryAfterMs);
      // A right that is lacking is not looked for twice a minute on every node.
      asked.dueAt = now + (asked.isOptional && isDenied(failure) ? refreshMs : waitMs);
    } else {
      asked.failures = 0;
      asked.refusedAt = undefined;
      asked.dueAt = now + refreshMs * (0.9 + 0.2 * random);
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

function unasked(single: Single, isOptional: boolean): Asked {
  return { single, isOptional, result: undefined, dueAt: 0, failures: 0, refusedAt: undefined };
}

function isDenied(failure: Failure): boolean {
  return failure.code === "E_API_FORBIDDEN";
}
