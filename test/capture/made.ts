import { parseObjects } from "../../src/capture/objects.ts";
import { isPod } from "../../src/capture/select.ts";
import type { KubernetesObject, Pod } from "../../src/model/kubernetes.ts";
import { parseObject } from "../../src/model/parse-object.ts";

/** Objects made for a test, through the same parsers as real ones. */
export type Fields = Readonly<Record<string, unknown>>;

/** A pod on node `n1` with one container; `spec` and `metadata` are laid over it. */
export function makePod(
  name: string,
  spec: Fields = {},
  metadata: Fields = {},
  status?: Fields,
): Pod {
  const pod = parseObject({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "kube-system", ...metadata },
    spec: { nodeName: "n1", containers: [{ name: "main", image: "i" }], ...spec },
    ...(status === undefined ? {} : { status }),
  });
  if (!isPod(pod)) {
    throw new TypeError("not a pod");
  }
  return pod;
}

/** Any other object in kube-system; a `namespace` of undefined makes it cluster-scoped. */
export function makeObject(
  kind: string,
  name: string,
  fields: Fields = {},
  metadata: Fields = {},
): KubernetesObject {
  return parseObject({
    apiVersion: "v1",
    kind,
    metadata: { name, namespace: "kube-system", ...metadata },
    ...fields,
  });
}

/** The objects of a text, without their places. */
export async function objectsOf(text: string): Promise<readonly KubernetesObject[]> {
  return (await parseObjects(text, "test")).objects.map(({ object }) => object);
}
