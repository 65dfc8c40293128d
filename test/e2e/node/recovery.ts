import assert from "node:assert/strict";
import type { Daemon } from "../daemon.ts";
import type { Cluster } from "./cluster.ts";
import type { Node } from "./node.ts";
import {
  handBack,
  isParent,
  type ProjectedPod,
  projectedPods,
  waitUntilProjectedRun,
} from "./projected.ts";
import { impatient } from "./settled-node.ts";
import type { Steps } from "./steps.ts";

/** One cold boot to its end, and what it took. */
export interface Recovery {
  /** Everything that `restore` printed. */
  readonly said: string;
  readonly copies: readonly ProjectedPod[];
  readonly kubelet: Daemon;
  readonly restoreMs: number;
  /** From the kubelet's start. */
  readonly readyzMs: number;
  /** From the kubelet's start, until the last of the copies is Ready. */
  readonly allMs: number;
}

const deadlineMs = 180_000;

/** Switches the node on and starts containerd: what runs before `restore`. */
export async function switchOn({ step }: Steps, node: Node): Promise<void> {
  await step("boot", () => node.boot());
  await step("containerd", () => node.startContainerd());
}

/** Runs blackstart on the node; it must succeed. @returns what it printed, both streams */
export function succeed(node: Node, ...args: readonly string[]): string {
  const { status, stdout, stderr } = node.blackstart(args);
  assert.equal(status, 0, `blackstart ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout + stderr;
}

/** From `restore` to the last copy that is Ready; the node is on, with containerd. */
export async function recover(
  { step }: Steps,
  node: Node,
  cluster: Cluster,
  words: readonly string[] = ["restore"],
): Promise<Recovery> {
  const startedMs = performance.now();
  const said = await step(words.join(" "), () => succeed(node, ...words));
  const kubeletMs = performance.now();
  const copies = projectedPods(node);
  const kubelet = await step("kubelet", () => node.startKubelet(impatient));
  await step("/readyz", () => cluster.waitUntilReady(deadlineMs));
  const readyMs = performance.now();
  await step("all projected pods", () => waitUntilProjectedRun(node, copies, deadlineMs));
  return {
    said,
    copies,
    kubelet,
    restoreMs: kubeletMs - startedMs,
    readyzMs: readyMs - kubeletMs,
    allMs: performance.now() - kubeletMs,
  };
}

/** Takes the copies away until the pods of the API run in their place, all that there are now. */
export async function handAllBack(
  { step }: Steps,
  node: Node,
  cluster: Cluster,
  copies: readonly ProjectedPod[],
): Promise<void> {
  const parents = (await cluster.pods()).filter(isParent);
  await step("hand back", () => handBack(node, cluster, copies, parents.length, deadlineMs));
}

/** Everything ends at once; the next boot finds the disk. */
export async function cutPower({ step }: Steps, node: Node, cluster: Cluster): Promise<void> {
  await step("power cut", async () => {
    await node.powerCut();
    cluster.disconnect();
  });
}
