import assert from "node:assert/strict";
import type { ApiPod } from "./cluster.ts";
import type { RunningContainer } from "./containers.ts";
import type { Edge } from "./edge.ts";
import { agentPort, mode, password } from "./edge-workloads.ts";
import { isParent, isReady, type ProjectedPod } from "./projected.ts";
import { eventually } from "./wait.ts";

const deadlineMs = 180_000;

/**
 * Returns once each of these has a parent that is Ready.
 *
 * @param since  a pod that has not become Ready after that does not count
 */
export async function untilParentsRun(
  edge: Edge,
  names: readonly string[],
  since = new Date(0),
): Promise<void> {
  await eventually(`${names.join(", ")} run`, deadlineMs, async () => {
    const ready = (await parentsOf(edge))
      .filter((pod) => isReady(pod) && !isEvicted(pod) && startedAfter(pod, since))
      .map(({ metadata }) => appOf(metadata.name));
    assert.deepEqual(ready.filter((name) => names.includes(name)).sort(), names);
    return true;
  });
}

/** Pure. Whether its end has been ordered. */
export function isEvicted({ metadata }: ApiPod): boolean {
  return Object.hasOwn(metadata, "deletionTimestamp");
}

/** Times of the API are whole seconds. */
function startedAfter(pod: ApiPod, since: Date): boolean {
  return statusesOf(pod).every(
    ({ state }) => Date.parse(state?.running?.startedAt ?? "") >= since.getTime() - 1_000,
  );
}

/** How often the container of the agent's parent has been started again. */
export async function agentRestarts(edge: Edge): Promise<number> {
  const agents = (await parentsOf(edge)).filter(({ metadata }) => appOf(metadata.name) === "agent");
  return agents.flatMap(statusesOf)[0]?.restartCount ?? 0;
}

/** The pods of the node that are no mirrors. */
export async function parentsOf(edge: Edge): Promise<readonly ApiPod[]> {
  return (await edge.pods()).filter(isParent);
}

/** Pure. Sorted. */
export function uidsOf(pods: readonly ApiPod[]): readonly string[] {
  return pods.map(({ metadata }) => metadata.uid).sort();
}

/** Those of the copies, by their pods' names: a parent's is without the node's. */
export function containersOf(
  containers: readonly RunningContainer[],
  copies: readonly ProjectedPod[],
) {
  return containers.filter(({ pod }) => copies.some(({ name }) => pod === `${name}-edge1`));
}

/** Pure. Which of the workloads a pod belongs to. */
export function appOf(pod: string): string {
  return pod.split("-")[0] ?? "";
}

/** What answers on the agent's port; empty where nobody does. */
export function askAgent({ run }: Edge["node"]): string {
  return run(["busybox", "wget", "-q", "-O-", `http://127.0.0.1:${agentPort}/mode`]).stdout;
}

/** A container as the API tells of it. */
interface ContainerStatus {
  readonly restartCount: number;
  readonly state?: { readonly running?: { readonly startedAt: string } };
  readonly lastState?: { readonly terminated?: { readonly exitCode: number } };
}

/** Pure. */
export function statusesOf({ status }: ApiPod): readonly ContainerStatus[] {
  return (
    (status as { readonly containerStatuses?: readonly ContainerStatus[] }).containerStatuses ?? []
  );
}

/** The copies' containers, once their Secrets, ConfigMaps and tokens have been read inside of them. */
export function inspect(
  { node }: Edge,
  copies: readonly ProjectedPod[],
): readonly RunningContainer[] {
  const containers = containersOf(node.containers(), copies);
  assert.equal(containers.length, copies.length);
  for (const container of containers) {
    const read = (file: string) => {
      const { status, stdout, stderr } = node.exec(container, ["/bin/cat", file]);
      assert.equal(status, 0, `${container.pod} ${file}: ${stderr}`);
      return stdout;
    };
    const app = appOf(container.pod);
    if (app !== "passing") {
      assert.equal(read("/secret/password"), password);
      assert.equal(read("/settings/mode"), mode);
    }
    const claims = read(`${accountDir}/token`).split(".")[1] ?? "";
    assert.match(Buffer.from(claims, "base64url").toString(), /"namespace":"site"/);
    if (app === "till") {
      assert.ok(container.spec.process.env.includes(`PASSWORD=${password}`));
      assert.ok(container.spec.process.env.includes(`MODE=${mode}`));
    }
  }
  assert.equal(askAgent(node), mode);
  return containers;
}

/** Where a pod has its token. */
export const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount";
