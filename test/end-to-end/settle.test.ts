import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { suite } from "uvu";
import { containerPod } from "../plan/plan-of.ts";
import { run, succeed } from "./executable.ts";
import { bareNode, capture, memory } from "./node-root.ts";

const settle = suite("end-to-end/settle");

const worker = containerPod({}, { nodeName: "n1" });
const annotated = (pod: { readonly metadata: object }) => ({
  ...pod,
  metadata: { ...pod.metadata, annotations: { "blackstart.dev/checkpoint": "true" } },
});
// Nothing listens on this port of loopback: it is below the ephemeral range and reserved.
const apiserver = containerPod(
  { command: ["kube-apiserver", "--secure-port=1"] },
  { nodeName: "n1", hostNetwork: true },
);

const cases = [
  {
    name: "workers alone: a boot that has lasted gives the attempt back",
    pod: worker,
    status: 0,
    isGiven: true,
  },
  {
    name: "with an apiserver that does not answer the attempt stays taken",
    pod: apiserver,
    status: 69,
    isGiven: false,
  },
];

for (const { name, pod, status, isGiven } of cases) {
  settle(name, () => {
    if (memory === undefined) {
      console.log(`SKIPPED ${name}: no tmpfs is writable`);
      return;
    }
    using node = bareNode();
    succeed(["key", "init", "--slot", "plain", "--root", node.root]);
    capture(node, annotated(pod));
    succeed(["restore", "--force", "--root", node.root]);
    const taken = `${node.store}/attempts-00000000000000000001+2-1`;
    assert.ok(existsSync(taken));
    const settled = run(["settle", "--root", node.root, "-o", "json"]);
    assert.equal(settled.status, status);
    assert.equal(JSON.parse(settled.stdout).settled, isGiven);
    assert.equal(existsSync(taken), !isGiven);
  });
}

settle("where nothing is projected there is nothing to settle", () => {
  using node = bareNode();
  assert.equal(run(["settle", "--root", node.root]).status, 0);
});

settle("a generation that a person names costs no attempt, and needs none", () => {
  if (memory === undefined) {
    console.log("SKIPPED a named generation: no tmpfs is writable");
    return;
  }
  using node = bareNode();
  succeed(["key", "init", "--slot", "plain", "--root", node.root]);
  capture(node, annotated(worker));
  succeed(["restore", "--force", "--generation", "1", "--root", node.root]);
  assert.ok(!existsSync(`${node.store}/attempts-00000000000000000001+2-1`));
});

settle.run();
