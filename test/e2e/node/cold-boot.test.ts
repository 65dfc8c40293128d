import assert from "node:assert/strict";
import { suite } from "uvu";
import { demand } from "../api.ts";
import { makeCluster } from "./cluster.ts";
import { makeNode } from "./node.ts";
import { handAllBack, recover, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { checkpointed, settle } from "./settled-node.ts";
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
    const steps = startSteps("cold-boot");
    const { step } = steps;
    await using node = await step("make the node", () => makeNode());
    const cluster = await step("make keys and certificates", () => makeCluster(node));
    await settle(steps, node, cluster);

    await switchOn(steps, node);
    const bootedAt = new Date();
    const { said, copies } = await recover(steps, node, cluster);
    assert.match(said, /open: generation 2,/);
    assert.match(said, /probe: cold/);
    assert.equal(copies.length, checkpointed);
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
    await handAllBack(steps, node, cluster, copies);
    await step("dispose", () => node.dispose());
  },
);

coldBoot.run();
