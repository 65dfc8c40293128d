import { Failure } from "../errors.ts";
import { encodeJson } from "../model/json.ts";
import { describeObject, type KubernetesObject } from "../model/kubernetes.ts";

/** Source: k8s.io/api v0.37.2 `core/v1/types.go: MaxSecretSize`; ConfigMaps have the same limit. */
const maxDataBytes = 1_048_576;
/** What etcd takes in one request by default. Source: etcd 3.5 `--max-request-bytes`. */
const maxObjectBytes = 1_572_864;

/**
 * Refuses an object that no apiserver can have stored.
 *
 * Pure.
 *
 * @throws {Failure} E_TOO_BIG only when the data of a Secret or ConfigMap exceeds 1 MiB, or another object
 *   1.5 MiB; E_DUP_KEY only when a ConfigMap has one key in `data` and in `binaryData`
 */
export function checkSize(object: KubernetesObject): void {
  const isData = object.kind === "Secret" || object.kind === "ConfigMap";
  const limit = isData ? maxDataBytes : maxObjectBytes;
  const size = isData ? dataBytes(object) : Buffer.byteLength(encodeJson(object));
  if (size > limit) {
    throw new Failure("E_TOO_BIG", {
      what: `${describeObject(object)} is larger than the API allows`,
      found: `${size} bytes, at most ${limit}`,
      next: "Correct the object",
    });
  }
}

function dataBytes(object: KubernetesObject): number {
  const text = pairs(object["data"]);
  const binary = pairs(object["binaryData"]);
  const names = new Set(text.map(([key]) => key));
  const twice = binary.find(([key]) => names.has(key));
  if (object.kind === "ConfigMap" && twice !== undefined) {
    throw new Failure("E_DUP_KEY", {
      what: `${describeObject(object)} has one key twice`,
      where: "data, binaryData",
      found: JSON.stringify(twice[0]).slice(0, 80),
      next: "Correct the ConfigMap",
    });
  }
  const encoded = object.kind === "Secret" ? [...text, ...binary] : binary;
  const plain = object.kind === "Secret" ? [] : text;
  return (
    plain.reduce((sum, [, value]) => sum + Buffer.byteLength(value), 0) +
    encoded.reduce((sum, [, value]) => sum + Buffer.byteLength(value, "base64"), 0)
  );
}

function pairs(map: unknown): readonly (readonly [string, string])[] {
  return typeof map === "object" && map !== null
    ? Object.entries(map).map(([key, value]) => [key, String(value)] as const)
    : [];
}
