import type { ApiRequest, Dial } from "../../src/kube/api.ts";
import type { Clock } from "../../src/kube/clock.ts";
import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import { endAs, eventLine, statusOf, truncating } from "./simulated-answers.ts";
import { type Answering, lost, SimulatedConnection, type Stream } from "./simulated-connection.ts";
import { type CollectionKey, SimulatedStore } from "./simulated-store.ts";

/** What goes wrong with one request. */
export type Fault =
  | { readonly kind: "lost" }
  /** No answer, ever. */
  | { readonly kind: "silent" }
  | {
      readonly kind: "answer";
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body: string;
      /** How the body ends; "open" for never. */
      readonly ends?: "whole" | "cut" | "open";
    }
  /** Of the true answer only so many bytes, then the end of the body or of the stream. */
  | { readonly kind: "truncated"; readonly bytes: number; readonly ends: "whole" | "cut" };

export interface ServerOptions {
  readonly clock: Clock & { at(at: number, fire: () => void): unknown };
  readonly streamLimit?: number;
  /** From a request to its answer. */
  readonly latencyMs?: number;
  /** Between bookmarks; `Infinity` for none. */
  readonly bookmarkMs?: number;
  /** At least 0, below 1: where each piece of a body is broken in two. */
  readonly splitAt?: () => number;
}

interface Watch {
  readonly stream: Stream;
  readonly collection: CollectionKey;
}

const json = { "content-type": "application/json" };
const paths = /^\/api\/v1(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?$/;

/** An apiserver as its clients see it: lists, watches, and everything that can go wrong with them. */
export class SimulatedApiserver {
  readonly store = new SimulatedStore();
  readonly connections = new Set<SimulatedConnection>();
  /** What each dial meets: nothing is listening while this is false. */
  isUp = true;
  /** Asked for each request; undefined serves it. */
  fault: (request: ApiRequest) => Fault | undefined = () => undefined;
  /** A watch from before the history: told by the HTTP status, or by the first event. */
  goneAs: "status" | "event" = "event";
  pageTokensExpire = false;
  dials = 0;
  /** All requests that came, by "list", "watch", "get". */
  readonly requests: { readonly at: number; readonly verb: string; readonly path: string }[] = [];
  /** Hears each request instead of it being kept. */
  onRequest: ((verb: string) => void) | undefined;
  readonly #options: ServerOptions;
  readonly #watches = new Map<CollectionKey, Set<Watch>>();
  readonly #pages = new Map<string, { items: readonly KubernetesObject[]; revision: number }>();
  readonly #never = new AbortController().signal;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.store.onChange = (collection, change) => {
      for (const { stream } of this.#watches.get(collection) ?? []) {
        stream.write(eventLine(change));
      }
    };
  }

  readonly dial: Dial = async (signal) => {
    this.dials += 1;
    await this.#options.clock.sleep(this.#options.latencyMs ?? 1, signal);
    if (!this.isUp) {
      throw lost();
    }
    const connection = new SimulatedConnection(
      this.#options.streamLimit ?? 250,
      (request, answering) => void this.#answer(connection, request, answering),
      () => this.connections.delete(connection),
      this.#options.splitAt,
    );
    this.connections.add(connection);
    return connection;
  };

  /** All streams of watches that are open. */
  get watches(): readonly Stream[] {
    return [...this.#watches.values()].flatMap((all) => [...all].map(({ stream }) => stream));
  }

  breakConnections(): void {
    for (const connection of [...this.connections]) {
      connection.break();
    }
  }

  goAway(): void {
    for (const connection of this.connections) {
      connection.goAway();
    }
  }

  /** Dies; on return its watch cache begins with what is there. */
  stop(): void {
    this.isUp = false;
    this.breakConnections();
  }

  start(): void {
    this.store.advance();
    this.store.compact();
    this.isUp = true;
  }

  async #answer(
    connection: SimulatedConnection,
    request: ApiRequest,
    answering: Answering,
  ): Promise<void> {
    const verb = verbOf(request);
    if (this.onRequest === undefined) {
      this.requests.push({ at: this.#options.clock.now(), verb, path: request.path });
    } else {
      this.onRequest(verb);
    }
    const fault = this.fault(request);
    const { latencyMs = 1, clock } = this.#options;
    await clock.sleep(latencyMs * (0.5 + clock.random()), this.#never);
    if (connection.isClosed || fault?.kind === "silent") {
      return;
    }
    switch (fault?.kind) {
      case "lost":
        answering.lose();
        return;
      case "answer": {
        const stream = answering.head(fault.status ?? 200, { ...json, ...fault.headers });
        stream.write(fault.body);
        endAs(stream, fault.ends ?? "whole");
        return;
      }
      case "truncated": {
        const head: Answering["head"] = (status, headers) =>
          truncating(answering.head(status, headers), fault.bytes, fault.ends);
        this.#serve(request, { ...answering, head });
        return;
      }
      case undefined:
        this.#serve(request, answering);
        return;
      default:
        fault satisfies never;
    }
  }

  #serve(request: ApiRequest, answering: Answering): void {
    const url = new URL(request.path, "https://server");
    const [, namespace, resource = "", name] = paths.exec(url.pathname) ?? [];
    if (name !== undefined) {
      const object = this.store.get(resource, namespace ?? "", name);
      const stream = answering.head(object === undefined ? 404 : 200, json);
      stream.write(JSON.stringify(object ?? statusOf(404, "NotFound")));
      stream.end();
      return;
    }
    const selector = url.searchParams.get("fieldSelector");
    const scope = namespace === undefined ? resource : `${resource}/${namespace}`;
    const collection = selector === null ? scope : `${scope}?${selector}`;
    if (url.searchParams.get("watch") === "1") {
      this.#watch(url.searchParams, collection, answering);
    } else {
      this.#list(url.searchParams, collection, answering);
    }
  }

  #list(parameters: URLSearchParams, collection: CollectionKey, answering: Answering): void {
    const token = parameters.get("continue");
    const limit = Number(parameters.get("limit") ?? Number.POSITIVE_INFINITY);
    const page =
      token === null
        ? { items: this.store.list(collection), revision: this.store.revision }
        : this.#pages.get(token);
    if (page === undefined || (token !== null && this.pageTokensExpire)) {
      const stream = answering.head(410, json);
      stream.write(JSON.stringify(statusOf(410, "Expired")));
      stream.end();
      return;
    }
    const { revision } = page;
    const items = page.items
      .slice(0, limit)
      .map(({ kind: _kind, apiVersion: _version, ...item }) => item);
    const rest = page.items.slice(limit);
    const next = rest.length === 0 ? undefined : `token-${this.#pages.size}`;
    if (next !== undefined) {
      this.#pages.set(next, { items: rest, revision });
    }
    const metadata = {
      resourceVersion: String(revision),
      ...(next === undefined ? {} : { continue: next }),
    };
    const stream = answering.head(200, json);
    stream.write(
      JSON.stringify({ kind: listKindOf(collection), apiVersion: "v1", metadata, items }),
    );
    stream.end();
  }

  #watch(parameters: URLSearchParams, collection: CollectionKey, answering: Answering): void {
    const from = Number(parameters.get("resourceVersion"));
    if (from < this.store.compacted) {
      const status = JSON.stringify(statusOf(410, "Expired"));
      const stream = answering.head(this.goneAs === "status" ? 410 : 200, json);
      stream.write(this.goneAs === "status" ? status : `{"type":"ERROR","object":${status}}\n`);
      stream.end();
      return;
    }
    const stream = answering.head(200, json);
    const watch = { stream, collection };
    const all = this.#watches.get(collection) ?? new Set();
    this.#watches.set(collection, all.add(watch));
    if (stream.isOver) {
      all.delete(watch);
      return;
    }
    stream.onOver = () => all.delete(watch);
    for (const change of this.store.since(collection, from)) {
      stream.write(eventLine(change));
    }
    const { clock, bookmarkMs = 60_000 } = this.#options;
    clock.at(clock.now() + Number(parameters.get("timeoutSeconds")) * 1_000, () => stream.end());
    const bookmark = () => {
      if (!stream.isOver) {
        const metadata = { resourceVersion: String(this.store.revision) };
        stream.write(`${JSON.stringify({ type: "BOOKMARK", object: { kind: "", metadata } })}\n`);
        clock.at(clock.now() + bookmarkMs, bookmark);
      }
    };
    if (
      bookmarkMs !== Number.POSITIVE_INFINITY &&
      parameters.get("allowWatchBookmarks") === "true"
    ) {
      clock.at(clock.now() + bookmarkMs, bookmark);
    }
  }
}

function verbOf({ method, path }: ApiRequest): string {
  if (method === "POST") {
    return "create";
  }
  return path.includes("?") ? (path.includes("watch=1") ? "watch" : "list") : "get";
}

const listKinds: Readonly<Record<string, string>> = {
  pods: "PodList",
  secrets: "SecretList",
  configmaps: "ConfigMapList",
  services: "ServiceList",
};

function listKindOf(collection: CollectionKey): string {
  return listKinds[/^[a-z]+/.exec(collection)?.[0] ?? ""] ?? "List";
}
