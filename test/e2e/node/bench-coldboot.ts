// npm run bench:coldboot [-- RUNS]: how long a restored control plane takes to come up, beside the same control plane
// as static pods that a person wrote, with keys on the disk. Both by turns on one node.
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeByHand } from "./by-hand.ts";
import type { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";
import { projectedPods, waitUntilProjectedRun } from "./projected.ts";
import { lackingForNode } from "./requirements.ts";
import { makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED the cold boot benchmark: ${lacking}`);
  process.exit(1);
}

/** Seconds from the start of the recovery (`restore`, or the kubelet) to each event. */
interface Boot {
  readonly restored: number;
  readonly etcd: number;
  readonly apiserver: number;
  readonly readyz: number;
  readonly running: number;
  readonly ready: number;
  readonly restarts: number;
}

const manifests = "etc/kubernetes/manifests";
const byHand = "/root/by-hand";
const deadlineMs = 120_000;
const runs = Number(process.argv[2] ?? 7);
const steps = startSteps("bench");

const { node, cluster } = await makeSettledNode(steps);
try {
  writeFileSync(join(node.disk, "etc/blackstart/config.yaml"), "settle: 1s\n");
  await node.boot();
  const { status, stderr } = node.blackstart(["restore", "--force"]);
  assert.equal(status, 0, stderr);
  const names = projectedPods(node).map(({ namespace, name, link }) => ({ namespace, name, link }));
  writeByHand(node, byHand);
  await node.powerCut();

  const boots: { readonly restored: Boot[]; readonly written: Boot[] } = {
    restored: [],
    written: [],
  };
  for (let run = 1; run <= runs; run += 1) {
    // Whichever goes first meets what the other left in the page cache; so they take turns at that too.
    const order =
      run % 2 === 1 ? (["restored", "written"] as const) : (["written", "restored"] as const);
    for (const kind of order) {
      boots[kind].push(
        await steps.step(`${kind} ${run} of ${runs}`, () => boot(node, cluster, names, kind)),
      );
    }
  }
  report(boots.restored, boots.written);
} finally {
  await node.dispose();
}

type Names = Parameters<typeof waitUntilProjectedRun>[1];

async function boot(
  node: Node,
  cluster: Cluster,
  names: Names,
  kind: "restored" | "written",
): Promise<Boot> {
  for (const file of readdirSync(join(node.disk, manifests))) {
    rmSync(join(node.disk, manifests, file));
  }
  if (kind === "written") {
    cpSync(join(node.disk, byHand), join(node.disk, manifests), { recursive: true });
  }
  cluster.disconnect();
  await node.boot();
  await node.startContainerd();
  // What the last boot wrote is not this one's to wait for.
  node.run(["sync"]);
  await sleep(1_000);

  const begun = uptime();
  if (kind === "restored") {
    const { status, stdout, stderr } = node.blackstart(["restore"]);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout + stderr, new RegExp(`project: ${names.length} of ${names.length} pods`));
  }
  const restored = uptime();
  await node.startKubelet();
  const known = new Set(names.map(({ name }) => `${name}-${node.name}`));
  let readyz: number | undefined;
  const isUp = async () => {
    readyz ??=
      (await cluster.api("GET", "/readyz").catch(() => undefined))?.status === 200
        ? uptime()
        : undefined;
    return readyz;
  };
  const running = await eventually("all pods run", deadlineMs, async () => {
    const at = await isUp();
    const pods = new Set(node.containers().map(({ pod }) => pod));
    const late = [...known].filter((pod) => !pods.has(pod));
    if (at === undefined || late.length > 0) {
      throw new Error(
        `/readyz ${at === undefined ? "does not answer" : "answers"}; ${late.join(", ")}`,
      );
    }
    return uptime();
  });
  const starts = new Map(
    node.containers().map(({ container, pid }) => [container, startOf(node, pid)]),
  );
  await waitUntilProjectedRun(node, names, deadlineMs);
  const ready = uptime();
  const restarts = (await node.kubeletPods())
    .filter(({ metadata }) => known.has(metadata.name))
    .flatMap(({ status }) => status.containerStatuses ?? [])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
  if (kind === "restored") {
    await sleep(1_000);
    const settled = node.blackstart(["settle"]);
    assert.equal(settled.status, 0, settled.stderr);
  }
  await node.powerCut();
  return {
    restored: restored - begun,
    etcd: (starts.get("etcd") ?? Number.NaN) - begun,
    apiserver: (starts.get("kube-apiserver") ?? Number.NaN) - begun,
    readyz: (readyz ?? Number.NaN) - begun,
    running: running - begun,
    ready: ready - begun,
    restarts,
  };
}

/** Seconds since the kernel's start. */
function uptime(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

/** On the same clock; the kernel tells it in hundredths. */
function startOf(node: Node, pid: number): number {
  const stat = readFileSync(node.path(`/proc/${pid}/stat`), "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]) / 100;
}

function report(restored: readonly Boot[], written: readonly Boot[]): void {
  const median = (boots: readonly Boot[], of: keyof Boot) => {
    const values = boots.map((one) => one[of]).toSorted((a, b) => a - b);
    const middle = values.length >> 1;
    const [low = Number.NaN, high = Number.NaN] = [
      values[middle - ((values.length + 1) % 2)],
      values[middle],
    ];
    return (low + high) / 2;
  };
  const rows: readonly (readonly [string, keyof Boot])[] = [
    ["restore has ended", "restored"],
    ["etcd's process starts", "etcd"],
    ["the API server's process starts", "apiserver"],
    ["/readyz answers 200", "readyz"],
    ["all captured pods run", "running"],
    ["all are Ready", "ready"],
    ["restarts of containers until then", "restarts"],
  ];
  console.log(
    `\nMedians of ${restored.length} cold boots each, by turns; seconds from the start of the recovery\n`,
  );
  console.log(
    `${"".padEnd(36)}${"restored".padStart(10)}${"by hand".padStart(10)}${"ratio".padStart(8)}`,
  );
  for (const [label, field] of rows) {
    const [ours, theirs] = [median(restored, field), median(written, field)];
    const ratio = field === "restored" || field === "restarts" ? "" : (ours / theirs).toFixed(3);
    console.log(
      `${label.padEnd(36)}${ours.toFixed(2).padStart(10)}${theirs.toFixed(2).padStart(10)}${ratio.padStart(8)}`,
    );
  }
  const range = (boots: readonly Boot[]) =>
    `${Math.min(...boots.map(({ running }) => running)).toFixed(2)} to ${Math.max(...boots.map(({ running }) => running)).toFixed(2)} s`;
  console.log(
    `\nAll captured pods run after ${range(restored)} restored, ${range(written)} by hand. Target: ratio at most 1.05`,
  );
}
