import assert from "node:assert/strict";
import { suite } from "uvu";
import { gatherObjects, MissingReferences } from "../../src/capture/gather.ts";
import { gatherEach } from "../../src/capture/gather-each.ts";
import type { Pod } from "../../src/model/kubernetes.ts";
import { makeObject, makePod } from "./made.ts";

const each = suite("capture/gather-each");

const volumePod = (name: string, source: object, namespace = "kube-system") =>
  makePod(
    name,
    {
      containers: [{ name: "main", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
      volumes: [{ name: "v", ...source }],
    },
    { namespace },
  );

const pods: Readonly<Record<string, Pod>> = {
  fine: volumePod("fine", { secret: { secretName: "here" } }),
  missing: volumePod("missing", { secret: { secretName: "gone" } }),
  keyless: volumePod("keyless", {
    secret: { secretName: "here", items: [{ key: "gone", path: "a" }] },
  }),
  twice: volumePod("twice", { configMap: { name: "twice" } }),
  big: volumePod("big", { configMap: { name: "big" } }),
  bigger: makePod("bigger", {}, { annotations: { a: "x".repeat(1_572_864) } }),
};
const codes: Readonly<Record<string, string>> = {
  missing: "E_REF_MISSING",
  keyless: "E_REF_MISSING",
  twice: "E_DUP_KEY",
  big: "E_TOO_BIG",
  bigger: "E_TOO_BIG",
};
const all = [
  ...Object.values(pods),
  makeObject("Secret", "here", { data: { a: "YQ==" } }),
  makeObject("ConfigMap", "twice", { data: { a: "" }, binaryData: { a: "" } }),
  makeObject("ConfigMap", "big", { data: { a: "x".repeat(1_048_577) } }),
];

const names = Object.keys(pods);
for (let chosen = 0; chosen < 2 ** names.length; chosen += 1) {
  const here = names.filter((_, bit) => (chosen >> bit) % 2 === 1);
  each(`tells apart ${here.join(", ") || "no pods"}`, () => {
    const given = here.flatMap((name) => pods[name] ?? []);
    const { whole, broken } = gatherEach(given, all, "n1");
    assert.deepEqual(
      whole.map(({ metadata }) => metadata.name),
      here.filter((name) => codes[name] === undefined),
    );
    assert.deepEqual(
      broken.map(({ pod, failure }) => [pod.metadata.name, failure.code]),
      here.flatMap((name) => (codes[name] === undefined ? [] : [[name, codes[name]]])),
    );
    gatherObjects(whole, all, "n1");
  });
}

each("a pod's failure names its own references only", () => {
  const { broken } = gatherEach(
    [pods["missing"], pods["keyless"]].flatMap((pod) => pod ?? []),
    all,
    "n1",
  );
  assert.deepEqual(
    broken.map(({ failure }) =>
      failure instanceof MissingReferences ? failure.missing.map(({ pod }) => pod) : failure.code,
    ),
    [["Pod kube-system/missing"], ["Pod kube-system/keyless"]],
  );
});

each("what only one namespace's pods look at breaks no pod of another", () => {
  const root = makeObject(
    "ConfigMap",
    "kube-root-ca.crt",
    { data: { a: "" }, binaryData: { a: "" } },
    { namespace: "tenant" },
  );
  const tenant = makePod("t", {}, { namespace: "tenant" });
  const other = makePod("o");
  const { whole, broken } = gatherEach([tenant, other], [root], "n1");
  assert.deepEqual(whole, [other]);
  assert.deepEqual(
    broken.map(({ pod, failure }) => [pod, failure.code]),
    [[tenant, "E_DUP_KEY"]],
  );
});

each.run();
