import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { demand } from "../api.ts";
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
    const link = join(node.disk, manifestDir, file);
    // Absolute, so it must be looked up inside.
    const target = node.path(readlinkSync(link));
    if (!existsSync(target)) {
      return [];
    }
    const { metadata } = JSON.parse(readFileSync(target, "utf8")) as Manifest;
    const { namespace, name } = metadata;
    return [{ namespace, name, link }];
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

/**
 * Returns once the API has that many pods of the node, mirrors not counted.
 *
 * Without a controller manager and scheduler no pod of theirs is made: wait for this before theirs are taken away.
 */
export async function waitUntilParentsExist(
  cluster: Cluster,
  least: number,
  deadlineMs: number,
): Promise<void> {
  await eventually("the pods of the API exist", deadlineMs, async () => {
    const { length } = (await cluster.pods()).filter(isParent);
    if (length < least) {
      throw new Error(`${length} pods, not ${least}`);
    }
    return true;
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

/**
 * Takes the projected pods away as a careful person would, and waits until the pods of the API run in their place.
 *
 * Each is left until the mirror pods of those before it are gone: a kubelet deletes a mirror in the loop that
 * also restarts containers, and where etcd is away it waits 34 s, again and again (kubernetes#139502). So
 * etcd's own mirror is deleted before etcd goes. A parent starts when its back-off is over: give the kubelet
 * `crashLoopBackOff.maxContainerRestartPeriod` where that must not take minutes.
 *
 * @param least  as in `waitUntilParentsRun`
 */
export async function handBack(
  node: Node,
  cluster: Cluster,
  pods: readonly ProjectedPod[],
  least: number,
  deadlineMs: number,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  // An apiserver without its etcd answers nobody.
  const isLast = ({ name }: ProjectedPod) => name.startsWith("etcd-");
  const isServer = ({ name }: ProjectedPod) => name.startsWith("kube-apiserver-");
  const groups = [
    pods.filter((pod) => !isLast(pod) && !isServer(pod)),
    pods.filter(isServer),
    pods.filter(isLast),
  ];
  for (const group of groups) {
    const mirrors = group.map(({ namespace, name }) => ({
      namespace,
      name: `${name}-${node.name}`,
    }));
    if (group.some(isLast)) {
      for (const { namespace, name } of mirrors) {
        const path = `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`;
        await demand(cluster.api, "DELETE", path, undefined, [404]);
      }
    }
    for (const { link } of group) {
      rmSync(link);
    }
    await eventually("the mirror pods are gone", end - performance.now(), async () => {
      const present = (await cluster.pods()).map(({ metadata }) => metadata.name);
      return done(mirrors.flatMap(({ name }) => (present.includes(name) ? [name] : [])));
    });
  }
  await waitUntilParentsRun(node, cluster, least, end - performance.now());
}

function done(late: readonly string[]): true {
  if (late.length > 0) {
    throw new Error(late.join(", "));
  }
  return true;
}
