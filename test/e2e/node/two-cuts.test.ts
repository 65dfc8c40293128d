import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import type { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";
import { isReady, type ProjectedPod, projectedPods } from "./projected.ts";
import { cutPower, type Recovery, recover, succeed, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { countListeners } from "./second-apiserver.ts";
import { impatient, makeSettledNode } from "./settled-node.ts";
import { type Steps, startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";
import { attempts } from "./watching.ts";

const twoCuts = suite("e2e/node/two-cuts");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED two power cuts of a real node: ${lacking}`);
}
const scenario = lacking === undefined ? twoCuts : twoCuts.skip;

/** A node in its first recovery, with containerd, and how far it may come before the power fails again. */
interface Moment {
  readonly name: string;
  /** Returns at the moment of the power cut, with what tells that it is the one. */
  readonly reach: (node: Node, cluster: Cluster) => Promise<string>;
}

const isTraceable = spawnSync("strace", ["-f", "-e", "trace=none", "true"]).status === 0;
if (!isTraceable) {
  console.log(
    "SKIPPED a power cut in the middle of projecting: no strace, or it may not trace here",
  );
}

const moments: readonly Moment[] = [
  ...(isTraceable ? [{ name: "in the middle of projecting", reach: untilSomeAreProjected }] : []),
  { name: "as the kubelet starts", reach: untilKubeletStarts },
  { name: "etcd runs, the API server does not", reach: untilEtcdListens },
  { name: "half of the pods are Ready", reach: untilHalfAreReady },
  { name: "the API server answers", reach: untilApiserverAnswers },
];

interface Row {
  readonly name: string;
  readonly reached: string;
  readonly recovery: Recovery;
}

scenario(
  "a second power cut in the middle of a recovery costs no time and one attempt",
  async () => {
    const steps = startSteps("two-cuts");
    const once: Recovery[] = [];
    const twice: Row[] = [];
    // By turns, so that both see the same load of the machine.
    for (const moment of moments) {
      once.push(await recoverOnce(steps));
      twice.push(await recoverTwice(steps, moment));
    }
    report(once, twice);
    const late = moments.filter((_, at) => !isAsFast(twice[at], once));
    // What is left behind costs its minute each time; another's load does not.
    const again: Row[] = [];
    for (const moment of late) {
      again.push(await recoverTwice(steps, moment));
    }
    if (again.length > 0) {
      report([], again);
    }
    const slow = again.filter((row) => !isAsFast(row, once)).map(({ name }) => name);
    assert.deepEqual(slow, [], "it takes longer than after one power cut");
  },
);

/** A control group or a sandbox that was left behind would cost a minute. */
function isAsFast(row: Row | undefined, once: readonly Recovery[]): boolean {
  const limit = (ofOne: (recovery: Recovery) => number) => 1.5 * median(once.map(ofOne)) + 3_000;
  return (
    row !== undefined &&
    row.recovery.readyzMs <= limit(({ readyzMs }) => readyzMs) &&
    row.recovery.allMs <= limit(({ allMs }) => allMs)
  );
}

async function recoverOnce(steps: Steps): Promise<Recovery> {
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  await switchOn(steps, node);
  const recovery = await recover(steps, node, cluster);
  assert.deepEqual(attempts(node, 2), { left: 2, done: 1 });
  return recovery;
}

async function recoverTwice(steps: Steps, { name, reach }: Moment): Promise<Row> {
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  await switchOn(steps, node);
  const reached = await steps.step(name, () => reach(node, cluster));
  await cutPower(steps, node, cluster);
  // Taken before use: whatever the first boot came to, it counts, and as one.
  assert.deepEqual(attempts(node, 2), { left: 2, done: 1 });
  await switchOn(steps, node);
  const recovery = await recover(steps, node, cluster);
  assert.match(recovery.said, /\d+ dangling links? of an earlier boot removed/);
  assert.match(recovery.said, /generation 2, 1 attempt left after this boot/);
  assert.deepEqual(attempts(node, 2), { left: 1, done: 2 });
  await isWhole(node, cluster, recovery);
  // A boot that lasts gives back what the one that did not has cost.
  assert.match(succeed(node, "settle"), /generation 2 has its boot attempts back/);
  assert.deepEqual(attempts(node, 2), { left: 3, done: 0 });
  return { name, reached, recovery };
}

/** As many pods as were captured, each link leads somewhere, and what etcd held is there. */
async function isWhole(node: Node, cluster: Cluster, { copies, said }: Recovery): Promise<void> {
  const [, good, all] = /restore 5\/5 project: (\d+) of (\d+) pods/.exec(said) ?? [];
  assert.equal(good, all, said);
  assert.equal(copies.length, Number(all));
  assert.equal(links(node).length, copies.length);
  const parents = await cluster.pods();
  assert.ok(copies.every(({ name }) => parents.some(({ metadata }) => metadata.name === name)));
}

/** Ends it where it is about to make the link of its fourth pod; a link is what commits a pod. */
async function untilSomeAreProjected(node: Node): Promise<string> {
  const calls = "?symlink,?symlinkat";
  const strace = ["strace", "-f", "-qq", "-e", `trace=${calls}`];
  const restore = ["/usr/bin/blackstart", "restore"];
  // A boot before it, of which nothing stays: which of the calls it is. A generation that is named costs no attempt.
  const named = [...restore, "--force", "--generation", "2"];
  const traced = node.run([...strace, "-o", "/tmp/calls", ...named]);
  assert.equal(traced.status, 0, traced.stderr);
  const made = readFileSync(node.path("/tmp/calls"), "utf8").trimEnd().split("\n");
  const ofPods = made.flatMap((call, at) =>
    call.includes('("/run/blackstart/manifests/') ? [at] : [],
  );
  await node.powerCut();
  await node.boot();
  const kill = `inject=${calls}:signal=SIGKILL:when=${(ofPods[3] ?? 0) + 1}`;
  const { status, stderr } = node.run([...strace, "-o", "/dev/null", "-e", kill, ...restore]);
  assert.notEqual(status, 0, stderr);
  assert.match(stderr, /restore 5\/5 project: generation 2, 2 attempts left after this boot\n$/);
  const projected = projectedPods(node).length;
  assert.equal(projected, 3);
  return `${projected} of ${ofPods.length} pods projected`;
}

async function untilKubeletStarts(node: Node): Promise<string> {
  succeed(node, "restore");
  await node.startKubelet(impatient);
  return `${node.containers().length} containers`;
}

async function untilEtcdListens(node: Node): Promise<string> {
  await untilKubeletStarts(node);
  await eventually("etcd listens", 60_000, () =>
    countListeners(node, etcdPort) > 0 ? true : undefined,
  );
  // Its port is open from its first moment on, so this is what tells.
  const logs = join(node.disk, `var/log/pods/*-${node.name}_*/kube-apiserver/*.log`);
  const said = globSync(logs).map((file) => readFileSync(file, "utf8"));
  assert.ok(!said.some((text) => text.includes("Serving securely")), said.join("\n"));
  return `${node.containers().length} containers`;
}

const etcdPort = 2379;

async function untilHalfAreReady(node: Node): Promise<string> {
  await untilKubeletStarts(node);
  const copies = projectedPods(node);
  return await eventually("half of the pods are Ready", 120_000, async () => {
    const ready = await readyOf(node, copies);
    return ready >= copies.length / 2 ? `${ready} of ${copies.length} Ready` : undefined;
  });
}

async function untilApiserverAnswers(node: Node, cluster: Cluster): Promise<string> {
  await untilKubeletStarts(node);
  await cluster.waitUntilReady();
  const copies = projectedPods(node);
  return `${await readyOf(node, copies)} of ${copies.length} Ready`;
}

async function readyOf(node: Node, copies: readonly ProjectedPod[]): Promise<number> {
  const ready = (await node.kubeletPods()).filter(isReady).map(({ metadata }) => metadata.name);
  return copies.filter(({ name }) => ready.includes(`${name}-${node.name}`)).length;
}

/** In the manifest folder, dangling ones too: they are on disk. */
function links(node: Node): readonly string[] {
  const dir = join(node.disk, "etc/kubernetes/manifests");
  return readdirSync(dir).filter(
    (name) => !name.startsWith(".") && lstatSync(join(dir, name)).isSymbolicLink(),
  );
}

function report(once: readonly Recovery[], twice: readonly Row[]): void {
  const line = (name: string, texts: readonly string[], reached = "") =>
    console.log(
      `# ${name.padEnd(36)}${texts.map((text) => text.padStart(10)).join("")}  ${reached}`,
    );
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const times = ({ restoreMs, readyzMs, allMs }: Recovery) =>
    [restoreMs, readyzMs, allMs].map(seconds);
  line("the second power cut", ["restore", "/readyz", "all pods"], "had come to");
  for (const recovery of once) {
    line("none", times(recovery));
  }
  for (const { name, reached, recovery } of twice) {
    line(name, times(recovery), reached);
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

twoCuts.run();
