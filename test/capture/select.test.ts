import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { selectPods } from "../../src/capture/select.ts";
import type { Selection } from "../../src/config.ts";
import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import { rejects } from "../rejects.ts";
import { makePod, objectsOf } from "./made.ts";

const select = suite("capture/select");

const annotated: Selection = { kind: "annotated" };
const all: Selection = { kind: "all" };
const ours = "blackstart.dev/checkpoint";
const older = "checkpointer.alpha.coreos.com/checkpoint";

function fixture(file: string): Promise<readonly KubernetesObject[]> {
  return objectsOf(readFileSync(new URL(`../fixtures/${file}`, import.meta.url), "utf8"));
}

function namesOf(objects: readonly KubernetesObject[], selection: Selection): readonly string[] {
  return selectPods(objects, selection, "n1").selected.map(({ metadata }) => metadata.name);
}

/** The table of the recording, without the random part of the names. */
const table = [
  { name: "coredns", annotated: 2, all: 2 },
  { name: "etcd", annotated: 1, all: 1 },
  { name: "etcd-defrag", annotated: 0, all: 0 },
  { name: "explicit-false", annotated: 0, all: 0 },
  { name: "kube-apiserver", annotated: 1, all: 1 },
  { name: "kube-controller-manager", annotated: 1, all: 1 },
  { name: "kube-flannel-ds", annotated: 1, all: 1 },
  { name: "kube-proxy", annotated: 1, all: 1 },
  { name: "kube-scheduler", annotated: 1, all: 1 },
  { name: "kube-vip-ds", annotated: 1, all: 1 },
  { name: "old-and-new-annotation", annotated: 1, all: 1 },
  { name: "old-annotation", annotated: 1, all: 1 },
  { name: "plain-unannotated", annotated: 0, all: 1 },
  { name: "static-web-node1", annotated: 0, all: 0 },
  { name: "dashboard", annotated: 0, all: 2 },
];

for (const kind of ["annotated", "all"] as const) {
  select(`chooses of the recorded cluster what its table says: ${kind}`, async () => {
    const objects = await fixture("setA/objects/pods.json");
    const { selected, ignored } = selectPods(objects, { kind }, "node1");
    const base = (name: string) => name.replace(/(-[0-9a-f]{8,10})?-[a-z0-9]{5}$/, "");
    for (const row of table) {
      const count = selected.filter(({ metadata: { name } }) =>
        [name, base(name)].includes(row.name),
      );
      assert.equal(count.length, row[kind], row.name);
    }
    assert.equal(selected.length, kind === "annotated" ? 11 : 14);
    assert.equal(selected.length + ignored.length, 17);
  });
}

const never = [
  ["other-node", "I_NODE"],
  ["mirror", "I_STATIC"],
  ["static-http", "I_STATIC"],
  ["owned-by-node", "I_STATIC"],
  ["copy", "I_COPY"],
  ["older-copy", "I_COPY"],
  ["job", "I_JOB"],
  ["succeeded", "I_FINISHED"],
  ["failed", "I_FINISHED"],
  ["terminating", "I_TERMINATING"],
  ["opted-out", "I_OPTED_OUT"],
];

for (const selection of [annotated, all]) {
  select(`never takes what must not run again, and says why: ${selection.kind}`, async () => {
    const { selected, ignored } = selectPods(await fixture("objects/never.yaml"), selection, "n1");
    assert.deepEqual(selected, []);
    assert.deepEqual(
      ignored.map(({ name, code }) => [name, code]),
      never,
    );
    assert.ok(ignored.every(({ namespace, message }) => namespace === "x" && message !== ""));
  });
}

select("takes a pod of a ReplicaSet that lists a Job among its other owners", () => {
  const ownerReferences = [
    { kind: "Job", name: "j" },
    { kind: "ReplicaSet", name: "r", controller: true },
  ];
  assert.deepEqual(namesOf([makePod("a", {}, { ownerReferences })], all), ["a"]);
});

select("takes a pod whose source is the API and one that has no node yet", () => {
  const annotations = { "kubernetes.io/config.source": "api" };
  const objects = [makePod("a", {}, { annotations }), makePod("b", { nodeName: "" })];
  assert.deepEqual(namesOf(objects, all), ["a", "b"]);
});

/** Annotations, and whether `annotated` and `all` take the pod. */
const annotations: readonly (readonly [Record<string, string>, boolean, boolean])[] = [
  [{}, false, true],
  [{ [ours]: "true" }, true, true],
  [{ [ours]: "false" }, false, false],
  [{ [older]: "true" }, true, true],
  [{ [older]: "false" }, false, false],
  [{ [older]: "yes" }, false, true],
  [{ [ours]: "true", [older]: "false" }, true, true],
  [{ [ours]: "false", [older]: "true" }, false, false],
  [{ "blackstart.dev/unknown": '{"path":"/etc/shadow"}' }, false, true],
];

for (const [given, byAnnotation, byAll] of annotations) {
  select(`decides by the annotations ${JSON.stringify(given)}`, () => {
    const objects = [makePod("a", {}, { annotations: given })];
    assert.equal(namesOf(objects, annotated).length === 1, byAnnotation);
    assert.equal(namesOf(objects, all).length === 1, byAll);
  });
}

for (const value of ["True", "1", "yes", "", " true", "[".repeat(262_144)]) {
  select(`refuses the value ${JSON.stringify(value.slice(0, 10))} of our annotation`, async () => {
    const pod = makePod("a", {}, { annotations: { [ours]: value } });
    for (const selection of [annotated, all]) {
      const failure = await rejects(() => selectPods([pod], selection, "n1"), "E_ANNOTATION");
      assert.ok(failure.message.length < 400);
    }
  });
}

select("does not mind a wrong annotation on a pod that is never taken", () => {
  const pod = makePod("a", { nodeName: "n2" }, { annotations: { [ours]: "True" } });
  assert.deepEqual(namesOf([pod], all), []);
});

const pods = [
  makePod("etcd", { priorityClassName: "system-node-critical" }, { labels: { tier: "cp" } }),
  makePod("web", {}, { namespace: "default", labels: { tier: "web" } }),
  makePod("dns", { priorityClassName: "system-cluster-critical" }, { labels: {} }),
  makePod("out", {}, { labels: { tier: "cp" }, annotations: { [ours]: "false" } }),
];

const selectors = [
  { name: "nothing given", fields: {}, expect: ["etcd", "web", "dns"] },
  { name: "a namespace", fields: { namespaces: ["kube-system"] }, expect: ["etcd", "dns"] },
  { name: "labels", fields: { labelSelector: "tier in (cp, web)" }, expect: ["etcd", "web"] },
  { name: "no such label", fields: { labelSelector: "!tier" }, expect: ["dns"] },
  {
    name: "priority classes",
    fields: { priorityClassNames: ["system-node-critical", "system-cluster-critical"] },
    expect: ["etcd", "dns"],
  },
  {
    name: "all three",
    fields: {
      namespaces: ["kube-system"],
      labelSelector: "tier=cp",
      priorityClassNames: ["system-node-critical"],
    },
    expect: ["etcd"],
  },
];

for (const { name, fields, expect } of selectors) {
  select(`takes what a selector names: ${name}`, () => {
    const selection: Selection = {
      kind: "selector",
      namespaces: [],
      labelSelector: undefined,
      priorityClassNames: [],
      ...fields,
    };
    assert.deepEqual(namesOf(pods, selection), expect);
  });
}

select("takes names and labels such as __proto__ as data", async () => {
  assert.deepEqual(namesOf(await fixture("objects/names.yaml"), annotated), ["b-c", "c"]);
});

select.run();
