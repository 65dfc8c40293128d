import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { parseObjects } from "../../src/capture/objects.ts";
import { rejects } from "../rejects.ts";
import { objectsOf } from "./made.ts";

const objects = suite("capture/objects");

const secret = (name: string, extra = {}) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace: "n" },
  ...extra,
});

objects("takes lists of any kind apart, also lists in lists", async () => {
  const list = {
    apiVersion: "v1",
    kind: "List",
    items: [
      secret("a"),
      { apiVersion: "v1", kind: "SecretList", items: [{ metadata: { name: "b" } }] },
      { apiVersion: "v1", kind: "PodList", items: null },
      { apiVersion: "v1", kind: "PodList" },
    ],
  };
  const read = await objectsOf(JSON.stringify(list));
  assert.deepEqual(
    read.map(({ apiVersion, kind, metadata }) => [apiVersion, kind, metadata.name]),
    [
      ["v1", "Secret", "a"],
      ["v1", "Secret", "b"],
    ],
  );
});

objects("gives the items of a real PodList their kind", async () => {
  const pods = new URL("../fixtures/setA/objects/pods.json", import.meta.url);
  const { items } = JSON.parse(readFileSync(pods, "utf8"));
  const bare = items.map(({ kind: _k, apiVersion: _v, ...rest }: Record<string, unknown>) => rest);
  const text = JSON.stringify({ apiVersion: "v1", kind: "PodList", items: bare });
  assert.deepEqual(await objectsOf(text), items);
});

objects("keeps only kinds that a checkpoint can hold, by group as well", async () => {
  const others = [
    { apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: "a" } },
    { apiVersion: "serving.example.com/v1", kind: "Service", metadata: { name: "a" } },
    { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization" },
    { apiVersion: "v1", kind: "Config", clusters: [] },
    { apiVersion: "v1", kind: "Event", metadata: { generateName: "x" } },
    { apiVersion: "example.com/v1", kind: "AllowList", spec: {} },
  ];
  assert.deepEqual(await objectsOf(others.map((other) => JSON.stringify(other)).join("\n")), []);
});

objects("recognises our own document", async () => {
  const text = readFileSync(
    new URL("../fixtures/objects/checkpoint.json", import.meta.url),
    "utf8",
  );
  const { checkpoints, objects: read } = await parseObjects(text, "f");
  assert.equal(checkpoints[0]?.metadata.node, "n1");
  assert.deepEqual(read, []);
});

objects("merges stringData over data, as the API does", async () => {
  const [read] = await objectsOf(
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n" +
      "data: {a: YQ==, b: Yg==, e: }\nstringData: {b: 'é', __proto__: p, 'n': }\n",
  );
  assert.deepEqual(Object.entries(read?.["data"] ?? {}), [
    ["a", "YQ=="],
    ["b", "w6k="],
    ["e", ""],
    ["__proto__", "cA=="],
    ["n", ""],
  ]);
  assert.ok(read !== undefined && !("stringData" in read));
  assert.equal(read.metadata.namespace, "default");
});

objects("leaves the API's own objects as they are", async () => {
  for (const file of ["pods", "secrets", "configmaps", "services", "nodes", "serviceaccounts"]) {
    const text = readFileSync(
      new URL(`../fixtures/setA/objects/${file}.json`, import.meta.url),
      "utf8",
    );
    assert.deepEqual(await objectsOf(text), JSON.parse(text).items);
  }
});

objects("keeps numbers that JavaScript cannot hold", async () => {
  const text = '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"},"x":9007199254740993}';
  assert.equal(JSON.stringify((await objectsOf(text))[0]), text);
});

const object = (extra: Record<string, unknown>) => JSON.stringify(secret("s", extra));
const refused = [
  { name: "an array", text: "[]", code: "E_OBJECT" },
  { name: "an array of objects", text: `[${object({})}]`, code: "E_OBJECT" },
  { name: "a word", text: "hello\n", code: "E_OBJECT" },
  { name: "no kind", text: '{"apiVersion":"v1"}', code: "E_OBJECT" },
  { name: "no apiVersion", text: '{"kind":"Pod","metadata":{"name":"a"}}', code: "E_OBJECT" },
  {
    name: "a null item",
    text: '{"apiVersion":"v1","kind":"List","items":[null]}',
    code: "E_OBJECT",
  },
  {
    name: "an item of a List without kind",
    text: '{"apiVersion":"v1","kind":"List","items":[{}]}',
    code: "E_OBJECT",
  },
  { name: "no metadata", text: '{"apiVersion":"v1","kind":"Secret"}', code: "E_OBJECT" },
  { name: "metadata as an array", text: object({ metadata: [] }), code: "E_OBJECT" },
  {
    name: "a number as a namespace",
    text: object({ metadata: { name: "a", namespace: 1 } }),
    code: "E_OBJECT",
  },
  {
    name: "a namespace that leads out",
    text: object({ metadata: { name: "a", namespace: "../b" } }),
    code: "E_NAME",
  },
  { name: "a name in upper case", text: object({ metadata: { name: "A" } }), code: "E_NAME" },
  {
    name: "a name of 300 characters",
    text: object({ metadata: { name: "a".repeat(300) } }),
    code: "E_NAME",
  },
  { name: "data as an array", text: object({ data: [] }), code: "E_OBJECT" },
  { name: "a number in data", text: object({ data: { a: 1 } }), code: "E_OBJECT" },
  {
    name: "a number in data under __proto__",
    text: '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"__proto__":1}}',
    code: "E_OBJECT",
  },
  { name: "a boolean in stringData", text: object({ stringData: { a: true } }), code: "E_OBJECT" },
  { name: "a sealed checkpoint", text: '{"protected":"a","ciphertext":"b"}', code: "E_OBJECT" },
] as const;

for (const { name, text, code } of refused) {
  objects(`refuses ${name} and names the file`, async () => {
    const failure = await rejects(() => parseObjects(text, "dir/f.json"), code);
    assert.match(failure.text.where ?? "", /^dir\/f\.json:1/);
  });
}

objects("refuses more than 100,000 objects", async () => {
  const list = { apiVersion: "v1", kind: "SecretList", items: Array(100_001).fill(secret("a")) };
  await rejects(() => parseObjects(JSON.stringify(list), "f"), "E_TOO_BIG");
});

objects.run();
