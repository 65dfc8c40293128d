import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { gatherObjects, MissingReferences } from "../../src/capture/gather.ts";
import { selectPods } from "../../src/capture/select.ts";
import type { KubernetesObject, Pod } from "../../src/model/kubernetes.ts";
import { rejects } from "../rejects.ts";
import { makeObject, makePod, objectsOf } from "./made.ts";

const gather = suite("capture/gather");

interface Given {
  readonly pods: readonly Pod[];
  readonly all: readonly KubernetesObject[];
}

async function fixture(...files: readonly string[]): Promise<Given> {
  const read = files.map((file) =>
    objectsOf(readFileSync(new URL(`../fixtures/${file}`, import.meta.url), "utf8")),
  );
  const all = (await Promise.all(read)).flat();
  return { pods: selectPods(all, { kind: "annotated" }, "n1").selected, all };
}

function keysOf(objects: readonly KubernetesObject[]): readonly string[] {
  return objects.map(
    ({ kind, metadata: { namespace = "", name } }) => `${kind} ${namespace}/${name}`,
  );
}

gather("takes what is referred to and what surrounds it, and nothing else", async () => {
  const { pods, all } = await fixture("objects/references.yaml");
  assert.deepEqual(keysOf(gatherObjects(pods, all, "n1")), [
    "Pod kube-system/all",
    "ConfigMap kube-system/env",
    "ConfigMap kube-system/env-from",
    "ConfigMap kube-system/init",
    "ConfigMap kube-system/kube-root-ca.crt",
    "ConfigMap kube-system/volume",
    "EndpointSlice default/kubernetes-x7",
    "Endpoints default/kubernetes",
    "Node /n1",
    "RuntimeClass /plain",
    "Secret kube-system/env",
    "Secret kube-system/init-env",
    "Secret kube-system/projected",
    "Secret kube-system/volume",
    "Service default/kubernetes",
    "Service kube-system/dns",
    "ServiceAccount kube-system/robot",
  ]);
});

gather("names every reference that leads nowhere by pod and field", async () => {
  const { pods, all } = await fixture("objects/missing.yaml");
  const failure = await rejects(() => gatherObjects(pods, all, "n1"), "E_REF_MISSING");
  assert.ok(failure instanceof MissingReferences);
  assert.deepEqual(
    failure.missing.map(({ field }) => field),
    [
      "spec.volumes[0].secret",
      "spec.volumes[1].projected.sources[1].configMap",
      "spec.volumes[2].persistentVolumeClaim",
      "spec.containers[1].envFrom[0].configMapRef",
      "spec.containers[1].env[1].valueFrom.secretKeyRef",
      "spec.containers[1].env[2].valueFrom.secretKeyRef",
      "spec.containers[1].env[3].valueFrom.configMapKeyRef",
    ],
  );
  assert.ok(failure.missing.every(({ pod }) => pod === "Pod kube-system/lost"));
  assert.match(failure.message, /spec\.containers\[1\]\.env\[1\]\.valueFrom\.secretKeyRef/);
  assert.ok(!failure.message.includes("\n"));
});

gather("follows claims to their volumes", async () => {
  const { pods, all } = await fixture("objects/claims.yaml");
  assert.deepEqual(keysOf(gatherObjects(pods, all, "n1")), [
    "Pod data/claims",
    "PersistentVolume /pv-host",
    "PersistentVolume /pv-local",
    "PersistentVolume /pv-nfs",
    "PersistentVolumeClaim data/host",
    "PersistentVolumeClaim data/local",
    "PersistentVolumeClaim data/nfs",
  ]);
});

gather("refuses a claim that is not bound and one whose volume is missing", async () => {
  const { pods, all } = await fixture("objects/claims.yaml");
  const gone = all.filter(({ metadata }) => metadata.name !== "pv-host");
  const unbound = all.map((object) =>
    object.kind === "PersistentVolumeClaim" ? { ...object, spec: {} } : object,
  );
  for (const [objects, count] of [
    [gone, 1],
    [unbound, 3],
  ] as const) {
    const failure = await rejects(() => gatherObjects(pods, objects, "n1"), "E_REF_MISSING");
    assert.ok(failure instanceof MissingReferences && failure.missing.length === count);
  }
});

gather("takes no Secret of the recorded cluster that no pod names", async () => {
  const files = ["pods", "secrets", "configmaps", "serviceaccounts", "services", "endpoints"];
  const { all } = await fixture(...files.map((file) => `setA/objects/${file}.json`));
  const { selected } = selectPods(all, { kind: "annotated" }, "node1");
  const secrets = keysOf(gatherObjects(selected, all, "node1")).filter((key) =>
    key.startsWith("Secret "),
  );
  assert.deepEqual(secrets, [
    "Secret kube-system/etcd-tls",
    "Secret kube-system/kube-apiserver",
    "Secret kube-system/kube-controller-manager",
    "Secret kube-system/kube-vip-auth",
  ]);
});

gather("gives one order whatever the order of the input", async () => {
  const { pods, all } = await fixture("objects/references.yaml");
  const forth = JSON.stringify(gatherObjects(pods, all, "n1"));
  assert.equal(JSON.stringify(gatherObjects([...pods].reverse(), [...all].reverse(), "n1")), forth);
});

const mounts = [{ name: "v", mountPath: "/v" }];
const volumePod = (volume: object) =>
  makePod("p", {
    containers: [{ name: "main", image: "i", volumeMounts: mounts }],
    volumes: [{ name: "v", ...volume }],
  });
const envPod = (env: object) =>
  makePod("p", { containers: [{ name: "main", image: "i", env: [env] }] });

const fine = [
  {
    name: "an optional Secret",
    pod: volumePod({ secret: { secretName: "gone", optional: true } }),
  },
  {
    name: "an optional key of a ConfigMap volume",
    pod: volumePod({
      configMap: { name: "c", optional: true, items: [{ key: "gone", path: "a" }] },
    }),
  },
  {
    name: "bytes in a ConfigMap volume",
    pod: volumePod({ configMap: { name: "c", items: [{ key: "bytes", path: "a" }] } }),
  },
  {
    name: "a literal beside a reference",
    pod: envPod({ name: "A", value: "a", valueFrom: { secretKeyRef: { name: "gone", key: "a" } } }),
  },
  {
    name: "an optional reference without a name",
    pod: envPod({ name: "A", valueFrom: { secretKeyRef: { key: "a", optional: true } } }),
  },
  { name: "a pull secret", pod: makePod("p", { imagePullSecrets: [{ name: "gone" }] }) },
  {
    name: "a volume that only an ephemeral container mounts",
    pod: makePod("p", {
      volumes: [{ name: "v", secret: { secretName: "gone" } }],
      ephemeralContainers: [{ name: "e", image: "i", volumeMounts: mounts }],
    }),
  },
];

for (const { name, pod } of fine) {
  gather(`does not miss ${name}`, () => {
    const all = [
      makeObject("ConfigMap", "c", { data: { text: "t" }, binaryData: { bytes: "YQ==" } }),
    ];
    gatherObjects([pod], all, "n1");
  });
}

const missing = [
  {
    name: "an empty value beside a reference",
    pod: envPod({ name: "A", value: "", valueFrom: { secretKeyRef: { name: "gone", key: "a" } } }),
  },
  {
    name: "a Secret of another namespace",
    pod: envPod({ name: "A", valueFrom: { secretKeyRef: { name: "elsewhere", key: "a" } } }),
  },
  {
    name: "a key that only the prototype has",
    pod: envPod({ name: "A", valueFrom: { secretKeyRef: { name: "here", key: "toString" } } }),
  },
  { name: "a reference without a name", pod: volumePod({ configMap: {} }) },
  {
    name: "the volume of an init container",
    pod: makePod("p", {
      initContainers: [{ name: "init", image: "i", volumeMounts: mounts }],
      volumes: [{ name: "v", secret: { secretName: "gone" } }],
    }),
  },
  {
    name: "the volume of a block device",
    pod: makePod("p", {
      containers: [{ name: "main", image: "i", volumeDevices: [{ name: "v", devicePath: "/d" }] }],
      volumes: [{ name: "v", persistentVolumeClaim: { claimName: "gone" } }],
    }),
  },
];

for (const { name, pod } of missing) {
  gather(`misses ${name}`, async () => {
    const all = [
      makeObject("Secret", "here", { data: { a: "YQ==" } }),
      makeObject("Secret", "elsewhere", { data: { a: "YQ==" } }, { namespace: "other" }),
    ];
    await rejects(() => gatherObjects([pod], all, "n1"), "E_REF_MISSING");
  });
}

gather("takes keys such as __proto__ as data", async () => {
  const { pods, all } = await fixture("objects/names.yaml");
  assert.ok(keysOf(gatherObjects(pods, all, "n1")).includes("ConfigMap a/constructor"));
});

const mebibyte = "x".repeat(1_048_576);
const sizes = [
  {
    name: "a ConfigMap of 1 MiB",
    object: makeObject("ConfigMap", "c", { data: { a: mebibyte } }),
    code: undefined,
  },
  {
    name: "a ConfigMap of 1 MiB and a byte",
    object: makeObject("ConfigMap", "c", { data: { a: `${mebibyte}x` } }),
    code: "E_TOO_BIG",
  },
  {
    name: "a Secret of 1 MiB",
    object: makeObject("Secret", "c", { data: { a: Buffer.from(mebibyte).toString("base64") } }),
    code: undefined,
  },
  {
    name: "a Secret of 1 MiB and a byte",
    object: makeObject("Secret", "c", {
      data: { a: Buffer.from(mebibyte).toString("base64"), b: "YQ==" },
    }),
    code: "E_TOO_BIG",
  },
  {
    name: "a ConfigMap with a key as text and as bytes",
    object: makeObject("ConfigMap", "c", { data: { a: "" }, binaryData: { a: "" } }),
    code: "E_DUP_KEY",
  },
] as const;

for (const { name, object, code } of sizes) {
  gather(`${code === undefined ? "takes" : "refuses"} ${name}`, async () => {
    const source =
      object.kind === "Secret" ? { secret: { secretName: "c" } } : { configMap: { name: "c" } };
    const run = () => gatherObjects([volumePod(source)], [object], "n1");
    await (code === undefined ? run() : rejects(run, code));
  });
}

gather("refuses a pod larger than 1.5 MiB", async () => {
  const pod = makePod("p", {}, { annotations: { a: "x".repeat(1_572_864) } });
  await rejects(() => gatherObjects([pod], [], "n1"), "E_TOO_BIG");
});

gather("does not look at the size of what no pod names", () => {
  const other = makeObject("ConfigMap", "other", { data: { a: `${mebibyte}x` } });
  assert.equal(gatherObjects([makePod("p")], [other], "n1").length, 1);
});

gather("shortens a long list of missing references", async () => {
  const env = Array.from({ length: 500 }, (_, index) => ({
    name: `A${index}`,
    valueFrom: { secretKeyRef: { name: "gone", key: "a" } },
  }));
  const pod = makePod("p", { containers: [{ name: "main", image: "i", env }] });
  const failure = await rejects(() => gatherObjects([pod], [], "n1"), "E_REF_MISSING");
  assert.ok(failure.message.length < 2_000);
});

gather.run();
