import assert from "node:assert/strict";
import { suite } from "uvu";
import { mergeObjects } from "../../src/capture/merge.ts";
import { rejects } from "../rejects.ts";
import { makeObject, makePod } from "./made.ts";

const merge = suite("capture/merge");
const uid = "0aa35a6e-68f6-4a5a-9d4c-d3d1a3a0c001";

merge("takes an object that is there twice, the same, once", () => {
  const one = makeObject("Secret", "s", { data: { a: "YQ==", b: "" } });
  const same = makeObject("Secret", "s", { data: { b: "", a: "YQ==" } });
  const other = makeObject("ConfigMap", "s");
  const merged = mergeObjects([one, other, same].map((object) => ({ object, source: "f" })));
  assert.deepEqual(merged, [one, other]);
});

merge("refuses two objects of one name that differ, naming both places", async () => {
  const inputs = [
    { object: makeObject("Secret", "s", { data: { a: "YQ==" } }), source: "one.yaml:1" },
    { object: makeObject("Secret", "s", { data: { a: "Yg==" } }), source: "two.yaml:7" },
  ];
  const failure = await rejects(() => mergeObjects(inputs), "E_DUPLICATE");
  assert.equal(failure.text.where, "one.yaml:1, two.yaml:7");
  assert.ok(!failure.message.includes("YQ"));
});

merge("keeps objects apart that differ in namespace or kind, dashes or not", () => {
  const objects = [
    makePod("b-c", {}, { namespace: "a" }),
    makePod("c", {}, { namespace: "a-b" }),
    makeObject("Service", "c", { spec: {} }, { namespace: "a-b" }),
  ];
  assert.deepEqual(mergeObjects(objects.map((object) => ({ object, source: "f" }))), objects);
});

merge("refuses two pods with one uid", async () => {
  const inputs = ["a", "b"].map((name) => ({ object: makePod(name, {}, { uid }), source: name }));
  const failure = await rejects(() => mergeObjects(inputs), "E_UID");
  assert.equal(failure.text.where, "a, b");
});

merge.run();
