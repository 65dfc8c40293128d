import assert from "node:assert/strict";
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import type { Node } from "./node.ts";
import { projectedPods, waitUntilProjectedRun } from "./projected.ts";
import { lackingForNode } from "./requirements.ts";
import { impatient, makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";

const warmBoot = suite("e2e/node/warm-boot");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED a warm boot of a real node: ${lacking}`);
}
const scenario = lacking === undefined ? warmBoot : warmBoot.skip;

scenario("where an apiserver answers, restore leaves the node alone", async () => {
  const steps = startSteps("warm-boot");
  const { step } = steps;
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  await step("boot", () => node.boot());
  await step("containerd", () => node.startContainerd());
  const cold = await step("restore", () => node.blackstart(["restore"]));
  assert.equal(cold.status, 0, cold.stderr);
  const copies = projectedPods(node);
  await step("kubelet", () => node.startKubelet(impatient));
  await step("/readyz", () => cluster.waitUntilReady());
  await step("all projected pods", () => waitUntilProjectedRun(node, copies, 120_000));
  const before = snapshot(node);
  const version = await step("blackstart --version", () => node.blackstart(["--version"]));
  const warm = await step("restore again", () => node.blackstart(["restore"]));
  assert.equal(warm.status, 0, warm.stderr);
  assert.match(warm.stdout + warm.stderr, /probe: warm, the apiserver at https:\S+ answers/);
  // Not a link, a manifest or a volume is touched, not even a time.
  assert.deepEqual(snapshot(node), before);
  console.log(
    `# a warm restore takes ${warm.ms.toFixed(0)} ms, --version ${version.ms.toFixed(0)} ms`,
  );
});

/** Every file in the node's memory and manifest folder, by what would differ had anybody touched it. */
function snapshot(node: Node): readonly string[] {
  const folders = [node.path("/run/blackstart"), join(node.disk, "etc/kubernetes/manifests")];
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      // The lock of this very run.
      .filter((name) => name !== "lock")
      .sort()
      .map((name) => {
        const { ino, mode, size, mtimeMs, ctimeMs } = lstatSync(join(folder, name));
        return [name, ino, mode, size, mtimeMs, ctimeMs].join(" ");
      }),
  );
}

warmBoot.run();
