import { posix } from "node:path";
import { paths } from "../config.ts";
import { Failure } from "../errors.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import type { Volume } from "../model/volume-sources.ts";
import { imageReference } from "./image.ts";
import { type PodContext, podName, warn } from "./pod-context.ts";

/** A volume that the kubelet can mount without the API, and whether its mounts must be read-only. */
export interface PlainVolume {
  readonly volume: Volume;
  readonly readOnly: boolean;
}

/** Volume sources that stay as they are. Source: v1.37.2 `pkg/api/pod/util.go`, `pkg/volume/`. */
const keptSources = new Set([
  "emptyDir",
  "fc",
  "flexVolume",
  "gitRepo",
  "hostPath",
  "image",
  "iscsi",
  "nfs",
]);

const reasons: Readonly<Record<string, string>> = {
  csi: "a CSI driver needs the API",
  ephemeral: "an ephemeral claim belongs to the parent's uid and needs the API",
  glusterfs: "its endpoints are API objects",
  azureFile: "its credentials are read through the API",
  awsElasticBlockStore: "its CSI driver needs the API",
  azureDisk: "its CSI driver needs the API",
  cinder: "its CSI driver needs the API",
  gcePersistentDisk: "its CSI driver needs the API",
  portworxVolume: "its CSI driver needs the API",
  vsphereVolume: "its CSI driver needs the API",
};

/**
 * Turns a volume that is no secret, configMap, projected or downwardAPI volume into one without the API.
 *
 * Pure. A claim becomes what its volume is on the node: hostPath, local directory or NFS.
 *
 * @throws {Failure} E_UNSUPPORTED_VOLUME only when it cannot be mounted without the API,
 *   E_REF_MISSING only when claim or volume is not in the checkpoint,
 *   E_HOSTPATH_SELF only when it shows blackstart's own directories to the pod
 */
export function planSource(context: PodContext, volume: Volume): PlainVolume {
  if (volume.persistentVolumeClaim != null) {
    return claimSource(context, volume);
  }
  const source = Object.keys(volume).find((field) => field !== "name" && volume[field] != null);
  if (source === undefined) {
    return { volume, readOnly: false }; // no source at all is an emptyDir (apis/core/v1/defaults.go)
  }
  if (!keptSources.has(source)) {
    throw unsupported(
      context,
      volume,
      source,
      reasons[source] ?? "a kind of volume that a kubelet without the API does not mount",
    );
  }
  if (hasSecretRef(volume[source])) {
    throw unsupported(
      context,
      volume,
      source,
      "its credentials are a Secret that the kubelet reads through the API",
    );
  }
  if (volume.hostPath != null) {
    checkHostPath(context, volume.name, volume.hostPath.path);
  }
  const image = volume.image;
  if (image == null) {
    return { volume, readOnly: false };
  }
  const name = textOf(image["reference"]);
  const kept = { ...image, pullPolicy: "IfNotPresent" };
  return {
    volume: {
      ...volume,
      image:
        name === undefined
          ? kept
          : { ...kept, reference: imageReference(context, `volumes/${volume.name}`, name) },
    },
    readOnly: false,
  };
}

function claimSource(context: PodContext, volume: Volume): PlainVolume {
  const { claimName = "", readOnly = false } = volume.persistentVolumeClaim ?? {};
  const claim = context.index.find("PersistentVolumeClaim", context.namespace, claimName);
  const bound = textOf(recordOf(claim, "spec")?.["volumeName"]);
  const persistent =
    bound === undefined ? undefined : context.index.find("PersistentVolume", "", bound);
  if (claim === undefined || bound === undefined || persistent === undefined) {
    throw new Failure("E_REF_MISSING", {
      what: `${podName(context)} needs PersistentVolumeClaim ${context.namespace}/${claimName} and its volume`,
      where: `volume ${volume.name}`,
      found:
        claim === undefined
          ? "the checkpoint does not hold the claim"
          : bound === undefined
            ? "the claim is not bound"
            : `the checkpoint does not hold PersistentVolume ${bound}`,
      next: "Capture again with these objects among the inputs",
    });
  }
  return {
    volume: { name: volume.name, ...persistentSource(context, volume, persistent) },
    readOnly,
  };
}

function persistentSource(
  context: PodContext,
  volume: Volume,
  persistent: KubernetesObject,
): Readonly<Record<string, unknown>> {
  const spec = recordOf(persistent, "spec") ?? {};
  const name = `PersistentVolume ${persistent.metadata.name}`;
  if (spec["volumeMode"] === "Block") {
    throw unsupported(
      context,
      volume,
      name,
      "a raw block device needs a device that only the API path sets up",
    );
  }
  const hostPath = recordOf(spec, "hostPath");
  const local = recordOf(spec, "local");
  const nfs = recordOf(spec, "nfs");
  if (hostPath !== undefined) {
    checkHostPath(context, volume.name, textOf(hostPath["path"]) ?? "");
    return { hostPath };
  }
  if (local !== undefined) {
    if (local["fsType"] != null) {
      throw unsupported(
        context,
        volume,
        name,
        "a local volume with a file system type may be a device that must be mounted first",
      );
    }
    const path = textOf(local["path"]) ?? "";
    checkHostPath(context, volume.name, path);
    return { hostPath: { path, type: "Directory" } };
  }
  if (nfs !== undefined) {
    if (Array.isArray(spec["mountOptions"]) && spec["mountOptions"].length > 0) {
      warn(
        context,
        "W_MOUNT_OPTIONS",
        `volume ${volume.name}: the mount options of ${name} are lost, an inline NFS volume has none (nfsmount.conf can hold them)`,
      );
    }
    // Of a PersistentVolume only the claim's readOnly counts (v1.37.2 `volume/nfs/nfs.go: getVolumeSource`).
    const { readOnly: _, ...source } = nfs;
    return { nfs: source };
  }
  const kind =
    Object.keys(spec).find((field) => field === "csi" || field in reasons) ?? "another kind";
  throw unsupported(
    context,
    volume,
    `${name}, ${kind}`,
    reasons[kind] ?? "only hostPath, local and NFS volumes can be mounted without the API",
  );
}

/** Our own directories hold every pod's secrets and the sealed store. */
function checkHostPath(context: PodContext, volume: string, path: string): void {
  const clean = posix.normalize(`/${path}/`).replace(/^\/var\/run\//, "/run/");
  for (const own of [paths.run, paths.store, paths.keys]) {
    if (clean.startsWith(`${own}/`)) {
      throw new Failure("E_HOSTPATH_SELF", {
        what: `${podName(context)} mounts blackstart's own directory`,
        where: `volume ${volume}`,
        found: path.slice(0, 120),
        next: "Keep the pod out of the checkpoint, or mount another directory",
      });
    }
  }
}

function unsupported(context: PodContext, volume: Volume, source: string, found: string): Failure {
  return new Failure("E_UNSUPPORTED_VOLUME", {
    what: `${podName(context)} has a volume that no static pod can have`,
    where: `volume ${volume.name}, ${source.slice(0, 80)}`,
    found,
    next: "Keep the pod out of the checkpoint, or give it another kind of volume",
  });
}

function hasSecretRef(source: unknown): boolean {
  const name = recordOf(recordOf({ source }, "source"), "secretRef")?.["name"];
  return typeof name === "string" && name !== "";
}

function recordOf(
  holder: Readonly<Record<string, unknown>> | undefined,
  field: string,
): Readonly<Record<string, unknown>> | undefined {
  const value = holder?.[field];
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? { ...value }
    : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
