import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseObject } from "../../src/model/parse-object.ts";
import { rejects } from "../rejects.ts";

const kubernetes = suite("model/parse-object");

type Fields = Readonly<Record<string, unknown>>;

const pod = (spec: Fields, metadata: Fields = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "kube-system", ...metadata },
  spec: { containers: [{ name: "main" }], ...spec },
});
const main = (container: Fields) => pod({ containers: [{ name: "main", ...container }] });
const volume = (source: Fields) => pod({ volumes: [{ name: "v", ...source }] });
const data = (kind: string, fields: Fields) => ({
  apiVersion: "v1",
  kind,
  metadata: { name: "d" },
  ...fields,
});

const refused = [
  { name: "an array", value: [], code: "E_OBJECT" },
  { name: "null", value: null, code: "E_OBJECT" },
  { name: "spec as an array", value: { ...pod({}), spec: [] }, code: "E_OBJECT" },
  { name: "metadata as an array", value: { ...pod({}), metadata: [] }, code: "E_OBJECT" },
  { name: "labels as an array", value: pod({}, { labels: ["a"] }), code: "E_OBJECT" },
  { name: "a number as a label", value: pod({}, { labels: { a: 1 } }), code: "E_OBJECT" },
  { name: "a null container", value: pod({ containers: [null] }), code: "E_OBJECT" },
  { name: "no containers", value: pod({ containers: undefined }), code: "E_OBJECT" },
  { name: "containers as an object", value: pod({ containers: {} }), code: "E_OBJECT" },
  { name: "a number in args", value: main({ args: [1] }), code: "E_OBJECT" },
  {
    name: "a boolean env value",
    value: main({ env: [{ name: "A", value: true }] }),
    code: "E_OBJECT",
  },
  {
    name: "a container security context as an array",
    value: main({ securityContext: [] }),
    code: "E_OBJECT",
  },
  { name: "a secret source as an array", value: volume({ secret: [] }), code: "E_OBJECT" },
  { name: "mode 0o1000", value: volume({ secret: { defaultMode: 0o1000 } }), code: "E_MODE" },
  { name: "a negative mode", value: volume({ configMap: { defaultMode: -1 } }), code: "E_MODE" },
  { name: "half a mode", value: volume({ projected: { defaultMode: 0.5 } }), code: "E_MODE" },
  { name: "a mode as text", value: volume({ secret: { defaultMode: "0400" } }), code: "E_MODE" },
  {
    name: "an item's mode",
    value: volume({ secret: { items: [{ key: "a", path: "a", mode: 4096 }] } }),
    code: "E_MODE",
  },
  { name: "fsGroup -1", value: pod({ securityContext: { fsGroup: -1 } }), code: "E_ID" },
  { name: "fsGroup 2^32", value: pod({ securityContext: { fsGroup: 2 ** 32 } }), code: "E_ID" },
  { name: "fsGroup as text", value: pod({ securityContext: { fsGroup: "1" } }), code: "E_ID" },
  {
    name: "runAsUser 2^31",
    value: main({ securityContext: { runAsUser: 2 ** 31 } }),
    code: "E_ID",
  },
  { name: "an empty uid", value: pod({}, { uid: "" }), code: "E_UID" },
  { name: "a uid that is none", value: pod({}, { uid: "x" }), code: "E_UID" },
  { name: "a name that leads out", value: pod({}, { name: "../a" }), code: "E_NAME" },
  { name: "a namespace with a dot", value: pod({}, { namespace: "a.b" }), code: "E_NAME" },
  { name: "a volume called ..", value: pod({ volumes: [{ name: ".." }] }), code: "E_NAME" },
  {
    name: "a container with a slash",
    value: pod({ containers: [{ name: "a/b" }] }),
    code: "E_NAME",
  },
  { name: "data with a number", value: data("Secret", { data: { a: 1 } }), code: "E_OBJECT" },
  { name: "data as an array", value: data("ConfigMap", { data: ["a"] }), code: "E_OBJECT" },
  {
    name: "data with an object under __proto__",
    value: data("ConfigMap", { data: JSON.parse('{"__proto__":{}}') }),
    code: "E_OBJECT",
  },
  {
    name: "a limit that is a list",
    value: main({ resources: { limits: { cpu: [] } } }),
    code: "E_OBJECT",
  },
] as const;

for (const { name, value, code } of refused) {
  kubernetes(`refuses ${name}`, async () => {
    await rejects(() => parseObject(value), code);
  });
}

kubernetes("never quotes a value", async () => {
  const values = [
    data("Secret", { data: { key: { MARKER: "MARKER" } } }),
    data("Secret", { data: "MARKER" }),
    main({ env: [{ name: "A", value: ["MARKER"] }] }),
    volume({ secret: { defaultMode: "MARKER" } }),
  ];
  for (const value of values) {
    const failure = await rejects(
      () => parseObject(value),
      value === values[3] ? "E_MODE" : "E_OBJECT",
    );
    assert.ok(!failure.message.includes("MARKER"), failure.message);
  }
});

kubernetes("gives the very object back, whatever else it holds", () => {
  const value = { ...pod({ unknown: { a: [1] } }), more: JSON.parse('{"__proto__":1}') };
  assert.equal(parseObject(value), value);
});

kubernetes("takes null wherever Kubernetes leaves out", () => {
  const nothing = {
    labels: null,
    annotations: null,
    ownerReferences: null,
    creationTimestamp: null,
  };
  parseObject(
    pod({ volumes: null, initContainers: null, securityContext: null, nodeName: null }, nothing),
  );
  parseObject(main({ env: null, envFrom: null, args: null, resources: { limits: null } }));
  parseObject(data("Secret", { data: null }));
});

kubernetes.run();
