import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { ApiPod, Cluster } from "./cluster.ts";
import type { KubeletPod, Node } from "./node.ts";
import { eventually } from "./wait.ts";

/** A pod that blackstart has projected on the node. */
export interface ProjectedPod {
  readonly namespace: string;
  /** As in the manifest, which is the parent's. The kubelet adds the node's name. */
  readonly name: string;
  /** Absolute, outside: the symbolic link in the manifest folder. */
  readonly link: string;
}

interface Manifest {
  readonly metadata: { readonly name: string; readonly namespace: string };
}

const manifestDir = "etc/kubernetes/manifests";

/** What lies in the node's manifest folder and leads into its memory. */
export function projectedPods(node: Node): readonly ProjectedPod[] {
  return readdirSync(join(node.disk, manifestDir)).flatMap((file) => {
    // The link is absolute, so its target is looked up inside.
    const target = node.path(join("/run/blackstart/manifests", file));
    if (!existsSync(target)) {
      return [];
    }
    const { metadata } = JSON.parse(readFileSync(target, "utf8")) as Manifest;
    const { namespace, name } = metadata;
    return [{ namespace, name, link: join(node.disk, manifestDir, basename(file)) }];
  });
}

/** Returns once the kubelet says that each of these static pods is Ready; otherwise tells which are not. */
export async function waitUntilProjectedRun(
  node: Node,
  pods: readonly ProjectedPod[],
  deadlineMs: number,
): Promise<void> {
  await eventually("the projected pods are Ready", deadlineMs, async () => {
    const known = await node.kubeletPods();
    const late = pods.filter(({ namespace, name }) => {
      const pod = known.find(
        ({ metadata }) =>
          metadata.namespace === namespace && metadata.name === `${name}-${node.name}`,
      );
      return pod === undefined || !isReady(pod);
    });
    return done(late.map(({ name }) => name));
  });
}

/** Returns once the apiserver says that all of the node's own pods are Ready, at least `least` of them. */
export async function waitUntilParentsRun(
  node: Node,
  cluster: Cluster,
  least: number,
  deadlineMs: number,
): Promise<readonly ApiPod[]> {
  return await eventually("the pods of the API are Ready", deadlineMs, async () => {
    const pods = (await cluster.pods()).filter(isParent);
    const late = pods.filter((pod) => !isReady(pod)).map(({ metadata }) => metadata.name);
    done(late);
    if (pods.length < least) {
      throw new Error(`${pods.length} pods of ${node.name}, not ${least}`);
    }
    return pods;
  });
}

/** Not the mirror of a static pod. */
export function isParent({ metadata }: ApiPod): boolean {
  return metadata.annotations?.["kubernetes.io/config.mirror"] === undefined;
}

export function isReady({ status }: KubeletPod | ApiPod): boolean {
  return (status.conditions ?? []).some(
    (condition) => condition.type === "Ready" && condition.status === "True",
  );
}

/** The rest goes first; an apiserver without its etcd would answer nobody. */
const last = ["kube-apiserver-", "etcd-"];

/**
 * Takes the projected pods away as a person would, one manifest after the other, etcd at the end.
 *
 * The parents start when their back-off is over: `waitUntilParentsRun`, and a kubelet with
 * `crashLoopBackOff.maxContainerRestartPeriod`, where that must not take minutes.
 */
export function handBack(pods: readonly ProjectedPod[]): void {
  const rank = ({ name }: ProjectedPod) =>
    last.findIndex((beginning) => name.startsWith(beginning));
  for (const { link } of pods.toSorted((a, b) => rank(a) - rank(b))) {
    rmSync(link);
  }
}

function done(late: readonly string[]): true {
  if (late.length > 0) {
    throw new Error(late.join(", "));
  }
  return true;
}
