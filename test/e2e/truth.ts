import assert from "node:assert/strict";
import type { Checkpoint } from "../../src/model/checkpoint.ts";
import { encodeJson } from "../../src/model/json.ts";
import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import type { Api } from "./api.ts";

const plurals: Readonly<Record<string, string>> = {
  Pod: "pods",
  Secret: "secrets",
  ConfigMap: "configmaps",
  PersistentVolumeClaim: "persistentvolumeclaims",
  PersistentVolume: "persistentvolumes",
  Service: "services",
  Endpoints: "endpoints",
  Node: "nodes",
};

/** Where the apiserver has it. */
export function pathOf({ kind, metadata }: KubernetesObject): string {
  const { namespace, name } = metadata;
  const scope = namespace === undefined ? "" : `namespaces/${namespace}/`;
  return `/api/v1/${scope}${plurals[kind]}/${name}`;
}

/**
 * Asserts that every object of a checkpoint is, byte for byte, what the apiserver answers now.
 *
 * @returns how many they are
 */
export async function assertTrue(api: Api, { items }: Checkpoint): Promise<number> {
  for (const item of items) {
    const path = pathOf(item);
    const { status, text } = await api("GET", path);
    assert.equal(status, 200, `${path}: ${text}`);
    assert.equal(asGoWrites(encodeJson(item)), text.trimEnd(), path);
  }
  return items.length;
}

/** Go escapes these in texts, as HTML would need it. Source: Go 1.25 `encoding/json: HTMLEscape`. */
function asGoWrites(json: string): string {
  return json.replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** What a checkpoint holds of a kind: `namespace/name`, sorted. */
export function namesIn({ items }: Checkpoint, kind: string): readonly string[] {
  return items
    .filter((item) => item.kind === kind)
    .map(({ metadata: { namespace = "", name } }) => `${namespace}/${name}`)
    .sort();
}

export function find(
  { items }: Checkpoint,
  kind: string,
  namespace: string,
  name: string,
): KubernetesObject | undefined {
  return items.find(
    ({ metadata, ...item }) =>
      item.kind === kind && metadata.namespace === namespace && metadata.name === name,
  );
}
