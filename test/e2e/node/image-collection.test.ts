import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { suite } from "uvu";
import { pinnedLabel } from "../../../src/runtime/containerd.ts";
import type { Daemon } from "../daemon.ts";
import { makeAppImage, versionFile } from "../images/app.ts";
import { ctr } from "./containerd.ts";
import { type Edge, makeEdge } from "./edge.ts";
import {
  deletePods,
  imagePod,
  joinEdge,
  kubeletSettings,
  namesOf,
  readIn,
  reconnect,
  switchEdgeOn,
  untilGone,
  untilRun,
} from "./image-pods.ts";
import { insidePath } from "./machine.ts";
import { projectedPods, waitUntilProjectedRun } from "./projected.ts";
import { succeed } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { type Steps, startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";

const collection = suite("e2e/node/image-collection");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED image garbage collection of a real kubelet: ${lacking}`);
}
const scenario = lacking === undefined ? collection : collection.skip;

const deadlineMs = 180_000;
const config = "select: annotated\nprobe: {deadline: 1s, network: 1s}\n";

/**
 * Nothing that is not used or pinned stays. By its age an image goes at the kubelet's start; by the thresholds alone
 * five minutes later, as nothing is old enough then. An age of zero means the default.
 *
 * Source: Kubernetes v1.37.2 `pkg/kubelet/kubelet.go` (ImageGCPeriod), `pkg/kubelet/images/image_gc_manager.go`.
 */
const greedy = {
  ...kubeletSettings,
  imageGCHighThresholdPercent: 1,
  imageGCLowThresholdPercent: 0,
  imageMinimumGCAge: "1ns",
  imageMaximumGCAge: "2ns",
};

const name = (version: string) => `docker.io/library/app:${version}`;

scenario("a captured image outlives the kubelet's collection, and only that long", async () => {
  const steps = startSteps("image-collection");
  const { step } = steps;
  await using edge = await step("a control plane, a node, a cable", () => makeEdge(config));
  const { node } = edge;
  const kubelet = await joinEdge(steps, edge);
  await step("import images", () => {
    for (const version of ["captured", "loose", "next", "foreign"]) {
      demandCtr(edge, ["images", "import", "--local", insidePath(makeAppImage(version))]);
    }
    demandCtr(edge, ["images", "label", name("foreign"), `${pinnedLabel}=pinned`]);
  });
  await step("two pods run", async () => {
    await edge.control.apply([
      imagePod(node.name, { name: "captured", image: name("captured"), isCheckpointed: true }),
      imagePod(node.name, { name: "loose", image: name("loose"), isCheckpointed: false }),
    ]);
    await untilRun(edge, ["captured", "loose"]);
  });
  assert.match(
    await step("capture", () => succeed(node, "capture")),
    /generation 1 of node edge1: 1 pod/,
  );
  await step("the pods are deleted", () => deletePods(edge, ["captured", "loose"]));
  const second = await step("a greedy kubelet", () => restartGreedy(edge, kubelet));
  await step("what nobody has pinned goes", () => untilLeft(edge, second, ["captured", "foreign"]));

  await step("power cut", () => node.powerCut());
  const copied = await recover(steps, edge);
  assert.equal(readIn(edge, `captured-${node.name}`, versionFile), "captured");

  await step("the control plane is back", async () => {
    await reconnect(edge, copied.copies);
    for (const { link } of copied.copies) {
      rmSync(link);
    }
    await untilGone(edge, copied.copies);
  });
  await step("another pod is captured", async () => {
    demandCtr(edge, ["images", "import", "--local", insidePath(makeAppImage("next"))]);
    const next = { name: "next", image: name("next"), isCheckpointed: true };
    await edge.control.apply([imagePod(node.name, next)]);
    await untilRun(edge, ["next"]);
    assert.match(succeed(node, "capture"), /generation 2 of node edge1: 1 pod/);
  });
  await step("it is deleted too", () => deletePods(edge, ["next"]));
  const last = await step("a greedy kubelet", () => restartGreedy(edge, copied.kubelet));
  await step("what no generation needs goes", () => untilLeft(edge, last, ["foreign", "next"]));
});

async function restartGreedy({ node }: Edge, kubelet: Daemon): Promise<Daemon> {
  await eventually("no container is left", deadlineMs, () => {
    const { stdout } = ctr(node.machine(), ["containers", "ls"]);
    const left = stdout.split("\n").filter((line) => line.includes(name("")));
    if (left.length > 0) {
      throw new Error(left.join("\n"));
    }
    return true;
  });
  await kubelet.stop("SIGTERM");
  return await node.startKubelet(greedy);
}

/** Returns once these are all of our images that are left, and not even the control plane's are. */
async function untilLeft(edge: Edge, kubelet: Daemon, versions: readonly string[]): Promise<void> {
  const ended = () => (kubelet.isRunning() ? undefined : kubelet.lastWords());
  const left = () => {
    const names = demandCtr(edge, ["images", "ls", "-q"])
      .split("\n")
      .filter((one) => one.startsWith("docker.io/library/") && !one.includes("/pause:"))
      .sort();
    assert.deepEqual(names, versions.map(name));
    return true;
  };
  await eventually(`only ${versions.join(" and ")} are left`, deadlineMs, left, ended);
}

/** Restores where no control plane answers, under a kubelet that collects nothing. */
async function recover(steps: Steps, edge: Edge) {
  const { step } = steps;
  const { node } = edge;
  await switchEdgeOn(steps, edge, "site");
  const said = await step("restore", () => succeed(node, "restore"));
  assert.match(said, /restore 5\/5 project: 1 of 1 pod/);
  const copies = projectedPods(node);
  assert.deepEqual(namesOf(copies), ["captured"]);
  const kubelet = await step("kubelet", () => node.startKubelet(kubeletSettings));
  await step("the copy runs", () => waitUntilProjectedRun(node, copies, deadlineMs));
  return { copies, kubelet };
}

function demandCtr({ node }: Edge, words: readonly string[]): string {
  const { status, stdout, stderr } = ctr(node.machine(), words);
  assert.equal(status, 0, `ctr ${words.join(" ")}: ${stderr}`);
  return stdout;
}

collection.run();
