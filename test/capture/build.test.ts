import assert from "node:assert/strict";
import { suite } from "uvu";
import { buildCheckpoint } from "../../src/capture/build.ts";
import { parseCheckpoint } from "../../src/model/checkpoint.ts";
import { makePod } from "./made.ts";

const build = suite("capture/build");

build("gives a document that parses, the same for any order of the pods", () => {
  const pods = [makePod("b"), makePod("a"), makePod("c", {}, { namespace: "default" })];
  const skips = [
    { namespace: "kube-system", name: "b", code: "E_UNSUPPORTED_VOLUME", message: "csi" },
    { namespace: "default", name: "c", code: "E_UNSUPPORTED_VOLUME", message: "csi" },
  ];
  const made = (reverse: boolean) =>
    buildCheckpoint({
      node: "n1",
      capturedAt: new Date(0),
      selected: reverse ? [...pods].reverse() : pods,
      objects: pods,
      unprojectable: reverse ? [...skips].reverse() : skips,
    });
  const checkpoint = parseCheckpoint(JSON.parse(JSON.stringify(made(false))));
  assert.deepEqual(made(true), made(false));
  assert.deepEqual(
    checkpoint.pods.map(({ namespace, name }) => `${namespace}/${name}`),
    ["default/c", "kube-system/a", "kube-system/b"],
  );
  assert.deepEqual(
    checkpoint.unprojectable.map(({ name }) => name),
    ["c", "b"],
  );
  assert.equal(checkpoint.metadata.capturedAt, "1970-01-01T00:00:00.000Z");
});

build("a capture from files gives the bytes that it always gave", () => {
  const pod = makePod("a");
  const given = { node: "n1", selected: [pod], objects: [pod], unprojectable: [] };
  assert.equal(
    JSON.stringify(buildCheckpoint({ ...given, capturedAt: new Date(0) })),
    `{"apiVersion":"blackstart.dev/v1","kind":"Checkpoint","metadata":{"node":"n1","capturedAt":"1970-01-01T00:00:00.000Z","source":"files"},"pods":[{"namespace":"kube-system","name":"a"}],"unprojectable":[],"tokens":[],"items":[${JSON.stringify(pod)}]}`,
  );
});

build("tokens and their reasons come by namespace, pod and audience, whatever their order", () => {
  const made = (namespace: string, pod: string, audience: string) => ({ namespace, pod, audience });
  const keys = [
    made("a", "b", ""),
    made("a", "b", "vault"),
    made("a", "b-c", ""),
    made("a-b", "a", ""),
    made("b", "a", ""),
  ];
  const pod = makePod("a");
  const kubelet = { version: "v1.37.2", nodeIP: "10.0.0.1" };
  const built = (order: typeof keys) =>
    buildCheckpoint({
      node: "n1",
      capturedAt: new Date(0),
      selected: [pod],
      objects: [pod],
      unprojectable: [],
      source: "apiserver",
      tokens: order.map((key) => ({ ...key, token: "t", expiresAt: "2027-01-01T00:00:00Z" })),
      unminted: order.map((key) => ({ ...key, message: "refused" })),
      kubelet,
    });
  const checkpoint = parseCheckpoint(JSON.parse(JSON.stringify(built(keys.toReversed()))));
  assert.deepEqual(
    checkpoint.tokens.map(({ namespace, pod, audience }) => ({ namespace, pod, audience })),
    keys,
  );
  assert.deepEqual(
    checkpoint.unminted?.map(({ namespace, pod, audience }) => ({ namespace, pod, audience })),
    keys,
  );
  assert.equal(checkpoint.metadata.source, "apiserver");
  assert.deepEqual(checkpoint.metadata.kubelet, kubelet);
  assert.deepEqual(built(keys), built(keys.toReversed()));
});

build.run();
