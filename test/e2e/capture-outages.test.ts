import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { suite } from "uvu";
import { essenceOf } from "../../src/capture/essence.ts";
import { demand } from "./api.ts";
import { type CaptureNode, captureNode } from "./capture-node.ts";
import { startControlPlane } from "./control-plane.ts";
import { describeTimes, note, seconds } from "./measured.ts";
import { objectsOfSet } from "./objects-of-set.ts";
import { startProxy } from "./proxy.ts";
import { assertTrue, find, namesIn } from "./truth.ts";
import { until } from "./until.ts";

const outages = suite("e2e/capture-outages");

const dir = mkdtempSync(join(tmpdir(), "blackstart-e2e-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const cluster = await startControlPlane({ dir: join(dir, "cluster") });
const { api } = cluster;
const restarts = 20;

await cluster.apply(objectsOfSet("setA"));
await cluster.apply([
  { apiVersion: "v1", kind: "Node", metadata: { name: "node2" } },
  configMap("far", "0"),
  pod("far", "node2", "far"),
  { apiVersion: "v1", kind: "Secret", metadata: { name: "near", namespace: "app" } },
  configMap("near", "0"),
  pod("near-0", "node1", "near"),
]);

const proxy = await startProxy(cluster.url);
const near = captureNode("node1", cluster.nodeKubeconfig("node1", { server: proxy.url }), [
  // After an outage a node spreads its requests, 2 s for each watch: few watches, short waits.
  "select: {namespaces: [app, default]}",
]);
const watching = near.watch();
const farProxy = await startProxy(cluster.url);
const far = captureNode("node2", cluster.nodeKubeconfig("node2", { server: farProxy.url }));
const watchingFar = far.watch();
await near.after(0, 90_000);
await far.after(0, 90_000);
let stalledAt = 0;
const caughtUp: number[] = [];
const residentMb: number[] = [];

/** How the connections end, besides with the apiserver. */
const harms = [proxy.cut, proxy.halfClose, () => undefined];

outages(
  `no change is missed over ${restarts} kills of the apiserver and lost connections`,
  async () => {
    farProxy.stall();
    stalledAt = Date.now();
    await change("far", "after the stall");
    for (let round = 1; round <= restarts; round += 1) {
      await change("near", `${round}`);
      await demand(api, "PATCH", "/api/v1/namespaces/app/secrets/near", {
        data: { round: Buffer.from(`${round}`).toString("base64") },
      });
      await cluster.stopApiserver("kill");
      if (round % 4 === 0) {
        await cluster.compact();
      }
      await cluster.startApiserver();
      await remove(`near-${round - 1}`);
      await demand(
        api,
        "POST",
        "/api/v1/namespaces/app/pods",
        pod(`near-${round}`, "node1", "near"),
      );
      await change("near", `${round} again`);
      harms[round % harms.length]?.();
      if (round % 5 === 0) {
        const backAt = Date.now();
        await untilTrue(near, () => valueIn(near, "near") === `${round} again`);
        caughtUp.push(near.appearedAt(near.newest()) - backAt);
        residentMb.push(watching.residentMb());
      }
    }
    note(`after kills of the apiserver the truth is in a generation: ${describeTimes(caughtUp)}`);
    note(`${restarts} restarts: ${near.newest()} generations, ${proxy.total()} connections`);
    assert.deepEqual(
      namesIn(near.open(near.newest()), "Pod").filter((name) => name.startsWith("app/")),
      [`app/near-${restarts}`],
    );
  },
);

outages("a change is captured although the connection had fallen silent", async () => {
  await untilTrue(far, () => valueIn(far, "far") === "after the stall");
  assert.ok(farProxy.total() > 1);
  const ms = far.appearedAt(far.newest()) - stalledAt;
  note(`a change while the connection was silent and the apiserver was killed: ${seconds(ms)}`);
});

outages("no generation repeats the one before", () => {
  for (const node of [near, far]) {
    const essences = node
      .generations()
      .map((generation) => Buffer.from(essenceOf(node.open(generation), { tokens: true })));
    for (const [index, essence] of essences.entries()) {
      assert.ok(index === 0 || !essences[index - 1]?.equals(essence), `generation ${index + 1}`);
    }
  }
});

outages("no generation lacks the pods that were there all the time", () => {
  const [first = 0] = near.generations();
  const steady = namesIn(near.open(first), "Pod").filter((name) => !name.startsWith("app/"));
  for (const generation of near.generations()) {
    const names = namesIn(near.open(generation), "Pod");
    assert.deepEqual(
      names.filter((name) => !name.startsWith("app/")),
      steady,
    );
  }
});

outages(
  "a quiet cut and a half-closed connection cost one connection and no generation",
  async () => {
    const before = near.newest();
    const connections = proxy.total();
    for (const [index, harm] of [proxy.cut, proxy.halfClose].entries()) {
      // A connection that is lost within 5 s counts as one that could not be made.
      await after(5_500);
      const from = watching.log().length;
      harm();
      await watching.says(/connected to/, from);
      assert.equal(proxy.total(), connections + index + 1);
    }
    await until(
      () => proxy.open() === 1,
      5_000,
      () => `${proxy.open()} connections`,
    );
    assert.equal(near.newest(), before);
    await change("near", "in the end");
    const acknowledgedAt = Date.now();
    await near.after(before, 60_000);
    const ms = near.appearedAt(before + 1) - acknowledgedAt;
    note(`a change right after a lost connection: ${seconds(ms)}`);
    assert.equal(valueIn(near, "near"), "in the end");
  },
);

outages("memory does not grow", async () => {
  residentMb.push(watching.residentMb());
  note(
    `resident memory, after each 5 restarts and in the end: ${residentMb.map(Math.round).join(", ")} MB`,
  );
  // The first ones are the heap's way to its size.
  assert.ok(Number(residentMb.at(-1)) < Number(residentMb[1]) + 15);
  for (const each of [watching, watchingFar]) {
    await each.stop();
    assert.match(each.log(), /capture: stopped\n$/);
  }
});

/** Waits for a generation that is as the node is, and the whole cluster with it. */
async function untilTrue(node: CaptureNode, isRight: () => boolean): Promise<void> {
  const log = () => (node === near ? watching : watchingFar).log().slice(-3000);
  await until(isRight, 120_000, log);
  let problem = "";
  const isTrue = async () => {
    try {
      await assertTrue(api, node.open(node.newest()));
      return true;
    } catch (error) {
      problem = String(error);
      return false;
    }
  };
  await until(isTrue, 60_000, () => problem);
}

function valueIn(node: CaptureNode, name: string): unknown {
  const found = find(node.open(node.newest()), "ConfigMap", "app", name);
  return (found?.["data"] as Readonly<Record<string, unknown>> | undefined)?.["value"];
}

function change(name: string, value: string) {
  return demand(api, "PUT", `/api/v1/namespaces/app/configmaps/${name}`, configMap(name, value));
}

function remove(name: string) {
  return demand(api, "DELETE", `/api/v1/namespaces/app/pods/${name}`, { gracePeriodSeconds: 0 });
}

function configMap(name: string, value: string) {
  const metadata = { name, namespace: "app" };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { value } };
}

function pod(name: string, nodeName: string, config: string) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "app" },
    spec: {
      nodeName,
      containers: [
        {
          name: "c",
          image: "registry.example/app:1",
          envFrom: [
            { configMapRef: { name: config } },
            { secretRef: { name: config, optional: true } },
          ],
        },
      ],
    },
  };
}

outages.run();
