// The example control plane, and n times it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../install.mjs";

const examples = join(repository, "examples/self-hosted");

/**
 * Writes the example objects `times` times over, as one List.
 *
 * A copy lies in namespaces of its own, with uids of its own: every reference from a pod stays within
 * its namespace, so that the copy is as complete as the original. Nodes are not copied.
 *
 * @param {string} file
 * @param {number} times
 */
export function writeObjects(file, times) {
  const originals = readdirSync(examples)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => JSON.parse(readFileSync(join(examples, name), "utf8")).items);
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
