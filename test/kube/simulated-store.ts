import type { KubernetesObject } from "../../src/model/kubernetes.ts";

/** One event as a watch of a collection gives it. */
export interface Change {
  readonly revision: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubernetesObject;
}

/** A collection: `secrets`, `secrets/ns`, `secrets/ns?metadata.name=a`, `pods?spec.nodeName=n1`. */
export type CollectionKey = string;

/** The objects of a cluster with their history, as etcd and the watch cache keep them. */
export class SimulatedStore {
  revision = 1;
  /** Changes up to here are no longer kept. */
  compacted = 0;
  readonly #objects = new Map<string, { object: KubernetesObject; keys: readonly string[] }>();
  readonly #collections = new Map<CollectionKey, Map<string, KubernetesObject>>();
  readonly #history = new Map<CollectionKey, Change[]>();
  onChange: (collection: CollectionKey, change: Change) => void = () => undefined;

  /** Creates or replaces an object; gives it as it is stored. */
  put(resource: string, object: KubernetesObject): KubernetesObject {
    this.revision += 1;
    const resourceVersion = String(this.revision);
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion } };
    const id = idOf(resource, stored);
    const before = this.#objects.get(id);
    const keys = keysOf(resource, stored);
    this.#objects.set(id, { object: stored, keys });
    for (const key of before?.keys ?? []) {
      if (!keys.includes(key)) {
        this.#members(key).delete(id);
        // What a selector no longer chooses is deleted for those who watch through it.
        this.#record(key, { revision: this.revision, type: "DELETED", object: stored });
      }
    }
    for (const key of keys) {
      this.#members(key).set(id, stored);
      const type = before?.keys.includes(key) === true ? "MODIFIED" : "ADDED";
      this.#record(key, { revision: this.revision, type, object: stored });
    }
    return stored;
  }

  delete(resource: string, namespace: string, name: string): void {
    const id = `${resource}/${namespace}/${name}`;
    const before = this.#objects.get(id);
    if (before === undefined) {
      return;
    }
    this.revision += 1;
    const { object, keys } = before;
    const resourceVersion = String(this.revision);
    const last = { ...object, metadata: { ...object.metadata, resourceVersion } };
    this.#objects.delete(id);
    for (const key of keys) {
      this.#members(key).delete(id);
      this.#record(key, { revision: this.revision, type: "DELETED", object: last });
    }
  }

  /** Something else of the cluster is written: a lease, say. */
  advance(): void {
    this.revision += 1;
  }

  get(resource: string, namespace: string, name: string): KubernetesObject | undefined {
    return this.#objects.get(`${resource}/${namespace}/${name}`)?.object;
  }

  list(collection: CollectionKey): readonly KubernetesObject[] {
    return [...(this.#collections.get(collection)?.values() ?? [])];
  }

  since(collection: CollectionKey, revision: number): readonly Change[] {
    return (this.#history.get(collection) ?? []).filter((change) => change.revision > revision);
  }

  /** Forgets all history, as an apiserver that has just started. */
  compact(): void {
    this.compacted = this.revision;
    this.#history.clear();
  }

  #members(key: CollectionKey): Map<string, KubernetesObject> {
    return entryOf(this.#collections, key, () => new Map());
  }

  #record(key: CollectionKey, change: Change): void {
    entryOf(this.#history, key, () => []).push(change);
    this.onChange(key, change);
  }
}

function entryOf<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) {
    return found;
  }
  const made = make();
  map.set(key, made);
  return made;
}

function idOf(resource: string, { metadata }: KubernetesObject): string {
  return `${resource}/${metadata.namespace ?? ""}/${metadata.name}`;
}

function keysOf(resource: string, object: KubernetesObject): readonly CollectionKey[] {
  const { namespace, name } = object.metadata;
  const spec = object["spec"];
  const nodeName =
    typeof spec === "object" && spec !== null && "nodeName" in spec ? spec.nodeName : undefined;
  return [
    resource,
    `${resource}/${namespace ?? ""}`,
    `${resource}/${namespace ?? ""}?metadata.name=${name}`,
    ...(typeof nodeName === "string" ? [`${resource}?spec.nodeName=${nodeName}`] : []),
  ];
}
