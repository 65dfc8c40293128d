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

build.run();
