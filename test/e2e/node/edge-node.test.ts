import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { demand } from "../api.ts";
import type { ApiPod } from "./cluster.ts";
import type { RunningContainer } from "./containers.ts";
import { type Edge, makeEdge, missedSoon } from "./edge.ts";
import {
  accountDir,
  agentRestarts,
  appOf,
  askAgent,
  containersOf,
  inspect,
  isEvicted,
  parentsOf,
  statusesOf,
  uidsOf,
  untilParentsRun,
} from "./edge-pods.ts";
import { mode, password } from "./edge-workloads.ts";
import {
  isParent,
  isReady,
  type ProjectedPod,
  projectedPods,
  waitUntilProjectedRun,
} from "./projected.ts";
import { succeed } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { impatient } from "./settled-node.ts";
import { type Steps, startSteps } from "./steps.ts";
import type { Reach } from "./uplink.ts";
import { eventually } from "./wait.ts";

const edgeNode = suite("e2e/node/edge-node");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED an edge node whose control plane is out of reach: ${lacking}`);
}
const scenario = lacking === undefined ? edgeNode : edgeNode.skip;

const deadlineMs = 180_000;
const config = "select: all\n";
const apps = ["agent", "gauge", "passing", "till"];

scenario(
  "an edge node runs its worker pods without its control plane, and loses none when it is back",
  async () => {
    const steps = startSteps("edge-node");
    const { step } = steps;
    await using edge = await step("a control plane, a node, a cable", () => makeEdge(config));
    const { node } = edge;
    await liveOnce(steps, edge);

    await cutPower(steps, edge);
    await switchOn(steps, edge, "unplugged");
    const unplugged = await step("restore --dry-run, unplugged", () => {
      writeFileSync(configFile(edge), `${config}probe: {network: 4s}\n`);
      return node.blackstart(["restore", "--dry-run"]);
    });
    assert.match(
      unplugged.stderr,
      /probe: cold, this machine had no network address within 4\.\d s, so no other machine/,
    );
    assert.match(unplugged.stderr, /no network address yet: waiting at most 4 s for it/);
    assert.ok(unplugged.ms > 4_000 && unplugged.ms < 9_000, `${unplugged.ms} ms`);
    assert.deepEqual(projectedPods(node), []);

    // The site has its network, and nobody is behind it.
    edge.uplink.set("site");
    writeFileSync(configFile(edge), config);
    const { said, copies } = await recoverAway(steps, edge);
    assert.match(
      said,
      /probe: cold, no endpoint gave a verified answer within 5\.\d s \(1 (unreachable|timeout)\)/,
    );
    assert.match(said, /restore 5\/5 project: 4 of 4 pods/);
    const running = await step("what the copies see", () => inspect(edge, copies));
    const before = await step("the node is missed, a pod evicted", () => untilMissed(edge));

    edge.uplink.set("whole");
    await step("the real pods run beside", () =>
      untilParentsRun(edge, ["gauge", "passing", "till"]),
    );
    await step("nothing is killed", () => isLeftAlone(edge, copies, running, before));
    assert.match(succeed(node, "status"), /projected +4 pods of generation 1 in /);
    await handBack(steps, edge, copies);
    const captured = await step("capture", () => succeed(node, "capture"));
    assert.match(captured, /generation 2 of node edge1: 4 pods/);

    await cutPower(steps, edge);
    await bootWarm(
      steps,
      edge,
      /restore 3\/5 probe: warm, the apiserver at https:\/\/kubernetes:6443 answers/,
    );
  },
);

scenario(
  "a reboot after the control plane is back takes copies away that nobody handed back",
  async () => {
    const steps = startSteps("edge-reboot");
    const { step } = steps;
    await using edge = await step("a control plane, a node, a cable", () => makeEdge(config));
    await liveOnce(steps, edge);
    await cutPower(steps, edge);
    await switchOn(steps, edge, "site");
    const { copies } = await recoverAway(steps, edge);
    edge.uplink.set("whole");
    await step("the mirrors appear", () =>
      eventually("mirrors", deadlineMs, async () =>
        (await edge.pods()).some((pod) => !isParent(pod)) ? true : undefined,
      ),
    );
    await cutPower(steps, edge);
    const said = await bootWarm(steps, edge, /probe: warm/);
    assert.match(said, new RegExp(`${copies.length} dangling links of an earlier boot removed`));
    await step("no mirror is left", () =>
      eventually("the mirrors go", deadlineMs, async () =>
        (await edge.pods()).every(isParent) ? true : undefined,
      ),
    );
  },
);

/** The first life: joined, given its pods, captured. */
async function liveOnce(steps: Steps, edge: Edge): Promise<void> {
  const { step } = steps;
  const { node } = edge;
  await switchOn(steps, edge, "whole");
  succeed(node, "key", "init", "--slot", "plain");
  const first = await step("restore, with nothing to restore", () => succeed(node, "restore"));
  assert.match(first, /probe: warm, the apiserver at https:\/\/kubernetes:6443 answers/);
  await step("kubelet", () => node.startKubelet({ ...impatient, ...missedSoon }));
  await step("the node is Ready", () =>
    eventually("Ready", deadlineMs, async () =>
      (await edge.readiness()) === "True" ? true : undefined,
    ),
  );
  await step("create the objects", () => edge.createObjects());
  await step("its pods run", () => untilParentsRun(edge, apps));
  const captured = await step("capture", () => succeed(node, "capture"));
  assert.match(captured, /generation 1 of node edge1: 4 pods/);
}

async function switchOn({ step }: Steps, { node, uplink }: Edge, reach: Reach): Promise<void> {
  await step(`boot, ${reach}`, async () => {
    await node.boot();
    uplink.set(reach);
  });
  await step("containerd", () => node.startContainerd());
}

async function cutPower({ step }: Steps, { node }: Edge): Promise<void> {
  await step("power cut", () => node.powerCut());
}

/** From `restore` to the last copy that is Ready, where no API server can be reached. */
async function recoverAway({ step }: Steps, { node }: Edge) {
  const said = await step("restore", () => succeed(node, "restore"));
  const copies = projectedPods(node);
  assert.deepEqual(copies.map(({ name }) => appOf(name)).sort(), apps);
  await step("kubelet", () => node.startKubelet({ ...impatient, ...missedSoon }));
  await step("all copies", () => waitUntilProjectedRun(node, copies, deadlineMs));
  return { said, copies };
}

/** A reboot of a node whose control plane answers: nothing of ours is there, and its own pods run again. */
async function bootWarm(steps: Steps, edge: Edge, words: RegExp): Promise<string> {
  const { step } = steps;
  const { node } = edge;
  const uids = uidsOf(await parentsOf(edge));
  await switchOn(steps, edge, "whole");
  const said = await step("restore", () => succeed(node, "restore"));
  assert.match(said, words);
  assert.deepEqual(readdirSync(join(node.disk, "etc/kubernetes/manifests")), []);
  const startedAt = new Date();
  await step("kubelet", () => node.startKubelet({ ...impatient, ...missedSoon }));
  await step("its own pods run", async () => {
    await untilParentsRun(edge, apps, startedAt);
    assert.deepEqual(new Set(node.containers().map(({ podUid }) => podUid)), new Set(uids));
  });
  assert.deepEqual(uidsOf(await parentsOf(edge)), uids);
  return said;
}

/** Until the control plane has given the node up: who does not tolerate that is evicted, in the API. */
async function untilMissed(edge: Edge): Promise<readonly ApiPod[]> {
  return await eventually("the node is missed", deadlineMs, async () => {
    await edge.renewOther();
    assert.equal(await edge.readiness(), "Unknown");
    const pods = await parentsOf(edge);
    const evicted = pods.filter(isEvicted).map(({ metadata }) => appOf(metadata.name));
    assert.deepEqual(evicted, ["passing"]);
    return pods;
  });
}

/** The network is back, and nobody has done anything yet. */
async function isLeftAlone(
  edge: Edge,
  copies: readonly ProjectedPod[],
  running: readonly RunningContainer[],
  before: readonly ApiPod[],
): Promise<void> {
  const { node, control } = edge;
  // The parent whose port its copy holds waits: it tries again and again, and is neither failed nor evicted.
  const restarts = await agentRestarts(edge);
  await eventually("the agent tries again", deadlineMs, async () =>
    (await agentRestarts(edge)) >= restarts + 2 ? true : undefined,
  );
  assert.equal(askAgent(node), mode);
  const pods = await edge.pods();
  const parents = pods.filter(isParent);
  const agent = parents.find(({ metadata }) => appOf(metadata.name) === "agent");
  assert.ok(agent !== undefined);
  assert.equal(agent.status.phase, "Running");
  // Whether it is Ready tells nothing: its copy answers its probe.
  assert.equal(statusesOf(agent)[0]?.lastState?.terminated?.exitCode, 1);

  // Whom the control plane did not evict while it missed the node is the same as before.
  const kept = before.filter((pod) => !isEvicted(pod));
  assert.deepEqual(
    uidsOf(parents.filter(({ metadata }) => appOf(metadata.name) !== "passing")),
    uidsOf(kept),
  );
  assert.deepEqual(parents.filter(isEvicted), []);
  assert.deepEqual(parents.map(({ metadata }) => appOf(metadata.name)).sort(), apps);

  // Each copy is the very one that ran before.
  const now = containersOf(node.containers(), copies);
  assert.deepEqual(now.map(({ id }) => id).sort(), running.map(({ id }) => id).sort());

  // Mirrors: of all copies but that whose environment holds a Secret's value; no controller counts them as its own.
  const mirrors = pods.filter((pod) => !isParent(pod));
  assert.deepEqual(mirrors.map(({ metadata }) => appOf(metadata.name)).sort(), [
    "agent",
    "gauge",
    "passing",
  ]);
  assert.ok(mirrors.every(isReady));
  const text = JSON.stringify(mirrors);
  assert.ok(!text.includes(password) && !text.includes(btoa(password)));
  const { body } = await demand(control.api, "GET", "/apis/apps/v1/namespaces/site/replicasets");
  for (const { status } of body["items"] as readonly { readonly status: object }[]) {
    assert.match(JSON.stringify(status), /"replicas":1[,}]/);
  }

  // The copy's token, minted at the capture, is still good at the control plane.
  for (const container of now.filter(({ pod }) => appOf(pod) === "gauge")) {
    const { stdout: token } = node.exec(container, ["/bin/cat", `${accountDir}/token`]);
    const path = "/apis/authentication.k8s.io/v1/tokenreviews";
    const review = await demand(control.api, "POST", path, { spec: { token } });
    assert.match(review.text, /"authenticated":true/);
  }
}

/** By hand: the link goes, the kubelet ends the copy, and the parent has what it waited for. */
async function handBack({ step }: Steps, edge: Edge, copies: readonly ProjectedPod[]) {
  const uids = uidsOf(await parentsOf(edge));
  await step("hand back", async () => {
    for (const { link } of copies) {
      rmSync(link);
    }
    await eventually("the copies go", deadlineMs, async () => {
      assert.deepEqual(containersOf(edge.node.containers(), copies), []);
      assert.deepEqual(
        (await edge.pods()).filter((pod) => !isParent(pod)),
        [],
      );
      return true;
    });
    await untilParentsRun(edge, apps);
  });
  assert.deepEqual(uidsOf(await parentsOf(edge)), uids);
  assert.equal(askAgent(edge.node), mode);
}

function configFile({ node }: Edge): string {
  return join(node.disk, "etc/blackstart/config.yaml");
}

edgeNode.run();
