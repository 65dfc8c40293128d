import type { Failure } from "../errors.ts";
import { ApiFailure } from "../kube/api-failure.ts";
import { steadyTime } from "../kube/clock.ts";
import { type Collection, type Observed, reflect } from "../kube/reflector.ts";
import type { Asking } from "../kube/request.ts";
import type { KubernetesObject, Pod } from "../model/kubernetes.ts";
import { keyOf, type Need, needsOf } from "./needs.ts";
import { collectionOf, podsOf, servicesOf } from "./resources.ts";
import { refusalMs, Singles } from "./visit.ts";

/** What is known of a node's part of the cluster at one moment. */
export interface View {
  /** Every pod of the node, captured or not. */
  readonly pods: readonly KubernetesObject[];
  /** What the captured pods need. */
  readonly objects: readonly KubernetesObject[];
  /** What is not known for certain, in words; a generation is made only while there is none. */
  readonly pending: readonly string[];
  /** By `keyOf`: needed objects that the apiserver refuses to give, for good as it seems. */
  readonly refused: ReadonlyMap<string, Failure>;
  /** Why the pending is pending, each failure once. */
  readonly failures: readonly Failure[];
}

export interface FollowerOptions extends Omit<Asking, "attempts" | "urgent"> {
  readonly node: string;
  /** The pods that are captured. */
  readonly select: (pods: readonly KubernetesObject[]) => readonly Pod[];
  /** Something may have changed. Called often; never while another call runs. */
  readonly onChange: () => void;
  /** Hears how many watches there are to be, before they begin. */
  readonly onWatches: (count: number) => void;
}

interface Followed {
  readonly stop: AbortController;
  readonly collection: Collection;
  observed: Observed;
  /** Since when the apiserver has refused it, without a break. */
  refusedAt: number | undefined;
}

const unknown: Observed = { objects: undefined, live: false, failure: undefined };

/**
 * Follows the pods of one node and every object that the captured ones need, each by a watch of its own where
 * the Node authorizer allows one; the rest is asked for anew every ten minutes.
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #pods: Followed;
  readonly #followed = new Map<string, Followed>();
  readonly #singles: Singles;
  readonly #now: () => number;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#now = steadyTime(options.clock);
    this.#singles = new Singles({ ...options, onChange: () => this.#choose() });
    this.#pods = this.#start(podsOf(options.node), () => this.#choose());
    this.#singles.run();
  }

  /** What is known now. */
  view(): View {
    const pending: string[] = [];
    const failures = new Map<string, Failure>();
    const singles = this.#singles.view();
    const refused = new Map(singles.refused);
    const objects: KubernetesObject[] = [];
    const now = this.#now();
    for (const [key, { collection, observed, refusedAt }] of [
      ["", this.#pods] as const,
      ...this.#followed,
    ]) {
      const { live, failure } = observed;
      if (observed.objects !== undefined && key !== "") {
        objects.push(...observed.objects.values());
      }
      if (live) {
        continue;
      }
      // Without the pods nothing is known, refused or not.
      const isRefused = key !== "" && refusedAt !== undefined && now - refusedAt >= refusalMs;
      if (isRefused && failure !== undefined) {
        refused.set(key, failure);
        continue;
      }
      pending.push(`${collection.resource} ${collection.object}`);
      if (failure !== undefined) {
        failures.set(failure.message, failure);
      }
    }
    for (const failure of singles.failures) {
      failures.set(failure.message, failure);
    }
    return {
      pods: [...(this.#pods.observed.objects?.values() ?? [])],
      objects: [...objects, ...singles.objects],
      pending: [...pending, ...singles.pending],
      refused,
      failures: [...failures.values()],
    };
  }

  #start(collection: Collection, onChange: () => void): Followed {
    const { api, clock, signal } = this.#options;
    const now = this.#now;
    const stop = new AbortController();
    const followed: Followed = { stop, collection, observed: unknown, refusedAt: undefined };
    void reflect(collection, {
      api,
      clock,
      signal: AbortSignal.any([signal, stop.signal]),
      onChange: (observed) => {
        followed.observed = observed;
        followed.refusedAt = isRefusal(observed.failure)
          ? (followed.refusedAt ?? now())
          : undefined;
        onChange();
      },
    });
    return followed;
  }

  /** Follows what the pods need now, and no longer what they do not. */
  #choose(): void {
    const { select, onChange } = this.#options;
    const { objects } = this.#pods.observed;
    if (objects !== undefined) {
      const pods = select([...objects.values()]);
      const needs = needsOf(pods, this.#singles.view().objects);
      this.#follow(needs.watched, needs.serviceNamespaces);
      this.#singles.want(needs.fetched);
    }
    onChange();
  }

  #follow(needs: readonly Need[], serviceNamespaces: readonly string[]): void {
    const wanted = new Map<string, () => Collection>(
      needs.map((need) => [keyOf(need), () => collectionOf(need)]),
    );
    for (const namespace of serviceNamespaces) {
      wanted.set(`Service/${namespace}/`, () => servicesOf(namespace));
    }
    if (!serviceNamespaces.includes("default")) {
      wanted.set("Service/default/kubernetes", () => servicesOf("default", "kubernetes"));
    }
    // Before the first of them asks for its turn; with the pods' own.
    this.#options.onWatches(wanted.size + 1);
    for (const [key, { stop }] of this.#followed) {
      if (!wanted.has(key)) {
        stop.abort();
        this.#followed.delete(key);
      }
    }
    for (const [key, collection] of wanted) {
      if (!this.#followed.has(key)) {
        this.#followed.set(
          key,
          this.#start(collection(), () => this.#options.onChange()),
        );
      }
    }
  }
}

/** True where asking again is no use until somebody changes a right. */
function isRefusal(failure: Failure | undefined): boolean {
  return failure instanceof ApiFailure && failure.code === "E_API_FORBIDDEN";
}
