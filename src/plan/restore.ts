import { createHash } from "node:crypto";
import { paths } from "../config.ts";
import { Failure } from "../errors.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { Pod } from "../model/kubernetes.ts";
import type { PodPlan, RestorePlan, Skip, VolumePlan, Warning } from "../model/plan.ts";
import type { Volume } from "../model/volume-sources.ts";
import { plannedImages } from "./image.ts";
import { indexObjects, type ObjectIndex } from "./object-index.ts";
import { minorOf, type PodContext, podName } from "./pod-context.ts";
import { checkNoReferences } from "./references.ts";
import { planSource } from "./source.ts";
import { planStaticPod } from "./static-pod.ts";
import { planVolume } from "./tree.ts";

/** What the plan depends on besides the checkpoint. */
export interface PlanOptions {
  readonly generation: number | undefined;
  readonly secretEnv: "inline" | "refuse";
  /** `v1.37.2` of the kubelet that will read the manifests; undefined takes it from the checkpoint's Node. */
  readonly kubeletVersion: string | undefined;
  /** undefined when the clock cannot be trusted. */
  readonly now: Date | undefined;
}

/** The kubelet reads less than this. Source: v1.37.2 `pkg/kubelet/config/common.go: maxConfigLength`. */
const maxManifestBytes = 10 * 1024 * 1024;

/**
 * Decides what to write so that the kubelet runs every checkpointed pod without an apiserver.
 *
 * Pure. Pods come out in the order etcd, apiserver, everything else by name; within a pod the volumes
 * precede the manifest. A pod that cannot be projected is skipped with its reason; the others go on.
 */
export function planRestore(checkpoint: Checkpoint, options: PlanOptions): RestorePlan {
  const index = indexObjects(checkpoint);
  const { node, capturedAt, kubelet } = checkpoint.metadata;
  const kubeletVersion = kubeletVersionOf(index, node) ?? kubelet?.version;
  const kubeletMinor = minorOf(options.kubeletVersion ?? kubeletVersion);
  const warnings: Warning[] = [];
  if (kubeletMinor === undefined) {
    warnings.push({
      code: "W_KUBELET",
      message:
        "the kubelet's version is not known: manifests keep to what kubelets of 1.34 and older accept",
    });
  }
  const pods: PodPlan[] = [];
  const skipped: Skip[] = [];
  for (const pod of inOrder(checkpoint, index)) {
    const namespace = pod.metadata.namespace ?? "default";
    const own: Warning[] = [];
    const context: PodContext = {
      pod,
      namespace,
      index,
      node,
      kubeletMinor,
      ...pick(options),
      warnings: own,
    };
    try {
      pods.push(planPod(context, options.generation, capturedAt));
      warnings.push(...own);
    } catch (error) {
      if (!(error instanceof Failure)) {
        throw error;
      }
      skipped.push({
        namespace,
        name: pod.metadata.name,
        code: error.code,
        message: error.message,
      });
    }
  }
  return { node, generation: options.generation, pods, skipped, warnings };
}

function pick({ secretEnv, now }: PlanOptions): Pick<PodContext, "secretEnv" | "now"> {
  return { secretEnv, now };
}

function planPod(context: PodContext, generation: number | undefined, capturedAt: string): PodPlan {
  const { pod, namespace } = context;
  const { name, uid } = pod.metadata;
  const file = fileName(namespace, name);
  const mounted = mountedVolumes(pod);
  const trees: VolumePlan[] = [];
  const volumes: Volume[] = [];
  const readOnly = new Set<string>();
  for (const volume of pod.spec.volumes ?? []) {
    // What no container mounts the kubelet never looked at; left behind, it would refuse the manifest.
    // An emptyDir stays all the same: a fileKeyRef may name it.
    if (!mounted.has(volume.name) && volume["emptyDir"] == null) {
      continue;
    }
    if (isWritten(volume)) {
      const dir = `${paths.pods}/${file}/${volume.name}`;
      trees.push(planVolume(context, volume, dir, capturedAt));
      // Directory, never DirectoryOrCreate: without its files the pod must wait, not start empty.
      volumes.push({ name: volume.name, hostPath: { path: dir, type: "Directory" } });
      readOnly.add(volume.name);
    } else {
      const plain = planSource(context, volume);
      volumes.push(plain.volume);
      if (plain.readOnly) {
        readOnly.add(volume.name);
      }
    }
  }
  const { manifest, carriesSecret } = planStaticPod(context, volumes, readOnly, generation);
  checkNoReferences(manifest, podName(context));
  const text = `${JSON.stringify(manifest, undefined, 1)}\n`;
  if (Buffer.byteLength(text) >= maxManifestBytes) {
    throw new Failure("E_TOO_BIG", {
      what: `${podName(context)} gives a manifest that the kubelet does not read`,
      found: `${Buffer.byteLength(text)} bytes, it reads less than ${maxManifestBytes}`,
      next: "Give the pod its large values as files",
    });
  }
  return {
    namespace,
    name,
    uid: uid ?? undefined,
    images: plannedImages(context, mounted),
    volumes: trees,
    manifest: {
      file: `${paths.manifests}/${file}.json`,
      linkName: `blackstart_${file}.json`,
      text,
      carriesSecret,
    },
  };
}

/** `_` occurs in no Kubernetes name, so that `a`/`b-c` and `a-b`/`c` differ. */
function fileName(namespace: string, name: string): string {
  const whole = `${namespace}_${name}`;
  return whole.length <= 200
    ? whole
    : `${whole.slice(0, 180)}_${createHash("sha256").update(whole).digest("hex").slice(0, 16)}`;
}

function isWritten({ secret, configMap, projected, downwardAPI }: Volume): boolean {
  return secret != null || configMap != null || projected != null || downwardAPI != null;
}

function mountedVolumes({ spec }: Pod): ReadonlySet<string> {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  return new Set(
    containers.flatMap(({ volumeMounts, volumeDevices }) =>
      [...(volumeMounts ?? []), ...(volumeDevices ?? [])].map(({ name }) => name),
    ),
  );
}

function kubeletVersionOf(index: ObjectIndex, node: string): string | undefined {
  const status = index.find("Node", "", node)?.["status"];
  const facts =
    typeof status === "object" && status !== null && "nodeInfo" in status
      ? status.nodeInfo
      : undefined;
  const version =
    typeof facts === "object" && facts !== null && "kubeletVersion" in facts
      ? facts.kubeletVersion
      : undefined;
  return typeof version === "string" ? version : undefined;
}

/** Etcd first and the apiserver second, so that each finds what it needs sooner. */
function inOrder(checkpoint: Checkpoint, index: ObjectIndex): readonly Pod[] {
  const chosen = new Set(checkpoint.pods.map(({ namespace, name }) => `${namespace}/${name}`));
  const keyed = index.pods
    .filter(({ metadata }) => chosen.has(`${metadata.namespace ?? "default"}/${metadata.name}`))
    .map((pod) => ({
      pod,
      key: `${rankOf(pod)} ${pod.metadata.namespace ?? "default"}/${pod.metadata.name}`,
    }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ pod }) => pod);
}

function rankOf({ spec }: Pod): number {
  const programs = spec.containers.flatMap(({ name, command }) => [
    name,
    command?.[0]?.split("/").at(-1),
  ]);
  if (programs.includes("etcd")) {
    return 0;
  }
  return programs.includes("kube-apiserver") ? 1 : 2;
}
