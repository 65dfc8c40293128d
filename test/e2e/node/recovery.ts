import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
import { eventually } from "./wait.ts";

/** One cold boot to its end, and what it took. */
export interface Recovery {
  /** Everything that `restore` printed. */
  readonly said: string;
  readonly copies: readonly ProjectedPod[];
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
  await step("kubelet", () => node.startKubelet(impatient));
  await step("/readyz", () => cluster.waitUntilReady(deadlineMs));
  const readyMs = performance.now();
  await step("all projected pods", () => waitUntilProjectedRun(node, copies, deadlineMs));
  return {
    said,
    copies,
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

/** What `capture --watch` has made of the node, from outside. */
export interface Watching extends Daemon {
  /** Returns once a generation is there that is newer. */
  readonly newerThan: (generation: number) => Promise<number>;
  /** Returns once it is blessed. */
  readonly blessed: (generation: number) => Promise<void>;
}

/** The configuration of a node that captures at once and blesses soon. */
export function configureHaste(node: Node, settle: string): void {
  const text = `capture: {interval: 1s}\nsettle: ${settle}\n`;
  writeFileSync(join(node.disk, "etc/blackstart/config.yaml"), text);
}

/** Starts `capture --watch` on the node, as blackstart-capture.service does. */
export async function watchCaptures(node: Node): Promise<Watching> {
  const argv = ["/usr/bin/blackstart", "capture", "--watch"];
  const daemon = await node.machine().start("capture-watch", argv);
  const ended = () => (daemon.isRunning() ? undefined : daemon.lastWords());
  const wait = async <T>(what: string, ask: () => T | undefined) => {
    try {
      return await eventually(what, deadlineMs, ask, ended);
    } catch (error) {
      throw new Error(`${String(error)}\n${daemon.lastWords()}`);
    }
  };
  return {
    ...daemon,
    newerThan: (generation) =>
      wait(`a generation after ${generation}`, () => {
        const newest = newestGeneration(node);
        return newest > generation ? newest : undefined;
      }),
    blessed: async (generation) => {
      const mark = `blessed-${String(generation).padStart(20, "0")}`;
      await wait(mark, () => (storeNames(node).includes(mark) ? true : undefined));
    },
  };
}

export function newestGeneration(node: Node): number {
  const numbers = storeNames(node).map((name) => Number(/^gen-(\d+)\.jwe$/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}

/** The boot attempts that a generation has left and has used, as the store's directory says. */
export function attempts(node: Node, generation: number): { left: number; done: number } {
  const name = new RegExp(`^attempts-0*${generation}\\+(\\d)-(\\d+)$`);
  for (const entry of storeNames(node)) {
    const [, left, done] = name.exec(entry) ?? [];
    if (left !== undefined) {
      return { left: Number(left), done: Number(done) };
    }
  }
  return { left: 3, done: 0 };
}

function storeNames(node: Node): readonly string[] {
  return readdirSync(join(node.disk, "var/lib/blackstart"));
}
