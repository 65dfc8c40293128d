import { Failure } from "../errors.ts";
import { type Checkpoint, parseCheckpoint } from "../model/checkpoint.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import { parseObject } from "../model/parse-object.ts";
import { asStored, isObject, type JsonObject } from "./as-stored.ts";
import { type Document, parseDocuments } from "./documents.ts";

/** The objects of one or several inputs, and where each came from. */
export interface ObjectSet {
  /** Only kinds that a checkpoint can hold, as the apiserver would have stored them. */
  readonly objects: readonly SourcedObject[];
  /** Our own documents, as `show` or a JOSE tool gives them. */
  readonly checkpoints: readonly Checkpoint[];
}

export interface SourcedObject {
  readonly object: KubernetesObject;
  /** `file:line` of the document that holds it. */
  readonly source: string;
}

/** More than any node can need. */
const maxObjects = 100_000;

/** The kinds that a checkpoint can hold, as `apiVersion/kind`. */
const usedKinds: ReadonlySet<string> = new Set([
  "v1/Pod",
  "v1/Secret",
  "v1/ConfigMap",
  "v1/ServiceAccount",
  "v1/Service",
  "v1/Endpoints",
  "v1/Node",
  "v1/PersistentVolume",
  "v1/PersistentVolumeClaim",
  "discovery.k8s.io/v1/EndpointSlice",
  "discovery.k8s.io/v1beta1/EndpointSlice",
  "node.k8s.io/v1/RuntimeClass",
  "node.k8s.io/v1beta1/RuntimeClass",
]);

/**
 * Reads all Kubernetes objects of one text.
 *
 * Pure. Lists of any kind are flattened; items of a typed list get the `apiVersion` and `kind` that
 * the API leaves out of them. Objects of kinds that no checkpoint holds are left out.
 *
 * @param source the file's name, for messages
 * @throws {Failure} E_PARSE only when the text is neither JSON nor YAML, E_OBJECT, E_NAME, E_UID, E_MODE,
 *   E_ID only when an object is malformed, E_TOO_BIG only when there are more than 100,000 objects
 */
export async function parseObjects(text: string, source: string): Promise<ObjectSet> {
  const objects: SourcedObject[] = [];
  const checkpoints: Checkpoint[] = [];
  for (const document of await parseDocuments(text, source)) {
    const place = `${source}:${document.line}`;
    for (const value of flatten(document, source)) {
      if (value["apiVersion"] === "blackstart.dev/v1" && value["kind"] === "Checkpoint") {
        checkpoints.push(parseCheckpoint(value));
      } else if (usedKinds.has(`${value["apiVersion"]}/${value["kind"]}`)) {
        objects.push({ object: parseStored(value, place), source: place });
      }
      if (objects.length > maxObjects) {
        throw new Failure("E_TOO_BIG", {
          what: "there are too many objects",
          where: place,
          found: `more than ${maxObjects}`,
          next: "Pass only the objects of this node",
        });
      }
    }
  }
  return { objects, checkpoints };
}

/** The documents' objects, lists taken apart. */
function* flatten(document: Document, source: string): Generator<JsonObject> {
  const place = `${source}:${document.line}`;
  const value = typed(document.value, place);
  const { apiVersion, kind, items } = value;
  if (!String(kind).endsWith("List") || (items !== null && !Array.isArray(items))) {
    yield value;
    return;
  }
  const itemKind = String(kind).slice(0, -"List".length);
  for (const item of items ?? []) {
    // Items of a PodList carry neither; items of a plain List carry both.
    const complete =
      itemKind !== "" && isObject(item) && item["kind"] === undefined
        ? { apiVersion, kind: itemKind, ...item }
        : item;
    yield* flatten({ value: complete, line: document.line }, source);
  }
}

function typed(value: unknown, place: string): JsonObject {
  if (!isObject(value)) {
    const found = Array.isArray(value) ? "an array" : `a ${typeof value}`;
    throw notAnObject(place, found, "Pass Kubernetes objects, one to a document, or a List");
  }
  if (typeof value["kind"] !== "string" || typeof value["apiVersion"] !== "string") {
    throw "ciphertext" in value
      ? notAnObject(place, "a sealed checkpoint", "Open it with `blackstart restore --from FILE`")
      : notAnObject(place, "no apiVersion or no kind", "Add both");
  }
  return value;
}

function parseStored(value: JsonObject, place: string): KubernetesObject {
  try {
    return parseObject(asStored(value));
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    const where = [place, error.text.where].filter((part) => part !== undefined).join(", ");
    const next = wantsText(error) ? "In YAML put yes, no, on, y and numbers in quotes" : undefined;
    throw new Failure(error.code, {
      ...error.text,
      where,
      ...(next === undefined ? {} : { next }),
    });
  }
}

/** True where a text was expected: in hand-written YAML nearly always a word without its quotes. */
function wantsText({ text }: Failure): boolean {
  return text.found === "expected string";
}

function notAnObject(where: string, found: string, next: string): Failure {
  return new Failure("E_OBJECT", { what: "this is not a Kubernetes object", where, found, next });
}
