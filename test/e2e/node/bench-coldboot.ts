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
import { impatient, makeSettledNode } from "./settled-node.ts";
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
  /** The API server is ready, and each pod has run; one may have ended again. */
  readonly seen: number;
  readonly running: number;
  readonly ready: number;
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
  await node.startKubelet(impatient);
  const known = new Set(names.map(({ name }) => `${name}-${node.name}`));
  let readyz: number | undefined;
  let seen: number | undefined;
  const early = new Set<string>();
  const running = await eventually("all pods run", deadlineMs, async () => {
    const answer = await cluster.api("GET", "/readyz").catch(() => undefined);
    readyz ??= answer?.status === 200 ? uptime() : undefined;
    const pods = new Set(node.containers().map(({ pod }) => pod));
    for (const pod of pods) {
      early.add(pod);
    }
    const missing = (set: ReadonlySet<string>) => [...known].filter((pod) => !set.has(pod));
    if (readyz !== undefined && missing(early).length === 0) {
      seen ??= uptime();
    }
    const late = missing(pods);
    if (seen === undefined || late.length > 0) {
      throw new Error(`/readyz: ${answer?.status ?? "no answer"}; missing: ${late.join(", ")}`);
    }
    return uptime();
  });
  const starts = new Map(
    node
      .containers()
      .filter(({ pod }) => known.has(pod))
      .map(({ container, pid }) => [container, startOf(node, pid)]),
  );
  await waitUntilProjectedRun(node, names, deadlineMs);
  const ready = uptime();
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
    seen: (seen ?? Number.NaN) - begun,
    running: running - begun,
    ready: ready - begun,
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
    ["and each captured pod has run", "seen"],
    ["all run at once", "running"],
    ["all are Ready", "ready"],
  ];
  console.log(
    `\nMedians of ${restored.length} cold boots each, by turns; seconds from the start of the recovery\n`,
  );
  console.log(
    `${"".padEnd(36)}${"restored".padStart(10)}${"by hand".padStart(10)}${"ratio".padStart(8)}`,
  );
  for (const [label, field] of rows) {
    const [ours, theirs] = [median(restored, field), median(written, field)];
    const ratio = field === "restored" ? "" : (ours / theirs).toFixed(3);
    console.log(
      `${label.padEnd(36)}${ours.toFixed(2).padStart(10)}${theirs.toFixed(2).padStart(10)}${ratio.padStart(8)}`,
    );
  }
  const range = (boots: readonly Boot[]) => {
    const values = boots.map(({ seen }) => seen);
    return `${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)} s`;
  };
  const ratio = (median(restored, "seen") / median(written, "seen")).toFixed(3);
  console.log(`
Target: each captured pod has run at most 1.05 times as late; measured ${ratio}
(${range(restored)} restored, ${range(written)} by hand). "All at once" and "Ready" hold 2 s or more of
back-off wherever a controller manager or scheduler met an API server that listened and knew no roles
yet: they end then, restored or not.`);
}
