import { isDeepStrictEqual } from "node:util";
import { Failure } from "../errors.ts";
import { describeObject, type KubernetesObject, keyOf } from "../model/kubernetes.ts";
import type { SourcedObject } from "./objects.ts";

/**
 * Joins the objects of all inputs; one that is there twice, the same, is taken once.
 *
 * Pure. Keeps the order of first appearance.
 *
 * @throws {Failure} E_DUPLICATE only when two inputs differ about one object, E_UID only when two pods have
 *   one uid; each names both places
 */
export function mergeObjects(inputs: readonly SourcedObject[]): readonly KubernetesObject[] {
  const byKey = new Map<string, SourcedObject>();
  const podsByUid = new Map<string, SourcedObject>();
  for (const input of inputs) {
    const { object, source } = input;
    const key = `${object.kind}/${keyOf(object)}`;
    const earlier = byKey.get(key);
    if (earlier !== undefined) {
      if (!isDeepStrictEqual(earlier.object, object)) {
        throw new Failure("E_DUPLICATE", {
          what: `${describeObject(object)} is given twice and the two differ`,
          where: `${earlier.source}, ${source}`,
          next: "Remove one of them",
        });
      }
      continue;
    }
    byKey.set(key, input);
    const { uid } = object.metadata;
    if (object.kind !== "Pod" || uid === undefined) {
      continue;
    }
    const twin = podsByUid.get(uid);
    if (twin !== undefined) {
      throw new Failure("E_UID", {
        what: `${describeObject(twin.object)} and ${describeObject(object)} have one uid`,
        where: `${twin.source}, ${source}`,
        found: uid,
        next: "Leave the field out of a hand-written pod",
      });
    }
    podsByUid.set(uid, input);
  }
  return [...byKey.values()].map(({ object }) => object);
}
