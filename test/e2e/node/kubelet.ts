import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildBinary, type KubeletMinor } from "../binaries.ts";
import type { Daemon } from "../daemon.ts";
import { containerdSocket } from "./containerd.ts";
import { insidePath, type Machine } from "./machine.ts";

export const kubeletPort = 10_250;
export const kubeletReadOnlyPort = 10_255;

/** Where a kubelet that kubeadm set up has them. */
export const kubeletConfigFile = "/var/lib/kubelet/config.yaml";
export const kubeconfigFile = "/etc/kubernetes/kubelet.conf";
export const clientCaFile = "/etc/kubernetes/pki/ca.crt";

/** What the tests need of a kubelet; JSON is YAML. */
const configuration = {
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  staticPodPath: "/etc/kubernetes/manifests",
  containerRuntimeEndpoint: `unix://${containerdSocket}`,
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: "AlwaysAllow" },
  port: kubeletPort,
  readOnlyPort: kubeletReadOnlyPort,
  clusterDNS: ["10.96.0.10"],
  clusterDomain: "cluster.local",
  resolvConf: "/etc/resolv.conf",
  cgroupDriver: "cgroupfs",
  // Refused from 1.35 on unless this is said.
  failCgroupV1: false,
  cgroupsPerQOS: false,
  enforceNodeAllocatable: [],
  failSwapOn: false,
  // The machine's disk is others' too.
  evictionHard: {
    "memory.available": "1Mi",
    "nodefs.available": "1Mi",
    "imagefs.available": "1Mi",
  },
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
};

/** Fields of a KubeletConfiguration that win over ours. */
export type KubeletOverrides = Readonly<Record<string, unknown>>;

/**
 * Starts a kubelet; it may find no apiserver, so nothing is waited for.
 *
 * @param disk  the machine's root directory; gets the kubelet's configuration
 */
export async function startKubelet(
  machine: Machine,
  disk: string,
  minor: KubeletMinor,
  address: string,
  overrides: KubeletOverrides,
): Promise<Daemon> {
  const name = minor === "1.37" ? "kubelet" : (`kubelet-${minor}` as const);
  mkdirSync(join(disk, "var/lib/kubelet"), { recursive: true });
  const settings = { ...configuration, ...gatesFor(minor, overrides), ...overrides };
  writeFileSync(join(disk, kubeletConfigFile), JSON.stringify(settings, undefined, 2));
  return await machine.start("kubelet", [
    insidePath(buildBinary(name)),
    `--config=${kubeletConfigFile}`,
    `--kubeconfig=${kubeconfigFile}`,
    `--node-ip=${address}`,
    "--v=2",
  ]);
}

/** Refused until 1.35 made the gate a beta. Source: Kubernetes v1.35.4 `pkg/features/kube_features.go`. */
function gatesFor(minor: KubeletMinor, overrides: KubeletOverrides): KubeletOverrides {
  return minor === "1.34" && Object.hasOwn(overrides, "crashLoopBackOff")
    ? { featureGates: { KubeletCrashLoopBackOffMax: true } }
    : {};
}
