import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { demand, type Json } from "../api.ts";
import type { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";
import { projectedPods } from "./projected.ts";
import { cutPower, handAllBack, recover, succeed, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { startSecondApiserver } from "./second-apiserver.ts";
import { impatient, makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";
import { attempts, configureHaste, newestGeneration, watchCaptures } from "./watching.ts";

const badFlag = suite("e2e/node/bad-flag");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED a checkpoint with a bad flag on a real node: ${lacking}`);
}
const scenario = lacking === undefined ? badFlag : badFlag.skip;

const flag = "--no-such-flag=after-lunch";
const settleMs = 3_000;
/** As in src/store/layout.ts. */
const attemptsPerGeneration = 3;

scenario("once a bad checkpoint has failed three boots, the blessed one is restored", async () => {
  const steps = startSteps("bad-flag");
  const { step } = steps;
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  configureHaste(node, `${settleMs / 1000}s`);
  await switchOn(steps, node);
  const { copies } = await recover(steps, node, cluster);
  await handAllBack(steps, node, cluster, copies);
  const watching = await watchCaptures(node);
  const good = await step("capture --watch blesses what runs", () => watching.blessed());

  // Where this machine's were the only one, a rollout that takes it away would never get as far as the new pod.
  await step("an API server elsewhere", () => startSecondApiserver(node));
  await step("roll out a bad flag", () => addFlag(cluster));
  const pod = await step("its new pod ends again and again", () => crashingPod(cluster));
  const shown = await step("the bad pod is captured", () =>
    eventually("a generation with the flag", 60_000, () => {
      const { status, stdout } = node.blackstart(["show", `kube-system/${pod}`]);
      return status === 0 && stdout.includes(flag) ? stdout : undefined;
    }),
  );
  assert.match(shown, /kube-apiserver/);
  await step("the settle time passes", () => sleep(settleMs + 2_000));
  const bad = newestGeneration(node);
  assert.ok(bad > good);
  assert.deepEqual(generations(node).slice(0, 2), [
    { generation: bad, blessed: false, attemptsLeft: attemptsPerGeneration },
    { generation: good, blessed: true, attemptsLeft: attemptsPerGeneration },
  ]);
  await cutPower(steps, node, cluster);

  const darkAtMs = performance.now();
  for (let boot = 1; boot <= attemptsPerGeneration; boot += 1) {
    const left = attemptsPerGeneration - boot;
    // The kubelet's times are in whole seconds.
    const bootedAt = new Date(Math.floor(Date.now() / 1000) * 1000);
    await switchOn(steps, node);
    const said = await step(`restore, boot ${boot}`, () => succeed(node, "restore"));
    assert.match(said, new RegExp(`restore 2/5 open: generation ${bad},`));
    assert.match(said, new RegExp(`generation ${bad}, ${left} attempts? left after this boot`));
    assert.deepEqual(attempts(node, bad), { left, done: boot });
    await step("kubelet", () => node.startKubelet(impatient));
    await step("the API server ends for its flag", () => endsForItsFlag(node, pod, bootedAt));
    // Ten minutes later the unit asks whether the boot has lasted; it has not.
    const settled = node.blackstart(["settle"]);
    assert.equal(settled.status, 69, settled.stderr);
    assert.deepEqual(attempts(node, bad), { left, done: boot });
    await cutPower(steps, node, cluster);
  }

  await switchOn(steps, node);
  const status = succeed(node, "status");
  console.log(indent(status));
  assert.match(status, new RegExp(`would be restored from generation ${good}\\.`));
  assert.match(status, new RegExp(`generation ${bad} .*boot.*generation ${good}`));
  const last = await recover(steps, node, cluster);
  console.log(indent(last.said));
  const seconds = (performance.now() - darkAtMs) / 1000;
  assert.match(last.said, new RegExp(`W_ATTEMPTS.*generation ${bad} .*generation ${good}`));
  assert.match(last.said, new RegExp(`restore 2/5 open: generation ${good},`));
  assert.ok(last.copies.every(({ name }) => name !== pod));
  console.log(
    `# ${attemptsPerGeneration} boots with the bad flag, then the blessed one: ${seconds.toFixed(1)} s from the first power cut to all pods`,
  );

  // It has lasted: the blessed one can fall back on three boots again, the bad one stays used up.
  assert.match(
    succeed(node, "settle"),
    new RegExp(`generation ${good} has its boot attempts back`),
  );
  assert.deepEqual(attempts(node, good), { left: 3, done: 0 });
  assert.deepEqual(attempts(node, bad), { left: 0, done: 3 });
  assert.match(succeed(node, "status"), new RegExp(`restored from generation ${good}\\.`));
  assert.equal(projectedPods(node).length, last.copies.length);
});

const daemonSets = "/apis/apps/v1/namespaces/kube-system/daemonsets";

interface Template {
  readonly spec: { readonly containers: readonly (Json & { readonly name: string })[] };
}

/** To the arguments of the DaemonSet of the API server, which then makes a new pod. */
async function addFlag({ api }: Cluster): Promise<void> {
  const { body } = await demand(api, "GET", daemonSets);
  const sets = body["items"] as readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly template: Template };
  }[];
  for (const { metadata, spec } of sets) {
    const [container, ...others] = spec.template.spec.containers;
    if (container?.name === "kube-apiserver") {
      const field = container["args"] === undefined ? "command" : "args";
      const words = [...(container[field] as readonly string[]), flag];
      const containers = [{ ...container, [field]: words }, ...others];
      const template = { spec: { containers } };
      await demand(api, "PATCH", `${daemonSets}/${metadata.name}`, { spec: { template } });
      return;
    }
  }
  throw new Error("no DaemonSet of an API server");
}

interface Ended {
  readonly terminated?: { readonly startedAt: string };
}

interface WithContainers {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly containerStatuses?: readonly {
      readonly restartCount: number;
      readonly state?: Ended;
      readonly lastState?: Ended;
    }[];
  };
}

/** The name of the pod with the flag, once the node's kubelet has started it at least twice. */
async function crashingPod(cluster: Cluster): Promise<string> {
  return await eventually("a pod of the API server that crashes", 120_000, async () => {
    const pods = (await cluster.pods()) as readonly (Json & WithContainers)[];
    const found = pods.find((pod) => JSON.stringify(pod).includes(flag));
    return found !== undefined && hasRestarted(found) ? found.metadata.name : undefined;
  });
}

function hasRestarted({ status }: WithContainers): boolean {
  return (status.containerStatuses ?? []).some(({ restartCount }) => restartCount > 0);
}

/** The copy's container has ended in this boot, and its log says why. */
async function endsForItsFlag(node: Node, pod: string, bootedAt: Date): Promise<void> {
  await eventually("the copy of the API server ends", 120_000, async () => {
    const copies = (await node.kubeletPods()) as readonly WithContainers[];
    const copy = copies.find(({ metadata }) => metadata.name === `${pod}-${node.name}`);
    // Restarts are those of earlier boots too.
    const ended = (copy?.status.containerStatuses ?? []).flatMap(({ state, lastState }) => [
      state?.terminated?.startedAt ?? "",
      lastState?.terminated?.startedAt ?? "",
    ]);
    return ended.some((time) => new Date(time) >= bootedAt) ? true : undefined;
  });
  const logs = join(
    node.disk,
    `var/log/pods/kube-system_${pod}-${node.name}_*/kube-apiserver/*.log`,
  );
  const said = globSync(logs).map((file) => readFileSync(file, "utf8"));
  assert.ok(
    said.some((text) => text.includes("unknown flag: --no-such-flag")),
    said.join("\n"),
  );
}

interface Generation {
  readonly generation: number;
  readonly blessed: boolean;
  readonly attemptsLeft: number;
}

function generations(node: Node): readonly Generation[] {
  const { generations } = JSON.parse(node.blackstart(["status", "-o", "json"]).stdout) as {
    readonly generations: readonly Generation[];
  };
  return generations.map(({ generation, blessed, attemptsLeft }) => ({
    generation,
    blessed,
    attemptsLeft,
  }));
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, "#   ");
}

badFlag.run();
