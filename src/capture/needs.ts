import type { KubernetesObject, Pod } from "../model/kubernetes.ts";
import { referencesOf } from "./references.ts";

/** An object that some captured pod needs, by kind and name. */
export interface Need {
  readonly kind: "Secret" | "ConfigMap" | "PersistentVolumeClaim" | "PersistentVolume";
  /** "" for a PersistentVolume. */
  readonly namespace: string;
  readonly name: string;
}

/** What is to be read from an apiserver for the captured pods of a node. */
export interface Needs {
  /** Each once, sorted. Those that the Node authorizer lets a node watch. */
  readonly watched: readonly Need[];
  /** Each once, sorted. Those that a node may only get. */
  readonly fetched: readonly Need[];
  /** Namespaces whose Services the pods' environment names, sorted. */
  readonly serviceNamespaces: readonly string[];
}

/**
 * Tells what the captured pods of a node need from the apiserver, besides themselves.
 *
 * Pure. A PersistentVolume is needed once its claim is among `objects`. The Service `default/kubernetes` is
 * needed always and not named here; so are its Endpoints and the Node.
 * Source (what is watched and what only got): kubernetes v1.37.2
 * `plugin/pkg/auth/authorizer/node/node_authorizer.go: authorizeReadNamespacedObject, authorizeGet`.
 */
export function needsOf(pods: readonly Pod[], objects: readonly KubernetesObject[]): Needs {
  const references = pods.flatMap(referencesOf).filter(({ name }) => name !== "");
  const claims = new Set(
    references.filter(({ kind }) => kind === "PersistentVolumeClaim").map(keyOf),
  );
  const volumes = objects
    .filter(
      ({ kind, metadata }) =>
        kind === "PersistentVolumeClaim" &&
        claims.has(
          keyOf({ kind, namespace: metadata.namespace ?? "default", name: metadata.name }),
        ),
    )
    .map(volumeOf)
    .filter((name) => name !== undefined)
    .map((name) => ({ kind: "PersistentVolume", namespace: "", name }) as const);
  const named = references.map(({ kind, namespace, name }) => ({ kind, namespace, name }) as const);
  const isWatched = ({ kind }: Need) => kind === "Secret" || kind === "ConfigMap";
  return {
    watched: unique(named.filter(isWatched)),
    fetched: unique([...named.filter((need) => !isWatched(need)), ...volumes]),
    serviceNamespaces: [
      ...new Set(
        pods
          .filter(({ spec }) => spec.enableServiceLinks !== false)
          .map(({ metadata }) => metadata.namespace ?? "default"),
      ),
    ].sort(),
  };
}

/** Pure. `Kind/namespace/name`, which names an object among all of a cluster. */
export function keyOf({ kind, namespace, name }: Omit<Need, "kind"> & { readonly kind: string }) {
  return `${kind}/${namespace}/${name}`;
}

function volumeOf(claim: KubernetesObject): string | undefined {
  const spec = claim["spec"];
  const name =
    typeof spec === "object" && spec !== null && "volumeName" in spec ? spec.volumeName : undefined;
  return typeof name === "string" && name !== "" ? name : undefined;
}

function unique(needs: readonly Need[]): readonly Need[] {
  const byKey = new Map(needs.map((need) => [keyOf(need), need]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, need]) => need);
}
