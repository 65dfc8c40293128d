import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { suite } from "uvu";
import { assertFails } from "../end-to-end/executable.ts";
import { demand } from "./api.ts";
import { type CaptureNode, captureNode, ended } from "./capture-node.ts";
import { startControlPlane } from "./control-plane.ts";
import { note, seconds } from "./measured.ts";
import { objectsOfSet } from "./objects-of-set.ts";
import type { Validity } from "./pki.ts";
import { assertTrue, namesIn } from "./truth.ts";

const credentials = suite("e2e/capture-credentials");

const dir = mkdtempSync(join(tmpdir(), "blackstart-e2e-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const cluster = await startControlPlane({ dir: join(dir, "cluster") });
const { api } = cluster;
await cluster.apply(objectsOfSet("setA"));
await cluster.apply([
  { apiVersion: "v1", kind: "Node", metadata: { name: "node2" } },
  { ...bare("stays"), spec: { ...bare("stays").spec, nodeName: "node2" } },
]);
const renewedLate = renewTooLate();
// It is waited for in the end; until then it may fail in silence.
renewedLate.catch(() => undefined);

/** A node that holds a generation already, which no failure may touch. */
const node = captureNode("node1", cluster.nodeKubeconfig("node1"));
ended(await node.once());

const day = 86_400_000;
const past: Validity = {
  notBefore: new Date(Date.now() - 2 * day),
  notAfter: new Date(Date.now() - day),
};

interface Refusal {
  readonly name: string;
  readonly kubeconfig: () => string;
  readonly words?: readonly string[];
  readonly code: string;
  /** What the line names besides the code. */
  readonly says: RegExp;
}

const cases: readonly Refusal[] = [
  {
    name: "another node's kubeconfig",
    kubeconfig: () => cluster.nodeKubeconfig("node2"),
    words: ["--node", "node1"],
    code: "E_API_FORBIDDEN",
    says: /list pods of node node1.*403 Forbidden.*use the kubelet's own kubeconfig/,
  },
  {
    name: "the own kubeconfig with another node's name",
    kubeconfig: () => cluster.nodeKubeconfig("node1"),
    words: ["--node", "node2"],
    // The store is node1's: that is said before anything is asked.
    code: "E_NODE",
    says: /node1/,
  },
  {
    name: "a client certificate that has expired",
    kubeconfig: () => cluster.nodeKubeconfig("node1", { validity: past }),
    code: "E_TLS_TIME",
    says: /the client certificate has expired.*does not renew it/,
  },
  {
    name: "no apiserver at that address",
    kubeconfig: () => cluster.nodeKubeconfig("node1", { server: "https://127.0.0.1:1" }),
    code: "E_API_UNREACHABLE",
    says: /127\.0\.0\.1:1/,
  },
];

for (const { name, kubeconfig, words, code, says } of cases) {
  credentials(`${name} ends in ${code}, and the generation stays`, async () => {
    node.useKubeconfig(kubeconfig());
    const run = await node.once(words);
    assertFails(run, code, code === "E_NODE" ? 65 : 69);
    assert.match(run.stderr, says);
    assert.deepEqual(node.generations(), [1]);
  });
}

credentials("another name than the own one is refused by the apiserver", async () => {
  const fresh = captureNode("node2", cluster.nodeKubeconfig("node1"));
  const run = await fresh.once(["--node", "node2"]);
  assertFails(run, "E_API_FORBIDDEN", 69);
  assert.match(run.stderr, /list pods of node node2/);
  assert.deepEqual(fresh.generations(), []);
});

credentials("an admin's kubeconfig works where the node is named", async () => {
  const fresh = captureNode("node1", cluster.adminKubeconfig);
  ended(await fresh.once(["--node", "node1"]));
  await assertTrue(api, fresh.open(1));
  assert.deepEqual(namesIn(fresh.open(1), "Pod"), namesIn(node.open(1), "Pod"));
  assert.equal(fresh.open(1).tokens.length, node.open(1).tokens.length);
});

const serverTimes: readonly { readonly name: string; readonly validity: Validity }[] = [
  { name: "has expired", validity: past },
  {
    name: "is not valid yet",
    validity: { notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 2 * day) },
  },
];

for (const [index, { name, validity }] of serverTimes.entries()) {
  credentials(`an apiserver's certificate that ${name} is told as a matter of time`, async () => {
    const odd = await startControlPlane({
      dir: join(dir, `odd-${index}`),
      serverValidity: validity,
    });
    try {
      node.useKubeconfig(odd.nodeKubeconfig("node1"));
      const run = await node.once();
      assertFails(run, "E_TLS_TIME", 69);
      assert.match(run.stderr, /clock/);
      assert.deepEqual(node.generations(), [1]);
    } finally {
      await odd.dispose();
    }
  });
}

credentials("another cluster's apiserver is not trusted", async () => {
  const other = await startControlPlane({ dir: join(dir, "other") });
  try {
    node.useKubeconfig(cluster.nodeKubeconfig("node1", { server: other.url }));
    assertFails(await node.once(), "E_API_TLS", 69);
    assert.deepEqual(node.generations(), [1]);
  } finally {
    await other.dispose();
  }
});

credentials("a client certificate that rotates under a watch is taken up", async () => {
  const { rotating, watching } = await watchWithFiles("node1", 8_000);
  const started = Date.now();
  await rotate(rotating, "before it expires");
  await watching.says(/credentials have changed, connecting anew/, 0, 5_000);
  await after(Math.max(0, started + 9_000 - Date.now()));
  // Asked with the new one: the old one has expired, and a new object needs a request of its own.
  const before = rotating.newest();
  const addedAt = await addPod(rotating, "later");
  assert.doesNotMatch(watching.log(), /E_API_UNAUTHORIZED/);
  note(`with a rotated certificate: ${seconds(rotating.appearedAt(before + 1) - addedAt)}`);
  await watching.stop();
});

credentials("a client certificate that is renewed too late is taken up all the same", async () => {
  const ms = await renewedLate;
  note(`after a certificate was renewed too late: ${seconds(ms)}`);
});

/**
 * Lets a certificate expire under a watch, has it need a new one, and renews it. Waits mostly, so it is begun first.
 *
 * @returns how long after the renewal the change was captured, milliseconds
 */
async function renewTooLate(): Promise<number> {
  const { rotating, watching } = await watchWithFiles("node2", 8_000);
  await after(9_000);
  const before = rotating.newest();
  const adding = addPod(rotating, "late", 90_000);
  await after(3_000);
  assert.equal(rotating.newest(), before, "nothing new can be asked for");
  cluster.nodeKubeconfig("node2", { form: "files" });
  const renewedAt = Date.now();
  await adding;
  await watching.stop();
  return rotating.appearedAt(before + 1) - renewedAt;
}

/** A node whose kubeconfig names files, as a kubelet's does; its certificate soon expires. */
async function watchWithFiles(name: string, lifeMs: number) {
  const validity = { notAfter: new Date(Date.now() + lifeMs) };
  const file = cluster.nodeKubeconfig(name, { form: "files", validity });
  const rotating = captureNode(name, file);
  // The paths in it are the node's, so they are looked for under its root.
  const under = join(rotating.root, dir);
  mkdirSync(dirname(under), { recursive: true });
  symlinkSync(dir, under);
  const watching = rotating.watch();
  await rotating.after(0, 60_000);
  return { rotating, watching };
}

async function rotate(rotating: CaptureNode, word: string): Promise<void> {
  cluster.nodeKubeconfig("node1", { form: "files" });
  const before = rotating.newest();
  const path = "/api/v1/namespaces/kube-system/configmaps/coredns";
  await demand(api, "PATCH", path, { data: { word } });
  await rotating.after(before);
}

/** With a ConfigMap of its own. Gives the time of the apiserver's acknowledgement, ms since 1970. */
async function addPod(to: CaptureNode, name: string, deadlineMs = 10_000): Promise<number> {
  const before = to.newest();
  const metadata = { name, namespace: "default" };
  const envFrom = [{ configMapRef: { name } }];
  await cluster.apply([
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { a: "b" } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata,
      spec: {
        nodeName: to.name,
        containers: [{ name: "c", image: "registry.example/app:1", envFrom }],
      },
    },
  ]);
  const addedAt = Date.now();
  await to.after(before, deadlineMs);
  assert.ok(namesIn(to.open(to.newest()), "Pod").includes(`default/${name}`));
  return addedAt;
}

function bare(name: string) {
  const containers = [{ name: "c", image: "registry.example/app:1" }];
  const metadata = { name, namespace: "default" };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { nodeName: "node1", containers } };
}

credentials.run();
