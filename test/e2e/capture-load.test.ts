import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { suite } from "uvu";
import { demand } from "./api.ts";
import { type AuditedRequest, auditFlags, readAudit } from "./audit.ts";
import { captureNode } from "./capture-node.ts";
import { startControlPlane } from "./control-plane.ts";
import { note, seconds } from "./measured.ts";
import { sumMetrics } from "./metrics.ts";
import { startProxy } from "./proxy.ts";
import { until } from "./until.ts";

const load = suite("e2e/capture-load");

const podCount = 30;
/** Of both kinds, beside each namespace's kube-root-ca.crt. */
const objectCount = 200;
const namespaces = 5;

const dir = mkdtempSync(join(tmpdir(), "blackstart-e2e-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
mkdirSync(dir, { recursive: true });
const auditLog = join(dir, "audit.log");
const cluster = await startControlPlane({
  dir: join(dir, "cluster"),
  apiserverFlags: auditFlags(dir, auditLog),
});
const { api } = cluster;
const user = "system:node:node1";
await cluster.apply([
  { apiVersion: "v1", kind: "Node", metadata: { name: "node1" } },
  ...Array.from({ length: objectCount }, (_, index) => objectAt(index)),
  ...Array.from({ length: podCount }, (_, index) => podAt(index)),
]);
const proxy = await startProxy(cluster.url);
const node = captureNode("node1", cluster.nodeKubeconfig("node1", { server: proxy.url }));
const metricsBefore = await cluster.metrics();
const watching = node.watch();
const startedAt = Date.now();
await node.after(0, 120_000);

const watches = objectCount + namespaces + namespaces + 2;

load(
  "the start costs a list and a watch for each object, a get for the rest, a token for each pod",
  async () => {
    const tookMs = node.appearedAt(1) - startedAt;
    const asked = readAudit(auditLog, user);
    note(
      `${podCount} pods, ${objectCount} objects: first generation after ${seconds(tookMs)}, ${describe(asked)}`,
    );
    const metrics = await cluster.metrics();
    for (const [verb, resources] of [
      ["LIST", ["secrets", "configmaps"]],
      ["POST", ["serviceaccounts"]],
    ] as const) {
      const counted = resources.reduce((sum, resource) => {
        const labels = { verb, resource, ...(verb === "POST" ? { subresource: "token" } : {}) };
        const of = (samples: ReadonlyMap<string, number>) =>
          sumMetrics(samples, "apiserver_request_total", labels);
        return sum + of(metrics) - of(metricsBefore);
      }, 0);
      note(
        `the same by the apiserver's own metrics: ${counted} ${verb} ${resources.join(" and ")}`,
      );
    }
    const running = sumMetrics(metrics, "apiserver_longrunning_requests", { verb: "WATCH" });
    note(`watches that are open at the apiserver: ${running}, over ${proxy.open()} connections`);
    assert.equal(count(asked, "watch"), watches);
    assert.equal(count(asked, "list"), watches);
    assert.equal(count(asked, "create", "serviceaccounts/token"), podCount);
    assert.equal(count(asked, "get"), 2);
  },
);

load("a steady node asks for nothing", async () => {
  const before = readAudit(auditLog, user).length;
  const steadyMs = 20_000;
  await after(steadyMs);
  const asked = readAudit(auditLog, user).slice(before);
  note(`steady: ${asked.length} requests in ${seconds(steadyMs)}`);
  assert.deepEqual(asked, []);
  // Watches last 60 to 120 min, 90 on average; singles are asked for each 10 min; a token lasts a year, renewed each week.
  const perHour = { watch: (watches * 60) / 90, get: 2 * 6, token: podCount / (7 * 24) };
  const all = perHour.watch + perHour.get + perHour.token;
  note(
    `steady, by the code's own times, for an hour: ${perHour.watch.toFixed(0)} watches (each lasts 60 to 120 min), ${perHour.get} gets (each 10 min), ${perHour.token.toFixed(1)} tokens (each week); ${all.toFixed(0)} requests, ${(all / 3600).toFixed(3)} a second`,
  );
});

load("a change of one object costs no request", async () => {
  const before = readAudit(auditLog, user).length;
  const generation = node.newest();
  await demand(api, "PATCH", "/api/v1/namespaces/n0/secrets/o0", { data: { a: "Yg==" } });
  await node.after(generation);
  assert.deepEqual(readAudit(auditLog, user).slice(before), []);
});

load("a pod that is replaced costs a token, and its objects anew", async () => {
  const before = readAudit(auditLog, user).length;
  const generation = node.newest();
  await demand(api, "DELETE", "/api/v1/namespaces/n0/pods/p0", { gracePeriodSeconds: 0 });
  await demand(api, "POST", "/api/v1/namespaces/n0/pods", podAt(0));
  await node.after(generation);
  const asked = readAudit(auditLog, user).slice(before);
  note(`a pod that is replaced: ${describe(asked)}`);
  assert.equal(count(asked, "create", "serviceaccounts/token"), 1);
  const most = 1 + 2 * Math.ceil(objectCount / podCount);
  assert.ok(asked.length <= most, `${asked.length}`);
});

load("after the apiserver's return the same is asked for again, spread", async () => {
  const before = readAudit(auditLog, user).length;
  await cluster.stopApiserver("kill");
  await cluster.startApiserver();
  const backAt = Date.now();
  const watchedFor = 40_000;
  await until(
    () => readAudit(auditLog, user).length > before,
    60_000,
    () => watching.log().slice(-2000),
  );
  await after(Math.max(0, backAt + watchedFor - Date.now()));
  const asked = readAudit(auditLog, user).slice(before);
  const buckets = new Map<number, number>();
  for (const { receivedAt } of asked) {
    const second = Math.floor((receivedAt - backAt) / 1000);
    buckets.set(second, (buckets.get(second) ?? 0) + 1);
  }
  note(
    `within ${watchedFor / 1000} s of the apiserver's return: ${describe(asked)}; at most ${Math.max(...buckets.values())} in one second`,
  );
  assert.ok(asked.length < 3 * watches, `${asked.length}`);
  assert.ok(Math.max(...buckets.values()) <= 25);
  await watching.stop();
});

function objectAt(index: number) {
  const kind = index % 2 === 0 ? "Secret" : "ConfigMap";
  const namespace = `n${index % namespaces}`;
  return {
    apiVersion: "v1",
    kind,
    metadata: { name: `o${index}`, namespace },
    data: { a: "YQ==" },
  };
}

/** Each object belongs to one pod. */
function podAt(index: number) {
  const mine = Array.from({ length: objectCount }, (_, object) => object).filter(
    (object) =>
      object % namespaces === index % namespaces &&
      Math.floor(object / namespaces) % (podCount / namespaces) === Math.floor(index / namespaces),
  );
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `p${index}`, namespace: `n${index % namespaces}` },
    spec: {
      nodeName: "node1",
      containers: [
        {
          name: "c",
          image: "registry.example/app:1",
          envFrom: mine.map((object) =>
            object % 2 === 0
              ? { secretRef: { name: `o${object}` } }
              : { configMapRef: { name: `o${object}` } },
          ),
        },
      ],
    },
  };
}

function count(asked: readonly AuditedRequest[], verb: string, resource?: string): number {
  return asked.filter(
    (one) => one.verb === verb && (resource === undefined || one.resource === resource),
  ).length;
}

/** `12 list, 12 watch (2 refused)`. */
function describe(asked: readonly AuditedRequest[]): string {
  const kinds = new Map<string, number>();
  for (const { verb, resource } of asked) {
    const kind = verb === "create" ? `create ${resource}` : verb;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const refused = asked.filter(({ status }) => status >= 400).length;
  const words = [...kinds].map(([kind, number]) => `${number} ${kind}`).join(", ");
  return `${asked.length} requests: ${words}; ${refused} refused`;
}

load.run();
