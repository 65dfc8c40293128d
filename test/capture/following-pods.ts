import { Follower } from "../../src/capture/follower.ts";
import { isPod } from "../../src/capture/select.ts";
import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import { makeWorld, type World } from "../kube/following.ts";
import { statusOf } from "../kube/simulated-answers.ts";
import { type Fields, makeObject, makePod } from "./made.ts";

/** A follower of node `n1`'s pods, all of them captured but those labelled `skip`. */
export interface Followed extends World {
  readonly follower: Follower;
  readonly stop: AbortController;
  /** How many watches were announced, each time. */
  readonly announced: number[];
  changes: number;
}

const plurals: Readonly<Record<string, string>> = {
  Pod: "pods",
  Secret: "secrets",
  ConfigMap: "configmaps",
  Service: "services",
  PersistentVolumeClaim: "persistentvolumeclaims",
  PersistentVolume: "persistentvolumes",
  Node: "nodes",
  Endpoints: "endpoints",
};

export function put({ server }: World, object: KubernetesObject): void {
  server.store.put(plurals[object.kind] ?? "", object);
}

export function remove(
  { server }: World,
  kind: string,
  name: string,
  namespace = "kube-system",
): void {
  server.store.delete(plurals[kind] ?? "", namespace, name);
}

/** A pod that mounts all of these. */
export function podWith(
  name: string,
  volumes: readonly Fields[],
  metadata: Fields = {},
): KubernetesObject {
  const named = volumes.map((source, index) => ({ name: `v${index}`, ...source }));
  const volumeMounts = named.map((volume) => ({ name: volume.name, mountPath: `/${volume.name}` }));
  const spec = { volumes: named, containers: [{ name: "main", image: "i", volumeMounts }] };
  return makePod(name, spec, metadata);
}

export const secretVolume = (secretName: string): Fields => ({ secret: { secretName } });
export const claimVolume = (claimName: string): Fields => ({
  persistentVolumeClaim: { claimName },
});

/** A cluster with the objects that every node reads, and a follower that has begun. */
export function follow(seed = 1): Followed {
  const world = makeWorld(seed);
  put(world, { kind: "Node", apiVersion: "v1", metadata: { name: "n1" } });
  put(world, makeObject("Endpoints", "kubernetes", {}, { namespace: "default" }));
  put(world, makeObject("Service", "kubernetes", { spec: {} }, { namespace: "default" }));
  const stop = new AbortController();
  const announced: number[] = [];
  const followed = {
    ...world,
    stop,
    announced,
    changes: 0,
    follower: new Follower({
      api: world.connections,
      clock: world.clock,
      signal: stop.signal,
      node: "n1",
      select: (pods) =>
        pods.filter(isPod).filter(({ metadata }) => metadata.labels?.["skip"] === undefined),
      onChange: () => {
        followed.changes += 1;
      },
      onWatches: (count) => {
        announced.push(count);
        world.connections.expect(count);
      },
    }),
  };
  return followed;
}

/** The collections that are watched now, without their queries' rest. */
export function watched({ server }: World): readonly string[] {
  return server.watches
    .map(({ request }) => {
      const url = new URL(request.path, "https://server");
      const path = url.pathname.replace("/api/v1/", "").replace("namespaces/", "");
      return `${path}${(url.searchParams.get("fieldSelector") ?? "").replace("metadata.name=", "/")}`;
    })
    .sort();
}

/** Kind and name of what the view holds. */
export function held({ follower }: Followed): readonly string[] {
  return follower
    .view()
    .objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    .sort();
}

/** Refuses all requests whose path holds a text; stops when called. */
export function forbid({ server }: World, text: string, status = 403): () => void {
  const body = JSON.stringify(statusOf(status, "Forbidden"));
  server.fault = ({ path }) => (path.includes(text) ? { kind: "answer", status, body } : undefined);
  return () => {
    server.fault = () => undefined;
  };
}
