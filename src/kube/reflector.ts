import { Failure } from "../errors.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import type { ApiAnswer } from "./api.ts";
import { ApiFailure, type Asked } from "./api-failure.ts";
import { backoffMs } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { Api } from "./connections.ts";
import { type Kind, listObjects, type ObjectList } from "./list.ts";
import { garbage, readFailure, refuseForeign } from "./request.ts";
import { readEvents, versionOf, type WatchEvent } from "./watch-events.ts";

/** A set of objects that is kept up to date: all of a path that a selector chooses. */
export interface Collection {
  /** Absolute, without a query. */
  readonly path: string;
  /** `fieldSelector=…`, encoded; may be empty. */
  readonly query: string;
  readonly kind: Kind;
  /** For messages: resource and object. */
  readonly resource: string;
  readonly object: string;
  /** Asked first after an outage. */
  readonly urgent: boolean;
}

/** What is known of a collection. */
export interface Observed {
  /** By `namespace/name`; undefined before the first whole list. */
  readonly objects: ReadonlyMap<string, KubernetesObject> | undefined;
  /** True while a watch delivers every change: what is known is what is. */
  readonly live: boolean;
  /** Why it is not live, once something has failed. */
  readonly failure: Failure | undefined;
}

export interface ReflectorOptions {
  readonly api: Api;
  readonly clock: Clock;
  /** Called after each change of what is known; never while another call runs. */
  readonly onChange: (observed: Observed) => void;
  readonly signal: AbortSignal;
}

/** As client-go's reflectors: 0.8 s to 30 s. Source: client-go v0.37.2 `tools/cache/reflector.go`. */
const growth = { firstMs: 800, mostMs: 30_000 } as const;
/** A watch that ends sooner counts as a failure, whatever it gave: asking at once would be a loop. */
const steadyMs = 5_000;
/** How long the body of an answer without success may take. */
const refusalMs = 10_000;
/** How long a watch may last, seconds, and at most twice that: rare, and never together with others. */
const watchSeconds = 3_600;

/**
 * Keeps one collection up to date until the signal is aborted: list, watch with bookmarks, resume where the
 * watch ended; list anew only when the apiserver no longer keeps that place (410).
 *
 * Never rejects for trouble with the apiserver: that is in `Observed.failure`, and the next try follows with
 * growing waits. What was known stays known meanwhile.
 */
export async function reflect(collection: Collection, options: ReflectorOptions): Promise<void> {
  const { clock, onChange, signal } = options;
  const objects = new Map<string, KubernetesObject>();
  let isKnown = false;
  let place = "";
  let failures = 0;
  let continues = false;
  const tell = (live: boolean, failure?: Failure) => {
    if (!signal.aborted) {
      onChange({ objects: isKnown ? objects : undefined, live, failure });
    }
  };

  while (!signal.aborted) {
    // However this attempt ends, its stream is given back.
    const attempt = new AbortController();
    const attempting = { ...options, signal: AbortSignal.any([signal, attempt.signal]) };
    const isResume = place !== "";
    let liveSince = Number.POSITIVE_INFINITY;
    let failure: Failure | undefined;
    try {
      if (place === "") {
        const list = await listOf(collection, continues, attempting);
        objects.clear();
        for (const object of list.items) {
          objects.set(keyOf(object), object);
        }
        isKnown = true;
        place = list.resourceVersion;
        continues = true;
        tell(false);
      }
      const answer = await openWatch(collection, { place, continues }, attempting);
      liveSince = clock.now();
      tell(true);
      for await (const event of readEvents(answer.body, askedOf(collection, "watch"))) {
        place = placeOf(event, collection);
        if (event.kind !== "bookmark") {
          apply(event, objects);
          tell(true);
        }
      }
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      if (!(error instanceof Failure)) {
        throw error;
      }
      failure = error;
    } finally {
      attempt.abort();
    }
    const wasSteady =
      Math.abs(clock.now() - liveSince) >= steadyMs && liveSince < Number.POSITIVE_INFINITY;
    if (wasSteady) {
      failures = 0;
    }
    continues = isResume && failure?.code === "E_API_GONE";
    if (!continues && (!wasSteady || failure !== undefined)) {
      failures += 1;
    }
    if (failure?.code === "E_API_GONE") {
      place = "";
    } else if (failures > 1) {
      failure ??= garbage(askedOf(collection, "watch"), "a watch that ends at once");
    }
    tell(false, failure);
    if (!continues) {
      await pause(failures, failure, options);
    }
  }
}

function placeOf(event: WatchEvent, collection: Collection): string {
  return event.kind === "bookmark"
    ? event.resourceVersion
    : versionOf(event.object, askedOf(collection, "watch"));
}

function apply(
  { kind, object }: Exclude<WatchEvent, { readonly kind: "bookmark" }>,
  objects: Map<string, KubernetesObject>,
): void {
  if (kind === "present") {
    objects.set(keyOf(object), object);
  } else {
    objects.delete(keyOf(object));
  }
}

/** A lost watch is asked for again at once, the first time: turns are given elsewhere. */
async function pause(
  failures: number,
  failure: Failure | undefined,
  { clock, signal }: ReflectorOptions,
): Promise<void> {
  if (failures === 0 || (failures === 1 && failure?.code === "E_API_UNREACHABLE")) {
    return;
  }
  const asked = failure instanceof ApiFailure ? failure.retryAfterMs : undefined;
  try {
    await clock.sleep(backoffMs(failures, growth, clock.random(), asked), signal);
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}

function listOf(
  collection: Collection,
  continues: boolean,
  { api, clock, signal }: ReflectorOptions,
): Promise<ObjectList> {
  const { path, query, kind, urgent } = collection;
  const asking = { api, clock, signal, attempts: 1, urgent, continues };
  return listObjects(path, query, kind, askedOf(collection, "list"), asking);
}

/** The answer of a watch that has begun. */
async function openWatch(
  collection: Collection,
  { place, continues }: { readonly place: string; readonly continues: boolean },
  { api, clock, signal }: ReflectorOptions,
): Promise<ApiAnswer> {
  const { path, query, urgent } = collection;
  const seconds = Math.round(watchSeconds * (1 + clock.random()));
  const parameters = [
    "watch=1",
    query,
    `resourceVersion=${encodeURIComponent(place)}`,
    "allowWatchBookmarks=true",
    `timeoutSeconds=${seconds}`,
  ];
  const url = `${path}?${parameters.filter((parameter) => parameter !== "").join("&")}`;
  const ticket = { kind: "watch", urgent, continues } as const;
  const answer = await api.send({ method: "GET", path: url }, ticket, signal);
  const asked = askedOf(collection, "watch");
  if (answer.status !== 200) {
    // A proxy's page may never end; the attempt's end cancels it.
    const late = clock.sleep(refusalMs, signal).then(() => garbage(asked, "a refusal without end"));
    throw await Promise.race([readFailure(answer, asked), late]);
  }
  refuseForeign(answer, asked);
  return answer;
}

function askedOf({ resource, object }: Collection, verb: Asked["verb"]): Asked {
  return { verb, resource, object };
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
