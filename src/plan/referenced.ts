import { isUtf8 } from "node:buffer";
import { Failure } from "../errors.ts";
import type { ConfigMap, KeySelector, ObjectReference, Secret } from "../model/kubernetes.ts";
import { type PodContext, podName } from "./pod-context.ts";

/**
 * Pure. What a `configMapKeyRef` gives; undefined only when it is optional and missing.
 *
 * @throws {Failure} E_REF_MISSING, E_ENV_BYTES only when it is missing or no environment can hold it
 */
export function configMapValue(
  context: PodContext,
  selector: KeySelector,
  place: string,
): string | undefined {
  const configMap = findConfigMap(context, selector, place);
  const data = configMap?.data ?? {};
  if (Object.hasOwn(data, selector.key)) {
    return checkText(context, data[selector.key] ?? "", place);
  }
  return missingKey(context, "ConfigMap", selector, place);
}

/**
 * Pure. What a `secretKeyRef` gives; undefined only when it is optional and missing.
 *
 * @throws {Failure} E_REF_MISSING, E_ENV_BYTES only when it is missing or no environment can hold it
 */
export function secretValue(
  context: PodContext,
  selector: KeySelector,
  place: string,
): string | undefined {
  const secret = findSecret(context, selector, place);
  const bytes =
    secret === undefined ? undefined : context.index.secretData(secret).get(selector.key);
  return bytes === undefined
    ? missingKey(context, "Secret", selector, place)
    : decodeText(context, bytes, place);
}

/**
 * Pure. Decides about a key that an object does not have.
 *
 * @throws {Failure} E_REF_MISSING only when the key is required
 */
export function missingKey(
  context: PodContext,
  kind: string,
  { name = "", key, optional }: KeySelector,
  place: string,
): undefined {
  if (optional === true) {
    return undefined;
  }
  throw new Failure("E_REF_MISSING", {
    what: `${podName(context)} needs key ${JSON.stringify(key).slice(0, 80)} of ${kind} ${context.namespace}/${name}`,
    where: place,
    found: "the checkpoint has no such key",
    next: "Capture again with that object among the inputs",
  });
}

/**
 * Finds the Secret that a reference of the pod names.
 *
 * Pure. undefined only when the reference is optional and the object is not there.
 *
 * @throws {Failure} E_REF_MISSING only when the object is required and not in the checkpoint
 */
export function findSecret(
  context: PodContext,
  reference: ObjectReference,
  place: string,
): Secret | undefined {
  const found = context.index.secret(context.namespace, reference.name ?? "");
  return found ?? missingObject(context, "Secret", reference, place);
}

/**
 * Finds the ConfigMap that a reference of the pod names.
 *
 * Pure. undefined only when the reference is optional and the object is not there.
 *
 * @throws {Failure} E_REF_MISSING only when the object is required and not in the checkpoint
 */
export function findConfigMap(
  context: PodContext,
  reference: ObjectReference,
  place: string,
): ConfigMap | undefined {
  const found = context.index.configMap(context.namespace, reference.name ?? "");
  return found ?? missingObject(context, "ConfigMap", reference, place);
}

function missingObject(
  context: PodContext,
  kind: string,
  { name = "", optional }: ObjectReference,
  place: string,
): undefined {
  if (optional === true) {
    return undefined;
  }
  throw new Failure("E_REF_MISSING", {
    what: `${podName(context)} needs ${kind} ${context.namespace}/${name}`,
    where: place,
    found: "the checkpoint does not hold it",
    next: "Capture again with that object among the inputs",
  });
}

/**
 * Pure. The text of a Secret's bytes, for an environment.
 *
 * @throws {Failure} E_ENV_BYTES only when they are not UTF-8 or hold a NUL
 */
export function decodeText(context: PodContext, bytes: Uint8Array, place: string): string {
  // Not TextDecoder: a fatal one loads ICU, a quarter of what a restore costs.
  if (!isUtf8(bytes)) {
    throw new Failure("E_ENV_BYTES", {
      what: `${podName(context)} has an environment value that no manifest can carry`,
      where: place,
      found: `${bytes.length} bytes that are not UTF-8`,
      next: "Give the pod this value as a file",
    });
  }
  return checkText(context, Buffer.from(bytes).toString("utf8"), place);
}

/**
 * Pure. The text itself.
 *
 * @throws {Failure} E_ENV_BYTES only when it holds a NUL
 */
export function checkText(context: PodContext, value: string, place: string): string {
  if (value.includes("\0")) {
    throw new Failure("E_ENV_BYTES", {
      what: `${podName(context)} has an environment value that no container can have`,
      where: place,
      found: "a NUL byte",
      next: "Give the pod this value as a file",
    });
  }
  return value;
}
