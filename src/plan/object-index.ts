import { Failure } from "../errors.ts";
import type {
  Checkpoint,
  CheckpointImage,
  ServiceAccountToken,
  UnmintedToken,
} from "../model/checkpoint.ts";
import {
  type ConfigMap,
  type KubernetesObject,
  keyOf,
  type Pod,
  type Secret,
  type Service,
} from "../model/kubernetes.ts";

/** The checkpoint's objects, found as references name them. */
export interface ObjectIndex {
  /** Any object, by kind; cluster-scoped ones have an empty namespace. */
  find(kind: string, namespace: string, name: string): KubernetesObject | undefined;
  secret(namespace: string, name: string): Secret | undefined;
  configMap(namespace: string, name: string): ConfigMap | undefined;
  readonly services: readonly Service[];
  readonly pods: readonly Pod[];
  readonly tokens: readonly ServiceAccountToken[];
  readonly unminted: readonly UnmintedToken[];
  /** What the runtime knew of the image at `containers/NAME`, … of a pod. */
  image(namespace: string, pod: string, place: string): CheckpointImage | undefined;
  /** The decoded bytes of each key, decoded once per Secret. */
  secretData(secret: Secret): ReadonlyMap<string, Uint8Array>;
  configMapData(configMap: ConfigMap): ReadonlyMap<string, Uint8Array>;
}

/** Pure. Builds the index; looks at nothing but kind, namespace and name. */
export function indexObjects(checkpoint: Checkpoint): ObjectIndex {
  const byKey = new Map<string, KubernetesObject>();
  for (const item of checkpoint.items) {
    byKey.set(`${item.kind}/${item.metadata.namespace ?? ""}/${item.metadata.name}`, item);
  }
  const secrets = new Map<string, Secret>();
  const configMaps = new Map<string, ConfigMap>();
  for (const item of checkpoint.items) {
    if (isKind<Secret>(item, "Secret")) {
      secrets.set(keyOf(item), item);
    } else if (isKind<ConfigMap>(item, "ConfigMap")) {
      configMaps.set(keyOf(item), item);
    }
  }
  const images = new Map(
    (checkpoint.images ?? []).map((one) => [`${one.namespace}/${one.pod}/${one.place}`, one]),
  );
  const decoded = new WeakMap<KubernetesObject, ReadonlyMap<string, Uint8Array>>();
  const once =
    <T extends KubernetesObject>(decode: (object: T) => ReadonlyMap<string, Uint8Array>) =>
    (object: T) => {
      const known = decoded.get(object);
      if (known !== undefined) {
        return known;
      }
      const data = decode(object);
      decoded.set(object, data);
      return data;
    };
  return {
    find: (kind, namespace, name) => byKey.get(`${kind}/${namespace}/${name}`),
    secret: (namespace, name) => secrets.get(`${namespace}/${name}`),
    configMap: (namespace, name) => configMaps.get(`${namespace}/${name}`),
    services: checkpoint.items.filter((item): item is Service => item.kind === "Service"),
    pods: checkpoint.items.filter((item): item is Pod => item.kind === "Pod"),
    tokens: checkpoint.tokens,
    unminted: checkpoint.unminted ?? [],
    image: (namespace, pod, place) => images.get(`${namespace}/${pod}/${place}`),
    secretData: once((secret: Secret) => decodeData(secret, secret.data)),
    configMapData: once(configMapData),
  };
}

function isKind<T extends KubernetesObject>(item: KubernetesObject, kind: T["kind"]): item is T {
  return item.kind === kind;
}

function configMapData(configMap: ConfigMap): ReadonlyMap<string, Uint8Array> {
  const data = new Map<string, Uint8Array>(decodeData(configMap, configMap.binaryData));
  for (const [key, value] of Object.entries(configMap.data ?? {})) {
    if (data.has(key)) {
      throw new Failure("E_DUP_KEY", {
        what: `ConfigMap ${configMap.metadata.namespace ?? ""}/${configMap.metadata.name} has one key twice`,
        where: "data, binaryData",
        found: JSON.stringify(key).slice(0, 80),
        next: "Correct the ConfigMap",
      });
    }
    data.set(key, Buffer.from(value, "utf8"));
  }
  return data;
}

function decodeData(
  object: KubernetesObject,
  data: Readonly<Record<string, string>> | null | undefined,
): ReadonlyMap<string, Uint8Array> {
  const bytes = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(data ?? {})) {
    const decoded = decodeBase64(value);
    if (decoded === undefined) {
      throw new Failure("E_B64", {
        what: `${object.kind} ${object.metadata.namespace ?? ""}/${object.metadata.name} has a value that is not base64`,
        where: `key ${JSON.stringify(key).slice(0, 80)}`,
        found: `${value.length} characters`,
        next: "Correct the object",
      });
    }
    bytes.set(key, decoded);
  }
  return bytes;
}

/**
 * As `encoding/json` decodes bytes: the standard alphabet with padding, line ends skipped (Go `encoding/base64`).
 *
 * Node's decoder skips what it does not know, so that only the length tells that nothing was skipped, and
 * takes the URL's alphabet too.
 */
function decodeBase64(value: string): Uint8Array | undefined {
  const text =
    value.includes("\n") || value.includes("\r") ? value.replaceAll(/[\r\n]/g, "") : value;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = Buffer.from(text, "base64");
  const isWhole = text.length % 4 === 0 && bytes.length === (text.length / 4) * 3 - padding;
  return isWhole && !text.includes("-") && !text.includes("_") ? bytes : undefined;
}
