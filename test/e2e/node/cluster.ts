import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Api, connectApi, demand, type Json } from "../api.ts";
import { applyObjects } from "../apply.ts";
import { writeKubeconfig } from "../kubeconfig.ts";
import type { Credential, Subject, Validity } from "../pki.ts";
import { type ClusterPki, makeClusterPki, openClusterPki } from "./cluster-pki.ts";
import {
  exampleObjects,
  type KubernetesObject,
  type Login,
  renewObjects,
} from "./example-objects.ts";
import { clientCaFile, kubeconfigFile } from "./kubelet.ts";
import type { Node } from "./node.ts";
import { eventually } from "./wait.ts";

/** The self-hosted cluster of examples/self-hosted with keys of its own. */
export interface Cluster {
  /** PEM. */
  readonly ca: string;
  /** Asks the node's apiserver as admin. After a power cut: call `disconnect` first. */
  readonly api: Api;
  readonly disconnect: () => void;
  /** Asks as somebody else. */
  readonly apiAs: (subject: Subject) => Api;
  /** Gives the node's kubelet another certificate, in its kubeconfig. */
  readonly renewKubelet: (validity?: Validity) => void;
  /** The objects as they would be recorded; pods included. */
  readonly objects: (login: Login) => readonly KubernetesObject[];
  /** Writes objects where `capture --from /root/NAME` finds them on the node. @returns that path, inside */
  readonly writeObjects: (name: string, objects: readonly KubernetesObject[]) => string;
  /** Creates everything that the running control plane lacks: namespaces to workloads; pods are made by controllers. */
  readonly createObjects: () => Promise<void>;
  /** As `applyObjects`, as admin. */
  readonly apply: (objects: readonly unknown[]) => Promise<readonly Json[]>;
  /** Returns once /readyz says 200. */
  readonly waitUntilReady: (deadlineMs?: number) => Promise<void>;
  /** Pods of the node as the API has them. */
  readonly pods: () => Promise<readonly ApiPod[]>;
}

export interface ApiPod extends Json {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly status: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export interface ClusterSettings {
  /** Of every certificate but the CAs'. Left out: from a day ago to a day from now. */
  readonly validity?: Validity;
  /** Of the kubelet's certificate. Left out: as the others. */
  readonly kubeletValidity?: Validity;
}

const readyMs = 120_000;

/** Makes a cluster's keys, and gives the node's kubelet its kubeconfig and CA. The node may be off. */
export function makeCluster(node: Node, settings: ClusterSettings = {}): Cluster {
  const { validity = {}, kubeletValidity = validity } = settings;
  const made = makeClusterPki(node.pkiDir, validity);
  const cluster = clusterOf(node, made);
  cluster.renewKubelet(kubeletValidity);
  return cluster;
}

/** The cluster that `makeCluster` made on the node that this one is a copy of. */
export function openCluster(node: Node): Cluster {
  return clusterOf(node, openClusterPki(node.pkiDir));
}

function clusterOf(node: Node, { cluster: pki, secrets }: ClusterPki): Cluster {
  const { ca } = pki;
  const connect = (subject: Subject) =>
    connectApi(node.apiserverUrl, { ca, client: pki.issueClient(subject), isVerified: true });
  const { api, disconnect } = connect({ user: "admin", group: "system:masters" });
  const examples = exampleObjects();
  const objects = (login: Login) => renewObjects(examples, secrets, login);
  const apply = (given: readonly unknown[]) => applyObjects(api, ca, given);
  return {
    ca,
    api,
    disconnect,
    apiAs: (subject) => connect(subject).api,
    renewKubelet: (validity) =>
      installKubeletFiles(node, ca, pki.issueClient(nodeSubject(node.name), validity)),
    objects,
    writeObjects: (name, written) => {
      const file = join(node.disk, "root", name, "objects.json");
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: written }));
      return `/root/${name}`;
    },
    createObjects: async () => {
      const labels = { "node-role.kubernetes.io/control-plane": "" };
      await eventually("the node registers itself", readyMs, async () => {
        const path = `/api/v1/nodes/${node.name}`;
        await demand(api, "PATCH", path, { metadata: { labels } });
        return true;
      });
      await apply([...objects("token").filter(isCreated).map(withoutStatus)]);
    },
    apply,
    waitUntilReady: async (deadlineMs = readyMs) => {
      await eventually("the apiserver is ready", deadlineMs, async () => {
        const { status, text } = await api("GET", "/readyz");
        if (status !== 200) {
          throw new Error(`${status} ${text}`);
        }
        return true;
      });
    },
    pods: async () => {
      const path = `/api/v1/pods?fieldSelector=spec.nodeName%3D${node.name}`;
      return (await demand(api, "GET", path)).body["items"] as readonly ApiPod[];
    },
  };
}

/** A kubelet's identity. */
export function nodeSubject(name: string): Subject {
  return { user: `system:node:${name}`, group: "system:nodes" };
}

function installKubeletFiles(node: Node, ca: string, credential: Credential): void {
  const caFile = join(node.disk, clientCaFile);
  mkdirSync(dirname(caFile), { recursive: true });
  writeFileSync(caFile, ca);
  const server = "https://127.0.0.1:6443";
  const made = writeKubeconfig(
    join(node.logDir, "../kubeconfig"),
    { server, ca, caFile: clientCaFile },
    credential,
    "data",
  );
  copyFileSync(made, join(node.disk, kubeconfigFile));
}

/** Pods with an owner are their controllers' to make; what every cluster has by itself is left to it. */
function isCreated({ kind, metadata }: KubernetesObject): boolean {
  switch (kind) {
    case "Pod":
      return metadata["ownerReferences"] === undefined;
    case "Service":
      return metadata.name !== "kubernetes";
    default:
      return kind !== "Node";
  }
}

function withoutStatus({ status: _, ...object }: KubernetesObject): Json {
  return object;
}
