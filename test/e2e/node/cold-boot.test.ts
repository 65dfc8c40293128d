import assert from "node:assert/strict";
import { suite } from "uvu";
import { demand } from "../api.ts";
import { makeCluster } from "./cluster.ts";
import { makeNode } from "./node.ts";
import {
  handBack,
  projectedPods,
  waitUntilParentsExist,
  waitUntilProjectedRun,
} from "./projected.ts";
import { lackingForNode } from "./requirements.ts";
import { checkpointed, impatient, workloads } from "./settled-node.ts";
import { startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";

const coldBoot = suite("e2e/node/cold-boot");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED a cold boot of a real node: ${lacking}`);
}
const scenario = lacking === undefined ? coldBoot : coldBoot.skip;

scenario(
  "a node born from files boots a cluster, and boots it again after a power cut",
  async () => {
    const { step } = startSteps("cold-boot");
    await using node = await step("make the node", () => makeNode());
    const cluster = await step("make keys and certificates", () => makeCluster(node));
    const blackstart = (...args: readonly string[]) => {
      const { status, stdout, stderr } = node.blackstart(args);
      assert.equal(status, 0, `blackstart ${args.join(" ")}: ${stdout}${stderr}`);
      return stdout + stderr;
    };

    await step("boot", () => node.boot());
    await step("key init", () => blackstart("key", "init", "--slot", "plain"));
    const files = cluster.writeObjects("born", cluster.objects("certificate"));
    await step("capture --from", () => blackstart("capture", "--from", files));
    await step("containerd, with images", () => node.startContainerd());
    await step("restore --force", () => blackstart("restore", "--force"));
    const born = projectedPods(node);
    assert.equal(born.length, checkpointed);
    await step("kubelet", () => node.startKubelet(impatient));
    await step("first /readyz", () => cluster.waitUntilReady());
    await step("all projected pods", () => waitUntilProjectedRun(node, born, 60_000));
    await step("create the objects", () => cluster.createObjects());
    await step("controllers make the pods", () =>
      waitUntilParentsExist(cluster, workloads, 60_000),
    );
    await step("hand back", () => handBack(node, cluster, born, workloads, 180_000));
    const captured = await step("capture", () => blackstart("capture"));
    assert.match(captured, new RegExp(`generation 2 of node node1: ${checkpointed} pods`));

    await step("power cut", async () => {
      await node.powerCut();
      cluster.disconnect();
    });
    await step("boot", () => node.boot());
    await step("containerd", () => node.startContainerd());
    const restored = await step("restore", () => blackstart("restore"));
    assert.match(restored, /generation 2/);
    assert.match(restored, /probe: cold/);
    const copies = projectedPods(node);
    assert.equal(copies.length, checkpointed);
    const bootedAt = new Date();
    await step("kubelet", () => node.startKubelet(impatient));
    await step("/readyz", () => cluster.waitUntilReady());
    await step("all projected pods", () => waitUntilProjectedRun(node, copies, 60_000));
    // They log in with the tokens that the capture had minted.
    for (const name of ["kube-controller-manager", "kube-scheduler"]) {
      await step(`${name} leads`, () =>
        eventually(`${name} renews its lease`, 60_000, async () => {
          const path = `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${name}`;
          const { body } = await demand(cluster.api, "GET", path);
          const { renewTime = "" } = body["spec"] as { readonly renewTime?: string };
          return new Date(renewTime) > bootedAt ? true : undefined;
        }),
      );
    }
    await step("hand back", () => handBack(node, cluster, copies, workloads, 180_000));
    await step("dispose", () => node.dispose());
  },
);

coldBoot.run();
