import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { suite } from "uvu";
import type { Checkpoint } from "../../src/model/checkpoint.ts";
import { demand, type Json } from "./api.ts";
import { captureNode } from "./capture-node.ts";
import { startControlPlane } from "./control-plane.ts";
import { describeTimes, note, seconds } from "./measured.ts";
import { objectsOfSet } from "./objects-of-set.ts";
import { assertTrue, find, namesIn } from "./truth.ts";
import { until } from "./until.ts";

const changes = suite("e2e/capture-changes");

const dir = mkdtempSync(join(tmpdir(), "blackstart-e2e-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const cluster = await startControlPlane({ dir: join(dir, "cluster") });
const { api } = cluster;
const system = "/api/v1/namespaces/kube-system";
const app = "/api/v1/namespaces/app";
const checkpointed = { "blackstart.dev/checkpoint": "true" };
const byDaemonSet = {
  ownerReferences: [
    { apiVersion: "apps/v1", kind: "DaemonSet", name: "agent", uid: "1-2", controller: true },
  ],
};

await cluster.apply(objectsOfSet("setA"));
await cluster.apply([
  { apiVersion: "v1", kind: "Node", metadata: { name: "node2" } },
  pod("first", { volumes: [{ name: "v", secret: { secretName: "late", optional: true } }] }),
  pod("agent-1", {}, byDaemonSet),
  pod("scaled-1", { nodeName: "node2" }, byDaemonSet),
  pod("stays", { nodeName: "node2" }),
]);

const node = captureNode("node1", cluster.nodeKubeconfig("node1"), ["select: annotated"]);
const other = captureNode("node2", cluster.nodeKubeconfig("node2"), ["select: annotated"]);
const watching = node.watch();
const waiting = other.watch();
await node.after(0, 90_000);
await other.after(0, 90_000);
// Of a workload that gets no new pod: looked at in the end.
await remove(`${app}/pods/scaled-1`);
const scaledAt = Date.now();

interface Change {
  readonly name: string;
  /** Ends with the apiserver's acknowledgement. */
  readonly make: (round: number) => Promise<unknown>;
  readonly isRight: (checkpoint: Checkpoint, round: number) => unknown;
}

/** In the last one the node is quiet before each change; in the others the interval has to pass first. */
const rounds = 3;
const quietTimes: number[] = [];
const times = new Map<string, readonly number[]>();

const cases: readonly Change[] = [
  {
    name: "a Secret that is rotated",
    make: (round) => patch(`${system}/secrets/etcd-tls`, { data: { "ca.crt": code(`${round}`) } }),
    isRight: (checkpoint, round) =>
      assert.equal(dataOf(checkpoint, "Secret", "etcd-tls")["ca.crt"], code(`${round}`)),
  },
  {
    name: "a key that is added to a Secret",
    make: () => patch(`${system}/secrets/etcd-tls`, { data: { extra: code("x") } }),
    isRight: (checkpoint) =>
      assert.equal(dataOf(checkpoint, "Secret", "etcd-tls")["extra"], code("x")),
  },
  {
    name: "a key that is removed from a Secret",
    make: () => patch(`${system}/secrets/etcd-tls`, { data: { extra: null } }),
    isRight: (checkpoint) =>
      assert.ok(!("extra" in dataOf(checkpoint, "Secret", "etcd-tls")), "it is still there"),
  },
  {
    name: "a ConfigMap that is edited",
    make: (round) => patch(`${system}/configmaps/coredns`, { data: { Corefile: `# ${round}` } }),
    isRight: (checkpoint, round) =>
      assert.equal(dataOf(checkpoint, "ConfigMap", "coredns")["Corefile"], `# ${round}`),
  },
  {
    name: "a DaemonSet's pod that is replaced at once",
    make: async (round) => {
      await remove(`${app}/pods/agent-${2 * round - 1}`);
      await create(pod(`agent-${2 * round}`, {}, byDaemonSet));
    },
    isRight: (checkpoint, round) => assertAgent(checkpoint, 2 * round),
  },
  {
    name: "a DaemonSet's pod that is replaced after a gap",
    make: async (round) => {
      const before = node.newest();
      await remove(`${app}/pods/agent-${2 * round}`);
      await after(3_000);
      assert.equal(node.newest(), before, "a generation without the pod");
      await create(pod(`agent-${2 * round + 1}`, {}, byDaemonSet));
    },
    isRight: (checkpoint, round) => assertAgent(checkpoint, 2 * round + 1),
  },
  {
    name: "an annotation that is nonsense",
    make: () => annotate("first", "perhaps"),
    isRight: (checkpoint) => {
      assert.deepEqual(
        checkpoint.unprojectable.map(({ name, code }) => `${name} ${code}`),
        ["first E_ANNOTATION"],
      );
      assert.ok(!namesIn(checkpoint, "Pod").includes("app/first"));
    },
  },
  {
    name: "an annotation that is right again",
    make: () => annotate("first", "true"),
    isRight: (checkpoint) => {
      assert.deepEqual(checkpoint.unprojectable, []);
      assert.ok(namesIn(checkpoint, "Pod").includes("app/first"));
    },
  },
  {
    name: "an annotation that is removed",
    make: () => annotate("first", null),
    isRight: (checkpoint) => assert.ok(!namesIn(checkpoint, "Pod").includes("app/first")),
  },
  {
    name: "a pod that is annotated",
    make: () => annotate("first", "true"),
    isRight: (checkpoint) => assert.ok(namesIn(checkpoint, "Pod").includes("app/first")),
  },
  {
    name: "an optional Secret that appears",
    make: () => create(secret("late", "1")),
    isRight: (checkpoint) => assert.deepEqual(dataOf(checkpoint, "Secret", "late"), { k: "MQ==" }),
  },
  {
    name: "an optional Secret that goes",
    make: () => remove(`${app}/secrets/late`),
    isRight: (checkpoint) => assert.equal(find(checkpoint, "Secret", "app", "late"), undefined),
  },
  {
    name: "a Service in a pod's namespace",
    make: (round) =>
      create({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: `s${round}`, namespace: "app" },
        spec: { ports: [{ port: 80 }] },
      }),
    isRight: (checkpoint, round) =>
      assert.ok(namesIn(checkpoint, "Service").includes(`app/s${round}`)),
  },
  {
    name: "a pod with a claim to a volume of the host",
    make: async (round) => {
      await cluster.apply(claimOf(round));
      await create(
        pod(`claims-${round}`, {
          volumes: [{ name: "v", persistentVolumeClaim: { claimName: `claim-${round}` } }],
        }),
      );
    },
    isRight: (checkpoint, round) => {
      assert.ok(namesIn(checkpoint, "PersistentVolumeClaim").includes(`app/claim-${round}`));
      assert.ok(namesIn(checkpoint, "PersistentVolume").includes(`/volume-${round}`));
      assert.ok(namesIn(checkpoint, "Pod").includes(`app/claims-${round}`));
    },
  },
  {
    name: "a pod that is deleted and stands alone",
    make: (round) => remove(`${app}/pods/claims-${round}`),
    isRight: (checkpoint, round) => {
      assert.ok(!namesIn(checkpoint, "Pod").includes(`app/claims-${round}`));
      assert.ok(!namesIn(checkpoint, "PersistentVolume").includes(`/volume-${round}`));
    },
  },
];

for (let round = 1; round <= rounds; round += 1) {
  for (const { name, make, isRight } of cases) {
    changes(`${name} is in the next generation within 2 s (${round})`, async () => {
      if (round === rounds) {
        await after(1_000);
      }
      const before = node.newest();
      await make(round);
      const acknowledgedAt = Date.now();
      await node.after(before);
      const checkpoint = node.open(before + 1);
      isRight(checkpoint, round);
      await assertTrue(api, checkpoint);
      const ms = node.appearedAt(before + 1) - acknowledgedAt;
      times.set(name, [...(times.get(name) ?? []), ms]);
      if (round === rounds) {
        quietTimes.push(ms);
      }
      assert.ok(ms < 2_000, `${ms} ms`);
    });
  }
}

changes("each change took less than 2 s", () => {
  for (const [name, ms] of times) {
    note(`${name}: ${describeTimes(ms)}`);
  }
  const all = [...times.values()].flat();
  note(`from the API's answer to the generation, all changes: ${describeTimes(all)}`);
  note(`the same where nothing was committed in the second before: ${describeTimes(quietTimes)}`);
  assert.equal(all.length, rounds * cases.length);
});

changes(
  "a Secret that is deleted while its pod runs keeps the generation, and is told",
  async () => {
    const before = node.newest();
    const from = watching.log().length;
    const { body } = await demand(api, "GET", `${system}/secrets/etcd-tls`);
    await remove(`${system}/secrets/etcd-tls`);
    await watching.says(/E_REF_MISSING: .*etcd.* generation \d+ stays the newest/, from);
    await after(2_000);
    assert.equal(node.newest(), before);
    await create({
      ...body,
      kind: "Secret",
      metadata: { name: "etcd-tls", namespace: "kube-system" },
    });
    await node.after(before);
    await assertTrue(api, node.open(node.newest()));
  },
);

changes("status heartbeats write no generation", async () => {
  const before = node.newest();
  const { body } = await demand(api, "GET", `${system}/pods?fieldSelector=spec.nodeName%3Dnode1`);
  const pods = (body["items"] as readonly { readonly metadata: { readonly name: string } }[])
    .map(({ metadata }) => metadata.name)
    .filter((name) => name.startsWith("kube-"));
  const beats = 200;
  for (let beat = 0; beat < beats; beat += 1) {
    const conditions = [
      { type: "Ready", status: "True", lastProbeTime: new Date(beat * 1_000).toISOString() },
    ];
    const path =
      beat % 5 === 0 ? "/api/v1/nodes/node1" : `${system}/pods/${pods[beat % pods.length]}`;
    await patch(`${path}/status`, {
      status: {
        conditions: conditions.map(({ lastProbeTime, ...rest }) => ({
          ...rest,
          [beat % 5 === 0 ? "lastHeartbeatTime" : "lastProbeTime"]: lastProbeTime,
        })),
      },
    });
  }
  await after(2_000);
  assert.equal(node.newest(), before);
  note(`${beats} heartbeats: no generation`);
});

changes("the kubelet's version is as new as the last look at the Node", async () => {
  const before = node.newest();
  await patch("/api/v1/nodes/node1/status", {
    status: { nodeInfo: { kubeletVersion: "v1.99.0" } },
  });
  await after(2_000);
  assert.equal(node.newest(), before, "the Node is asked for every ten minutes, not followed");
  watching.signal("SIGHUP");
  await node.after(before, 60_000);
  const { metadata } = node.open(before + 1);
  assert.equal(metadata.kubelet?.version, "v1.99.0");
});

changes("the bare pods of a deleted namespace go at once", async () => {
  await cluster.apply([
    namespaced(pod("bare-1"), "doomed"),
    namespaced(secret("s", "1"), "doomed"),
    namespaced(pod("bare-2", { volumes: [{ name: "v", secret: { secretName: "s" } }] }), "doomed"),
  ]);
  await untilPods((names) => names.includes("doomed/bare-1") && names.includes("doomed/bare-2"));
  const before = node.newest();
  const started = Date.now();
  await deleteNamespace("doomed");
  await untilPods((names) => !names.some((name) => name.startsWith("doomed/")));
  note(
    `a namespace with bare pods only: gone from the generation ${seconds(node.appearedAt(node.newest()) - started)} after its deletion began`,
  );
  assert.ok(node.newest() > before);
  await assertTrue(api, node.open(node.newest()));
});

changes("a workload that gets no new pod is waited for, half a minute", async () => {
  await other.after(1, 40_000);
  const ms = other.appearedAt(2) - scaledAt;
  note(`a workload's pod without a successor: gone from the generation after ${seconds(ms)}`);
  assert.ok(ms > 29_000 && ms < 33_000, `${ms} ms`);
  assert.deepEqual(namesIn(other.open(2), "Pod"), ["app/stays"]);
  assert.match(waiting.log(), /waiting for a new pod of app\/DaemonSet\/agent/);
});

changes("the end is clean", async () => {
  for (const each of [watching, waiting]) {
    await each.stop();
    assert.match(each.log(), /capture: stopped\n$/);
  }
});

function pod(name: string, spec: object = {}, metadata: object = {}) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "app", annotations: checkpointed, ...metadata },
    spec: {
      nodeName: "node1",
      containers: [{ name: "c", image: "registry.example/app:1", volumeMounts: mountsOf(spec) }],
      ...spec,
    },
  };
}

function mountsOf({ volumes = [] }: { readonly volumes?: readonly { readonly name: string }[] }) {
  return volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
}

function secret(name: string, value: string) {
  const metadata = { name, namespace: "app" };
  return { apiVersion: "v1", kind: "Secret", metadata, data: { k: code(value) } };
}

function namespaced<T extends { readonly metadata: object }>(object: T, namespace: string): T {
  return { ...object, metadata: { ...object.metadata, namespace } };
}

function claimOf(round: number): readonly object[] {
  const capacity = { storage: "1Gi" };
  const common = { accessModes: ["ReadWriteOnce"], storageClassName: "" };
  return [
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: `volume-${round}` },
      spec: {
        ...common,
        capacity,
        hostPath: { path: "/data" },
        // By this the Node authorizer knows whose it is.
        claimRef: { namespace: "app", name: `claim-${round}` },
      },
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: `claim-${round}`, namespace: "app" },
      spec: { ...common, resources: { requests: capacity }, volumeName: `volume-${round}` },
      status: { phase: "Bound", accessModes: common.accessModes, capacity },
    },
  ];
}

/** As the namespace's controller does it, which does not run here: everything in it, then the namespace. */
async function deleteNamespace(name: string): Promise<void> {
  await demand(api, "DELETE", `/api/v1/namespaces/${name}`);
  for (const resource of ["secrets", "configmaps", "serviceaccounts", "pods"]) {
    const path = `/api/v1/namespaces/${name}/${resource}`;
    await demand(api, "DELETE", path, { gracePeriodSeconds: 0 });
  }
}

async function untilPods(isRight: (names: readonly string[]) => boolean): Promise<void> {
  const look = () => isRight(namesIn(node.open(node.newest()), "Pod"));
  await until(look, 10_000, () => namesIn(node.open(node.newest()), "Pod").join(" "));
}

function assertAgent(checkpoint: Checkpoint, number: number): void {
  const agents = namesIn(checkpoint, "Pod").filter((name) => name.startsWith("app/agent-"));
  assert.deepEqual(agents, [`app/agent-${number}`]);
}

function dataOf(checkpoint: Checkpoint, kind: string, name: string) {
  const namespace = name === "late" ? "app" : "kube-system";
  return (find(checkpoint, kind, namespace, name)?.["data"] ?? {}) as Record<string, string>;
}

function annotate(name: string, value: string | null) {
  const annotations = { "blackstart.dev/checkpoint": value };
  return patch(`${app}/pods/${name}`, { metadata: { annotations } });
}

interface Creatable extends Json {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

function create(object: Creatable) {
  const { kind, metadata } = object;
  const path = `/api/v1/namespaces/${metadata.namespace}/${kind.toLowerCase()}s`;
  return demand(api, "POST", path, object);
}

function patch(path: string, body: object) {
  return demand(api, "PATCH", path, body);
}

/** At once: no kubelet confirms the end of a pod here. */
function remove(path: string) {
  return demand(api, "DELETE", path, { gracePeriodSeconds: 0 });
}

function code(text: string): string {
  return Buffer.from(text).toString("base64");
}

changes.run();
