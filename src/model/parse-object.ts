import { Failure } from "../errors.ts";
import { describeObject, type KubernetesObject, type Pod } from "./kubernetes.ts";
import { isDnsLabel, isDnsSubdomain } from "./names.ts";
import { shapeOf } from "./object-shapes.ts";
import type { Shape } from "./shape.ts";

const kinds: ReadonlyMap<string, Shape> = new Map([
  ["Pod", shapeOf.pod],
  ["Secret", shapeOf.secret],
  ["ConfigMap", shapeOf.configMap],
  ["Service", shapeOf.service],
]);
const uuidPattern = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;

/**
 * Takes one parsed value as a Kubernetes object of any kind.
 *
 * Pure. The value itself is returned: unknown fields survive. Names are safe as path components.
 *
 * @throws {Failure} E_OBJECT only when a field that we rely on has another type than Kubernetes gives it,
 *   E_MODE, E_ID only when such a number is out of range, E_NAME, E_UID only when the name or uid is malformed
 */
export function parseObject(value: unknown): KubernetesObject {
  check(shapeOf.object, value, "object");
  const object = value as KubernetesObject;
  const name = describeObject(object);
  // RBAC names may hold a colon and are never used as a path; only the kinds that we use are checked.
  const shape = kinds.get(object.kind);
  if (shape !== undefined) {
    const { namespace } = object.metadata;
    if (!isDnsSubdomain(object.metadata.name) || (namespace != null && !isDnsLabel(namespace))) {
      throw new Failure("E_NAME", {
        what: `${object.kind} has a name that Kubernetes does not allow`,
        where: "metadata.name, metadata.namespace",
        found: `${JSON.stringify(object.metadata.name).slice(0, 80)} in ${JSON.stringify(namespace ?? "").slice(0, 80)}`,
        next: "Correct the object",
      });
    }
    check(shape, value, name);
  }
  if (object.kind === "Pod") {
    checkPod(object as Pod, name);
  }
  return object;
}

function checkPod(pod: Pod, name: string): void {
  const { uid } = pod.metadata;
  if (uid !== undefined && uid !== null && !uuidPattern.test(uid)) {
    throw new Failure("E_UID", {
      what: `${name} has a malformed uid`,
      where: "metadata.uid",
      found: uid === "" ? "an empty string" : `${uid.length} characters that are not a UUID`,
      next: "Leave the field out of a hand-written pod",
    });
  }
  for (const item of [
    ...(pod.spec.volumes ?? []),
    ...pod.spec.containers,
    ...(pod.spec.initContainers ?? []),
  ]) {
    if (!isDnsLabel(item.name)) {
      throw new Failure("E_NAME", {
        what: `${name} has a volume or container with a name that Kubernetes does not allow`,
        where: "spec",
        found: JSON.stringify(item.name).slice(0, 80),
        next: "Correct the object",
      });
    }
  }
}

function check(shape: Shape, value: unknown, name: string): void {
  const mismatch = shape(value);
  if (mismatch !== undefined) {
    throw new Failure(mismatch.code ?? "E_OBJECT", {
      what: `${name} is not what the Kubernetes API defines`,
      where: mismatch.path.slice(0, 200),
      found: `expected ${mismatch.expected}`,
      next: "Correct the object",
    });
  }
}
