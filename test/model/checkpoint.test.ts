import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseCheckpoint } from "../../src/model/checkpoint.ts";
import { rejects } from "../rejects.ts";
import { golden } from "../store/golden.ts";

const checkpoint = suite("model/checkpoint");

/** The golden file's only object has a name that no apiserver takes. */
const oldest = () => ({ ...JSON.parse(golden("v1-document.json").toString("utf8")), items: [] });

checkpoint("a document of the first release parses, and stays the value that it is", () => {
  const document = oldest();
  const parsed = parseCheckpoint(document);
  assert.equal(parsed, document);
  assert.ok(!("unminted" in parsed) && !("kubelet" in parsed.metadata));
});

const unminted = { namespace: "a", pod: "b", audience: "", message: "c" };
const cases = [
  { name: "unminted tokens", document: { unminted: [unminted] }, fine: true },
  { name: "no unminted tokens", document: { unminted: [] }, fine: true },
  {
    name: "an unminted token without its reason",
    document: { unminted: [{ ...unminted, message: 1 }] },
  },
  {
    name: "an unminted token without an audience",
    document: { unminted: [{ ...unminted, audience: null }] },
  },
  { name: "unminted tokens that are no list", document: { unminted: {} } },
  { name: "nothing known of the kubelet", metadata: { kubelet: {} }, fine: true },
  {
    name: "all of the kubelet's facts, and one more",
    metadata: { kubelet: { version: "v1.37.2", staticPodPath: "/p", nodeIP: "::1", newer: 1 } },
    fine: true,
  },
  { name: "a version that is a number", metadata: { kubelet: { version: 1 } } },
  { name: "a path that is a number", metadata: { kubelet: { staticPodPath: 1 } } },
  { name: "an address that is a list", metadata: { kubelet: { nodeIP: [] } } },
];
for (const { name, document = {}, metadata = {}, fine = false } of cases) {
  checkpoint(`${fine ? "takes" : "refuses"} ${name}`, async () => {
    const whole = oldest();
    const value = { ...whole, ...document, metadata: { ...whole.metadata, ...metadata } };
    if (fine) {
      assert.equal(parseCheckpoint(value), value);
    } else {
      await rejects(() => parseCheckpoint(value), "E_OBJECT");
    }
  });
}

checkpoint.run();
