/** A JSON object of which nothing is known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Kinds without a namespace. Source: k8s.io/api v0.37.2, `+genclient:nonNamespaced`. */
const clusterKinds: ReadonlySet<unknown> = new Set(["Node", "PersistentVolume", "RuntimeClass"]);

/**
 * Gives a hand-written object the form in which the apiserver stores it, as far as we rely on it.
 *
 * Pure. An object that came from an apiserver is returned unchanged. Three things are done:
 * a namespaced object without a namespace goes to `default`; a null among labels, annotations, `data`,
 * `stringData` or `binaryData` is an empty text; a Secret's `stringData` is merged over its `data`,
 * base64-encoded. Nothing else is defaulted: the kubelet does that for static pods. What has another
 * shape than Kubernetes gives it stays as it is, for `parseObject` to refuse.
 * Source: kubernetes v1.37.2 `pkg/apis/core/v1/conversion.go: Convert_v1_Secret_To_core_Secret`.
 */
export function asStored(object: JsonObject): JsonObject {
  let stored = object;
  let metadata = object["metadata"];
  if (isObject(metadata)) {
    metadata = nullsToEmpty(nullsToEmpty(metadata, "labels"), "annotations");
    if (isObject(metadata) && !clusterKinds.has(object["kind"]) && isEmpty(metadata["namespace"])) {
      metadata = { ...metadata, namespace: "default" };
    }
    stored = metadata === object["metadata"] ? object : { ...object, metadata };
  }
  if (object["kind"] === "Secret" || object["kind"] === "ConfigMap") {
    for (const field of ["data", "stringData", "binaryData"]) {
      stored = nullsToEmpty(stored, field);
    }
  }
  return object["kind"] === "Secret" ? mergeStringData(stored) : stored;
}

/** Pure. True for a JSON object: not null, not an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mergeStringData(secret: JsonObject): JsonObject {
  const { stringData, ...rest } = secret;
  const data = rest["data"] ?? {};
  if (!isObject(stringData) || !isObject(data)) {
    return secret;
  }
  const merged = new Map(Object.entries(data));
  for (const [key, value] of Object.entries(stringData)) {
    if (typeof value !== "string") {
      return secret;
    }
    merged.set(key, Buffer.from(value, "utf8").toString("base64"));
  }
  return { ...rest, data: Object.fromEntries(merged) };
}

/** `Object.fromEntries` defines properties, so that a key `__proto__` stays a key. */
function nullsToEmpty(object: JsonObject, field: string): JsonObject {
  const map = object[field];
  if (!isObject(map) || !Object.values(map).includes(null)) {
    return object;
  }
  const pairs = Object.entries(map).map(([key, value]) => [key, value ?? ""] as const);
  return { ...object, [field]: Object.fromEntries(pairs) };
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}
