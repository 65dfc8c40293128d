import assert from "node:assert/strict";
import { Connections, type ConnectionsOptions } from "../../src/kube/connections.ts";
import { type Collection, type Observed, reflect } from "../../src/kube/reflector.ts";
import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import { type ServerOptions, SimulatedApiserver } from "./simulated-apiserver.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A simulated apiserver with one client of it. */
export interface World {
  readonly clock: VirtualClock;
  readonly server: SimulatedApiserver;
  readonly connections: Connections;
}

export function makeWorld(
  seed = 1,
  options: Partial<ConnectionsOptions> = {},
  serverOptions: Partial<ServerOptions> = {},
): World {
  const clock = new VirtualClock(seed);
  const server = new SimulatedApiserver({ clock, ...serverOptions });
  const attempts = Number.POSITIVE_INFINITY;
  const { dial } = server;
  const connections = new Connections({ dial, clock, attempts, crowded: false, ...options });
  return { clock, server, connections };
}

/** A Secret of the namespace `ns`. */
export function secret(name: string, value = "v"): KubernetesObject {
  const data = { value: Buffer.from(value).toString("base64") };
  return { kind: "Secret", apiVersion: "v1", metadata: { name, namespace: "ns" }, data };
}

/** All Secrets of the namespace `ns`. */
export const secrets: Collection = {
  path: "/api/v1/namespaces/ns/secrets",
  query: "",
  kind: { kind: "Secret", apiVersion: "v1" },
  resource: "secrets",
  object: "of namespace ns",
  urgent: false,
};

/** One followed collection and everything that was seen of it. */
export class Following {
  observed: Observed = { objects: undefined, live: false, failure: undefined };
  /** The version of each object when it was first seen, in the order in which they were told. */
  readonly seen: string[] = [];
  readonly failures: string[] = [];
  readonly done: Promise<void>;
  readonly #stop = new AbortController();

  constructor({ clock, connections: api }: World, collection = secrets) {
    let before = new Map<string, KubernetesObject>();
    this.done = reflect(collection, {
      api,
      clock,
      signal: this.#stop.signal,
      onChange: (observed) => {
        assert.equal(this.#stop.signal.aborted, false, "told after it was stopped");
        this.observed = observed;
        if (observed.failure !== undefined) {
          this.failures.push(observed.failure.code);
        }
        const now = new Map(observed.objects);
        for (const [key, object] of now) {
          const version = versionNumber(object);
          const known = before.get(key);
          if (known !== object) {
            // A list gives what is known again; nothing may ever go back.
            assert.ok(known === undefined || versionNumber(known) <= version, `${key} went back`);
            if (known === undefined || versionNumber(known) < version) {
              this.seen.push(`${key}@${version}`);
            }
          }
        }
        for (const key of before.keys()) {
          if (!now.has(key)) {
            this.seen.push(`${key} deleted`);
          }
        }
        before = now;
      },
    });
  }

  stop(): void {
    this.#stop.abort(new Error("the test is over"));
  }

  /** `name@version` of all that is known, sorted. */
  get known(): readonly string[] {
    return describe([...(this.observed.objects?.values() ?? [])]);
  }
}

export function describe(objects: readonly KubernetesObject[]): readonly string[] {
  return objects.map(({ metadata }) => `${metadata.name}@${metadata["resourceVersion"]}`).sort();
}

function versionNumber({ metadata }: KubernetesObject): number {
  return Number(metadata["resourceVersion"]);
}
