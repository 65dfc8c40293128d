import assert from "node:assert/strict";
import { suite } from "uvu";
import { ctr } from "./containerd.ts";
import { isParent, isReady, projectedPods, waitUntilProjectedRun } from "./projected.ts";
import { succeed, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { impatient, makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";

const badKubelets = suite("e2e/node/bad-kubelets");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED a kubelet that lacks something: ${lacking}`);
}
const scenario = lacking === undefined ? badKubelets : badKubelets.skip;

const deadlineMs = 180_000;
const hourMs = 3_600_000;
/** Of every pod but the control plane's own. */
const image = "docker.io/library/busybox:lab";

scenario(
  "with an expired certificate the kubelet runs the copies, and restore says what is wrong",
  async () => {
    const steps = startSteps("expired-kubelet");
    const { step } = steps;
    const { node, cluster } = await makeSettledNode(steps);
    await using _ = node;
    cluster.renewKubelet({
      notBefore: new Date(Date.now() - 72 * hourMs),
      notAfter: new Date(Date.now() - 50 * hourMs),
    });
    await switchOn(steps, node);
    const said = await step("restore", () => succeed(node, "restore"));
    assert.match(said, /^W_EXPIRED: the kubelet's client certificate expired 2 days ago: /m);
    assert.match(said, /else give the kubelet a new certificate$/m);
    const copies = projectedPods(node);
    await step("kubelet", () => node.startKubelet(impatient));
    await step("/readyz", () => cluster.waitUntilReady(deadlineMs));
    await step("all projected pods", () => waitUntilProjectedRun(node, copies, deadlineMs));
    // The API server lets such a kubelet in nowhere: it is not told of the mirror pods.
    const mirrors = (await cluster.pods()).filter((pod) => !isParent(pod));
    assert.deepEqual(mirrors, []);
  },
);

scenario("a missing image keeps its own pods from running, and no others", async () => {
  const steps = startSteps("missing-image");
  const { step } = steps;
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  await switchOn(steps, node);
  await step("lose an image", () => {
    const { status, stderr } = ctr(node.machine(), ["images", "rm", "--sync", image]);
    assert.equal(status, 0, stderr);
  });
  await step("restore", () => succeed(node, "restore"));
  const copies = projectedPods(node);
  await step("kubelet", () => node.startKubelet(impatient));
  await step("/readyz", () => cluster.waitUntilReady(deadlineMs));
  const plane = copies.filter(({ name }) => /^(etcd|kube-(apiserver|controller|sch))/.test(name));
  assert.equal(plane.length, 4);
  await step("the control plane's copies", () => waitUntilProjectedRun(node, plane, deadlineMs));
  const known = await node.kubeletPods();
  const late = copies.filter(({ name }) =>
    known.some(
      ({ metadata, ...pod }) =>
        metadata.name === `${name}-${node.name}` && !isReady({ metadata, ...pod }),
    ),
  );
  assert.equal(late.length, copies.length - plane.length);
});

badKubelets.run();
