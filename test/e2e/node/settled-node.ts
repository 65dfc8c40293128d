import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { repository } from "../../../scripts/install.mjs";
import { cacheDir } from "../binaries.ts";
import { withLock } from "../lock.ts";
import { type Cluster, makeCluster, openCluster } from "./cluster.ts";
import { checkpointedIn, exampleFiles, exampleObjects, parentsIn } from "./example-objects.ts";
import { makeNode, type Node, type NodeSettings } from "./node.ts";
import {
  handBack,
  projectedPods,
  waitUntilParentsExist,
  waitUntilProjectedRun,
} from "./projected.ts";
import type { Steps } from "./steps.ts";

/** A node that is off, and the cluster that will come back on it. */
export interface SettledNode {
  readonly node: Node;
  readonly cluster: Cluster;
}

/** So that a parent starts soon after its copy has gone. */
export const impatient = { crashLoopBackOff: { maxContainerRestartPeriod: "2s" } };

/** How many pods of the example a capture holds. */
export const checkpointed = checkpointedIn(exampleObjects());
/** How many pods of its own the node has once the example's controllers have made theirs. */
const workloads = parentsIn(exampleObjects());

/** Certificates are for longer than a saved node is used. */
const usableMs = 12 * 3_600_000;
/** So long after its last use a saved node, nearly a gigabyte, is removed; copying one takes a second. */
const forgottenMs = 3_600_000;

/**
 * Gives a node whose self-hosted cluster ran, was handed back to its own pods and captured (generation 2),
 * until the power failed.
 *
 * It takes a minute to come to that, so it is done once and kept beside the built programs; each caller has a
 * copy of its own. What it depends on (executable, objects, this harness) makes it anew.
 */
export async function makeSettledNode(
  { step }: Steps,
  settings: Omit<NodeSettings, "saved"> = {},
): Promise<SettledNode> {
  const saved = await step("a node with a cluster, captured, its power cut", () =>
    withLock(join(cacheDir(), "settled.lock"), () => savedNode({ step })),
  );
  const node = await step("copy its disk", () => makeNode({ ...settings, saved }));
  return { node, cluster: openCluster(node) };
}

async function savedNode(steps: Steps): Promise<string> {
  const all = join(cacheDir(), "settled");
  mkdirSync(all, { recursive: true, mode: 0o700 });
  const dir = join(all, digest());
  // The folder's own time is that of its last use, the keys' that of their making.
  for (const name of readdirSync(all).map((entry) => join(all, entry))) {
    const isUnused = ageMs(name) > forgottenMs;
    const isOld = !existsSync(join(name, "pki")) || ageMs(join(name, "pki")) > usableMs;
    if (isUnused || isOld) {
      rmSync(name, { recursive: true, force: true });
    }
  }
  if (existsSync(dir)) {
    utimesSync(dir, new Date(), new Date());
    return dir;
  }
  await using node = await makeNode();
  await settle(steps, node, makeCluster(node));
  const unfinished = `${dir}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  node.save(unfinished);
  renameSync(unfinished, dir);
  return dir;
}

function ageMs(file: string): number {
  return Date.now() - statSync(file).mtimeMs;
}

/** Of all that a node's disk depends on. Of the executable its sources: its bytes differ from commit to commit. */
function digest(): string {
  const sources = globSync("src/**/*.ts", { cwd: repository }).map((file) =>
    join(repository, file),
  );
  const harness = withImports(import.meta.filename, new Set());
  const hash = createHash("sha256");
  for (const file of [...sources.toSorted(), ...exampleFiles(), ...harness]) {
    hash.update(readFileSync(file));
  }
  return hash.digest("hex").slice(0, 16);
}

/** The file and, absolute, every file of this repository that it imports. */
function withImports(file: string, known: Set<string>): ReadonlySet<string> {
  if (!known.has(file)) {
    known.add(file);
    for (const [, path = ""] of readFileSync(file, "utf8").matchAll(/ from "(\.[^"]*)";/g)) {
      withImports(join(dirname(file), path), known);
    }
  }
  return known;
}

/** From nothing to generation 2: born from files, a cluster, handed back, captured; ends in a power cut. */
export async function settle({ step }: Steps, node: Node, cluster: Cluster): Promise<void> {
  const blackstart = (...args: readonly string[]) => {
    const { status, stdout, stderr } = node.blackstart(args);
    assert.equal(status, 0, `blackstart ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout + stderr;
  };
  await step("boot", () => node.boot());
  await step("key init", () => blackstart("key", "init", "--slot", "plain"));
  const files = cluster.writeObjects("born", cluster.objects("certificate"));
  await step("capture --from", () => blackstart("capture", "--from", files));
  rmSync(join(node.disk, files), { recursive: true });
  await step("containerd, with images", () => node.startContainerd());
  await step("restore --force", () => blackstart("restore", "--force"));
  const born = projectedPods(node);
  assert.equal(born.length, checkpointed);
  await step("kubelet", () => node.startKubelet(impatient));
  await step("first /readyz", () => cluster.waitUntilReady());
  await step("all projected pods", () => waitUntilProjectedRun(node, born, 120_000));
  await step("create the objects", () => cluster.createObjects());
  await step("controllers make the pods", () => waitUntilParentsExist(cluster, workloads, 60_000));
  await step("hand back", () => handBack(node, cluster, born, workloads, 180_000));
  const captured = await step("capture", () => blackstart("capture"));
  assert.match(captured, new RegExp(`generation 2 of node ${node.name}: ${born.length} pods`));
  await step("power cut", async () => {
    await node.powerCut();
    cluster.disconnect();
  });
}
