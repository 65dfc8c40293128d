import { existsSync } from "node:fs";
import { under } from "../config.ts";
import { type KubeletFacts, observeKubelet } from "../host/kubelet.ts";
import { log, logWarning } from "../host/log.ts";
import type { ProbeKubeconfig } from "../kube/kubeconfig.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { Warning } from "../model/plan.ts";
import type { Session } from "./session.ts";

/** This node as its kubelet is set up. */
export interface ObservedNode {
  readonly kubelet: KubeletFacts;
  readonly kubeconfig: ProbeKubeconfig | undefined;
  /** Where it is certain: the kubelet's flag or its certificate says so. The host's name is only a guess. */
  readonly name: string | undefined;
  readonly warnings: readonly Warning[];
}

/**
 * The node with what only a running kubelet shows, as it was when the checkpoint was taken: before it runs nobody
 * sees what its flags say. What is known without them wins.
 */
export async function withCaptured(
  session: Session,
  node: ObservedNode,
  { metadata }: Checkpoint,
): Promise<ObservedNode> {
  const { kubelet } = node;
  const {
    staticPodPath = kubelet.staticPodPath,
    nodeIP,
    kubeconfig: file,
  } = metadata.kubelet ?? {};
  const found = {
    ...kubelet,
    staticPodPath: kubelet.namesStaticPodPath ? kubelet.staticPodPath : staticPodPath,
    nodeIp: kubelet.nodeIp ?? nodeIP,
  };
  if (found.staticPodPath !== kubelet.staticPodPath) {
    log(`  manifests in ${staticPodPath}, as the kubelet was told when the checkpoint was taken`);
  }
  if (node.kubeconfig !== undefined || file === undefined || file === kubelet.kubeconfigPath) {
    return { ...node, kubelet: found };
  }
  const { readKubeconfig } = await import("../kube/kubeconfig.ts");
  const { kubeconfig, warnings } = await readKubeconfig(session.root, file);
  warnings.forEach(logWarning);
  return { ...node, kubelet: found, kubeconfig };
}

/** Looks at the kubelet and its kubeconfig. Never rejects: what cannot be read is a warning. */
export async function observeNode(session: Session): Promise<ObservedNode> {
  const kubelet = await observeKubelet(session.root, session.config);
  const hostname = kubelet.hostnameOverride?.toLowerCase();
  if (!existsSync(under(session.root, kubelet.kubeconfigPath))) {
    return { kubelet, kubeconfig: undefined, name: hostname, warnings: kubelet.warnings };
  }
  const { readKubeconfig } = await import("../kube/kubeconfig.ts");
  const { nodeOfCertificate } = await import("../kube/node-identity.ts");
  const { kubeconfig, warnings } = await readKubeconfig(session.root, kubelet.kubeconfigPath);
  const certPem = kubeconfig?.clientCert?.certPem;
  const certified = certPem === undefined ? undefined : nodeOfCertificate(certPem);
  return {
    kubelet,
    kubeconfig,
    name: hostname ?? certified,
    warnings: [...kubelet.warnings, ...warnings],
  };
}
