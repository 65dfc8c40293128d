import assert from "node:assert/strict";
import { suite } from "uvu";
import { keyOf, needsOf } from "../../src/capture/needs.ts";
import { isPod } from "../../src/capture/select.ts";
import type { KubernetesObject, Pod } from "../../src/model/kubernetes.ts";
import { claimVolume, podWith, secretVolume } from "./following-pods.ts";
import { makeObject, makePod } from "./made.ts";

const test = suite("capture/needs");

function pod(object: KubernetesObject): Pod {
  assert.ok(isPod(object));
  return object;
}

const claim = (spec: unknown, namespace = "kube-system") =>
  makeObject("PersistentVolumeClaim", "c", { spec }, { namespace });

const cases: readonly {
  readonly name: string;
  readonly pods: readonly KubernetesObject[];
  readonly objects?: readonly KubernetesObject[];
  readonly watched?: readonly string[];
  readonly fetched?: readonly string[];
  readonly services?: readonly string[];
}[] = [
  { name: "no pod needs nothing", pods: [], services: [] },
  {
    name: "what two pods need is named once, in order",
    pods: [podWith("b", ["z", "a"].map(secretVolume)), podWith("a", ["a", "m"].map(secretVolume))],
    watched: ["Secret/kube-system/a", "Secret/kube-system/m", "Secret/kube-system/z"],
  },
  {
    name: "one name in two namespaces is two objects, and two kinds are two",
    pods: [
      podWith("a", [secretVolume("s"), { configMap: { name: "s" } }]),
      podWith("a", [secretVolume("s")], { namespace: "other" }),
    ],
    watched: ["ConfigMap/kube-system/s", "Secret/kube-system/s", "Secret/other/s"],
    services: ["kube-system", "other"],
  },
  {
    name: "a volume that no container mounts is not needed",
    pods: [makePod("a", { volumes: [{ name: "v", ...secretVolume("s") }] })],
  },
  {
    name: "a reference without a name names nothing",
    pods: [podWith("a", [{ secret: {} }, { configMap: {} }])],
  },
  {
    name: "env and projected sources count",
    pods: [
      makePod("a", {
        volumes: [{ name: "p", projected: { sources: [{ configMap: { name: "ca" } }] } }],
        containers: [
          {
            name: "main",
            image: "i",
            volumeMounts: [{ name: "p", mountPath: "/p" }],
            envFrom: [{ secretRef: { name: "e" } }],
            env: [{ name: "X", valueFrom: { configMapKeyRef: { name: "k", key: "x" } } }],
          },
        ],
      }),
    ],
    watched: ["ConfigMap/kube-system/ca", "ConfigMap/kube-system/k", "Secret/kube-system/e"],
  },
  {
    name: "a claim is only got, and its volume not before it is known",
    pods: [podWith("a", [claimVolume("c")])],
    fetched: ["PersistentVolumeClaim/kube-system/c"],
  },
  {
    name: "the volume of a known claim is got",
    pods: [podWith("a", [claimVolume("c")])],
    objects: [claim({ volumeName: "pv" })],
    fetched: ["PersistentVolume//pv", "PersistentVolumeClaim/kube-system/c"],
  },
  ...[{ volumeName: "" }, { volumeName: null }, {}, null].map((spec) => ({
    name: `a claim whose spec is ${JSON.stringify(spec)} has no volume yet`,
    pods: [podWith("a", [claimVolume("c")])],
    objects: [claim(spec)],
    fetched: ["PersistentVolumeClaim/kube-system/c"],
  })),
  {
    name: "a claim of the same name elsewhere is another",
    pods: [podWith("a", [claimVolume("c")])],
    objects: [claim({ volumeName: "pv" }, "other")],
    fetched: ["PersistentVolumeClaim/kube-system/c"],
  },
  {
    name: "Services are needed only where the environment names them",
    pods: [makePod("a", { enableServiceLinks: false })],
    services: [],
  },
];

for (const { name, pods, objects = [], watched = [], fetched = [], services } of cases) {
  test(name, () => {
    const needs = needsOf(pods.map(pod), objects);
    assert.deepEqual(needs.watched.map(keyOf), watched);
    assert.deepEqual(needs.fetched.map(keyOf), fetched);
    assert.deepEqual(needs.serviceNamespaces, services ?? ["kube-system"]);
  });
}

test.run();
