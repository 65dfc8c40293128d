import { Failure } from "../errors.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import type { ApiAnswer } from "./api.ts";
import { ApiFailure, type Asked } from "./api-failure.ts";
import { backoffMs } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { Api } from "./connections.ts";
import { failureOfAnswer, type Kind, listObjects, readText, refuseForeign } from "./request.ts";
import { readEvents, versionOf } from "./watch-events.ts";

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
/** A watch that ends sooner, without an event, counts as a failure: asking at once would be a loop. */
const shortestWatchMs = 1_000;
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
  const tell = (live: boolean, failure?: Failure) =>
    onChange({ objects: isKnown ? objects : undefined, live, failure });

  while (!signal.aborted) {
    try {
      if (place === "") {
        const list = await listOf(collection, options);
        objects.clear();
        for (const object of list.items) {
          objects.set(keyOf(object), object);
        }
        isKnown = true;
        place = list.resourceVersion;
        tell(false);
      }
      const asked = askedOf(collection, "watch");
      const answer = await openWatch(collection, place, options);
      const startedAt = clock.now();
      let events = 0;
      tell(true);
      for await (const event of readEvents(answer.body, asked)) {
        events += 1;
        if (event.kind === "bookmark") {
          place = event.resourceVersion;
          continue;
        }
        place = versionOf(event.object, asked);
        if (event.kind === "present") {
          objects.set(keyOf(event.object), event.object);
        } else {
          objects.delete(keyOf(event.object));
        }
        failures = 0;
        tell(true);
      }
      // It ended as all watches do after a while.
      const wasShort = events === 0 && Math.abs(clock.now() - startedAt) < shortestWatchMs;
      failures = wasShort ? failures + 1 : 0;
      tell(false);
      if (wasShort) {
        await clock.sleep(backoffMs(failures, growth, clock.random()), signal);
      }
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      if (!(error instanceof Failure)) {
        throw error;
      }
      if (error.code === "E_API_GONE") {
        place = "";
      }
      failures += 1;
      tell(false, error);
      await pause(failures, error, options);
    }
  }
}

/** A lost connection is asked for again at once, the first time; the connections themselves wait. */
async function pause(
  failures: number,
  failure: Failure,
  { clock, signal }: ReflectorOptions,
): Promise<void> {
  const isFirst = failures === 1;
  const isLost = failure.code === "E_API_UNREACHABLE" || failure.code === "E_API_GONE";
  if (isFirst && isLost) {
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

function listOf(collection: Collection, { api, clock, signal }: ReflectorOptions) {
  const { path, query, kind, urgent } = collection;
  const asking = { api, clock, signal, attempts: 1, urgent };
  return listObjects(path, query, kind, askedOf(collection, "list"), asking);
}

/** The answer of a watch that has begun. */
async function openWatch(
  collection: Collection,
  place: string,
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
  const answer = await api.send({ method: "GET", path: url }, { kind: "watch", urgent }, signal);
  const asked = askedOf(collection, "watch");
  if (answer.status !== 200) {
    throw failureOfAnswer(answer, await readText(answer, asked, 65_536), asked);
  }
  try {
    refuseForeign(answer, asked);
  } catch (error) {
    await readText(answer, asked, 65_536); // gives the stream back
    throw error;
  }
  return answer;
}

function askedOf({ resource, object }: Collection, verb: Asked["verb"]): Asked {
  return { verb, resource, object };
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
