import assert from "node:assert/strict";
import { suite } from "uvu";
import { demand } from "../api.ts";
import { type KubeletMinor, kubeletMinors } from "../binaries.ts";
import type { ApiPod, Cluster } from "./cluster.ts";
import type { KubeletPod } from "./node.ts";
import { isParent, isReady } from "./projected.ts";
import { handAllBack, recover, succeed, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { secretsIn, secretValues } from "./secret-values.ts";
import { makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";

const minors = suite("e2e/node/kubelet-minors");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED kubelets of four minors: ${lacking}`);
}
const scenario = lacking === undefined ? minors : minors.skip;

/** One line of the table. */
interface Row {
  readonly minor: KubeletMinor;
  readonly version: string;
  readonly admitted: number;
  readonly projected: number;
  /** Of the copies' containers, until the last was Ready. */
  readonly restarts: number;
  readonly mirrors: number;
  readonly leaking: number;
  readonly readyzMs: number;
  readonly allMs: number;
}

const rows: Row[] = [];

// All from one generation, captured with 1.37: as after an upgrade or a downgrade while the node was off.
for (const minor of kubeletMinors) {
  scenario(`kubelet ${minor} runs the whole checkpoint and tells no secret`, async () => {
    const steps = startSteps(`kubelet-${minor}`);
    const { node, cluster } = await makeSettledNode(steps, { kubelet: minor });
    await using _ = node;
    await switchOn(steps, node);
    const { copies, readyzMs, allMs } = await recover(steps, node, cluster);
    const known = await node.kubeletPods();
    const ours = known.filter(({ metadata: { namespace, name } }) =>
      copies.some((copy) => copy.namespace === namespace && name === `${copy.name}-${node.name}`),
    );
    const admitted = ours.filter((pod) => pod.status.phase === "Running" && isReady(pod)).length;
    const values = secretValues(node, cluster);
    assert.ok(values.size > 40, `${values.size} values`);
    // The search finds them where they are.
    const { text } = await demand(cluster.api, "GET", "/api/v1/namespaces/kube-system/secrets");
    assert.ok(secretsIn(text, values).length > 10);
    const mirrors = (await cluster.pods()).filter((pod) => !isParent(pod));
    const texts = mirrors.map((pod) => [pod.metadata.name, JSON.stringify(pod)] as const);
    const leaks = texts.flatMap(([name, text]) =>
      secretsIn(text, values).map((from) => `${name}: ${from}`),
    );
    rows.push({
      minor,
      version: await kubeletVersion(cluster, node.name),
      admitted,
      projected: copies.length,
      restarts: ours.map(restartsOf).reduce((sum, count) => sum + count, 0),
      mirrors: mirrors.length,
      leaking: leaks.length,
      readyzMs,
      allMs,
    });
    assert.deepEqual(leaks, []);
    assert.equal(admitted, copies.length);
    assert.ok(mirrors.length > 0);
    assert.deepEqual(
      namesOf(mirrors).filter((name) => !isCopy(name)),
      [],
    );
    await handAllBack(steps, node, cluster, copies);
    // And the other way: what this kubelet's API server tells is captured as well.
    assert.match(succeed(node, "capture"), new RegExp(`: ${copies.length} pods`));

    function isCopy(name: string): boolean {
      return copies.some((copy) => name === `${copy.name}-${node.name}`);
    }
  });
}

scenario("the table of the kubelets", () => {
  console.log();
  console.log("# kubelet   admitted  restarts  mirror pods  with a secret  /readyz  all pods");
  for (const row of rows) {
    const { version, admitted, projected, restarts, mirrors, leaking, readyzMs, allMs } = row;
    const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`.padStart(7);
    console.log(
      `# ${version.padEnd(8)}  ${`${admitted}/${projected}`.padStart(8)}  ${String(restarts).padStart(8)}  ${String(mirrors).padStart(11)}  ${String(leaking).padStart(13)}  ${seconds(readyzMs)}   ${seconds(allMs)}`,
    );
  }
  assert.deepEqual(
    rows.map(({ minor, version }) => version.startsWith(`v${minor}.`)),
    kubeletMinors.map(() => true),
  );
});

function restartsOf({ status }: KubeletPod): number {
  const { containerStatuses = [] } = status as {
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
  return containerStatuses.reduce((sum, { restartCount }) => sum + restartCount, 0);
}

async function kubeletVersion(cluster: Cluster, node: string): Promise<string> {
  const { body } = await demand(cluster.api, "GET", `/api/v1/nodes/${node}`);
  const status = body["status"] as { readonly nodeInfo: { readonly kubeletVersion: string } };
  return status.nodeInfo.kubeletVersion;
}

function namesOf(pods: readonly ApiPod[]): readonly string[] {
  return pods.map(({ metadata }) => metadata.name);
}

minors.run();
