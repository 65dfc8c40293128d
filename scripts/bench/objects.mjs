// A recorded control plane, and n times it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../install.mjs";

const recording = join(repository, "test/fixtures/setA/objects");
const kinds = [
  "configmaps",
  "endpoints",
  "nodes",
  "pods",
  "secrets",
  "serviceaccounts",
  "services",
];

/**
 * Writes the recorded objects `times` times over, as one List.
 *
 * A copy lies in namespaces of its own, with uids of its own: every reference from a pod stays within
 * its namespace, so that the copy is as complete as the original. Nodes are not copied.
 *
 * @param {string} file
 * @param {number} times
 */
export function writeObjects(file, times) {
  const originals = kinds.flatMap(
    (kind) => JSON.parse(readFileSync(join(recording, `${kind}.json`), "utf8")).items,
  );
  const copies = Array.from({ length: times - 1 }, (_, at) =>
    originals.filter((object) => object.metadata.namespace).map((object) => copyOf(object, at + 1)),
  );
  const list = { apiVersion: "v1", kind: "List", items: [...originals, ...copies.flat()] };
  writeFileSync(file, JSON.stringify(list));
}

/**
 * @param {any} object
 * @param {number} number
 */
function copyOf(object, number) {
  const { namespace, uid } = object.metadata;
  const digits = number.toString(16).padStart(4, "0");
  const metadata = {
    ...object.metadata,
    namespace: `${namespace}-${number}`,
    ...(uid === undefined ? {} : { uid: `${digits}${String(uid).slice(4)}` }),
  };
  return { ...object, metadata };
}
