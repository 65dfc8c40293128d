import { demand, type Json } from "../api.ts";
import type { Daemon } from "../daemon.ts";
import { pullSecretData } from "../registry/registry.ts";
import type { Edge } from "./edge.ts";
import { missedSoon } from "./edge.ts";
import { isParent, isReady, type ProjectedPod } from "./projected.ts";
import { succeed } from "./recovery.ts";
import { impatient } from "./settled-node.ts";
import type { Steps } from "./steps.ts";
import type { Reach } from "./uplink.ts";
import { eventually } from "./wait.ts";

export const namespace = "lab";
const pullSecretName = "registry";
const deadlineMs = 180_000;

/** A kubelet's settings for these scenarios. */
export const kubeletSettings = { ...impatient, ...missedSoon };

/** How a pod gets its image. */
export interface ImagePod {
  readonly name: string;
  readonly image: string;
  /** Left out: IfNotPresent. */
  readonly policy?: "Always" | "IfNotPresent" | "Never";
  /** Whether it presents the registry's credentials. */
  readonly isTrusted?: boolean;
  /** Left out: whatever the node's configuration selects. */
  readonly isCheckpointed?: boolean;
}

/** Pure. A pod of one container, which needs nothing but its image. */
export function imagePod(nodeName: string, pod: ImagePod): Json {
  const { name, image, policy = "IfNotPresent", isTrusted = false, isCheckpointed } = pod;
  const annotations =
    isCheckpointed === undefined ? {} : { "blackstart.dev/checkpoint": `${isCheckpointed}` };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, annotations },
    spec: {
      nodeName,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: "Exists" }],
      imagePullSecrets: isTrusted ? [{ name: pullSecretName }] : [],
      containers: [
        { name: "main", image, imagePullPolicy: policy, command: ["/bin/sleep", "360000"] },
      ],
    },
  };
}

/** Pure. The Secret that trusted pods pull with. */
export function pullSecret(registry: string): Json {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/dockerconfigjson",
    metadata: { name: pullSecretName, namespace },
    data: pullSecretData(registry),
  };
}

/** Switches the node on, up to where `restore` runs. */
export async function switchEdgeOn({ step }: Steps, { node, uplink }: Edge, reach: Reach) {
  await step(`boot, ${reach}`, async () => {
    await node.boot();
    uplink.set(reach);
  });
  await step("containerd", () => node.startContainerd());
}

/** The first boot of a node, until the control plane says that it is Ready; it has a key then. @returns its kubelet */
export async function joinEdge(steps: Steps, edge: Edge): Promise<Daemon> {
  const { step } = steps;
  await switchEdgeOn(steps, edge, "whole");
  succeed(edge.node, "key", "init", "--slot", "plain");
  const kubelet = await step("kubelet", () => edge.node.startKubelet(kubeletSettings));
  await step("the node is Ready", () =>
    eventually("Ready", deadlineMs, async () =>
      (await edge.readiness()) === "True" ? true : undefined,
    ),
  );
  return kubelet;
}

/** Returns once each of these pods of the API is Ready. */
export async function untilRun(edge: Edge, names: readonly string[]): Promise<void> {
  await eventually(`${names.join(", ")} run`, deadlineMs, async () => {
    const pods = await edge.pods();
    const late = names.filter(
      (name) => !pods.some((pod) => pod.metadata.name === name && isReady(pod)),
    );
    if (late.length > 0) {
      throw new Error(`${late.join(", ")}: ${JSON.stringify(pods.map(({ status }) => status))}`);
    }
    return true;
  });
}

/** Deletes pods of the API and returns once they are gone. */
export async function deletePods(edge: Edge, names: readonly string[]): Promise<void> {
  const path = (name: string) => `/api/v1/namespaces/${namespace}/pods/${name}`;
  for (const name of names) {
    await demand(edge.control.api, "DELETE", path(name), undefined, [404]);
  }
  await eventually(`${names.join(", ")} are gone`, deadlineMs, async () => {
    const left = (await edge.pods()).filter(({ metadata }) => names.includes(metadata.name));
    return left.length === 0 ? true : undefined;
  });
}

/**
 * Gives the node its control plane back and returns once each copy has a mirror: the kubelet has reached the API server
 * then, and ends a copy as soon as its link goes.
 */
export async function reconnect(edge: Edge, copies: readonly ProjectedPod[]): Promise<void> {
  edge.uplink.set("whole");
  await eventually("the copies have mirrors", deadlineMs, async () => {
    const mirrors = (await edge.pods()).filter((pod) => !isParent(pod));
    return mirrors.length === copies.length ? true : undefined;
  });
}

/** Returns once nothing of the copies is left, neither a container nor a mirror. */
export async function untilGone(edge: Edge, copies: readonly ProjectedPod[]): Promise<void> {
  const names = copies.map(({ name }) => `${name}-${edge.node.name}`);
  await eventually("the copies go", deadlineMs, async () => {
    const running = edge.node.containers().filter(({ pod }) => names.includes(pod));
    const isGone = running.length === 0 && (await edge.pods()).every(isParent);
    return isGone ? true : undefined;
  });
}

/** Why the kubelet does not start a pod's container, once it has said so; it calls a copy NAME-NODE. */
export async function refusalOf({ node }: Edge, name: string): Promise<string> {
  return await eventually(`${name} is refused`, deadlineMs, async () => {
    const pod = (await node.kubeletPods()).find(({ metadata }) => metadata.name === name);
    const { containerStatuses = [] } = (pod?.status ?? {}) as {
      readonly containerStatuses?: readonly {
        readonly state: { readonly waiting?: { readonly reason: string } };
      }[];
    };
    const reason = containerStatuses[0]?.state.waiting?.reason;
    return reason === "ContainerCreating" ? undefined : reason;
  });
}

/** A file as the one running container of a pod sees it. @param pod  as the kubelet calls it */
export function readIn({ node }: Edge, pod: string, file: string): string {
  const [container, ...others] = node.containers().filter((one) => one.pod === pod);
  if (container === undefined || others.length > 0) {
    throw new Error(`${pod}: ${others.length + (container === undefined ? 0 : 1)} containers`);
  }
  return node.exec(container, ["/bin/cat", file]).stdout;
}

/** Pure. */
export function namesOf(copies: readonly ProjectedPod[]): readonly string[] {
  return copies.map(({ name }) => name).sort();
}
