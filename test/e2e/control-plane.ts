import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Api, connectApi, demand, type Json } from "./api.ts";
import { startApiserver, writeApiserverFiles } from "./apiserver.ts";
import { applyObjects, prepareNamespace } from "./apply.ts";
import { startEtcd } from "./etcd.ts";
import { type CredentialForm, writeKubeconfig } from "./kubeconfig.ts";
import { findLoopbackPort } from "./loopback-port.ts";
import { parseMetrics } from "./metrics.ts";
import { makePki, type Subject, type Validity } from "./pki.ts";

export interface ControlPlaneSettings {
  /** Absolute; everything lies in it. It is the caller's to remove. */
  readonly dir: string;
  /** Further flags of the apiserver, `--name=value`; they win over ours. */
  readonly apiserverFlags?: readonly string[];
  /** Whether etcd calls fsync. Left out: no. */
  readonly isEtcdSynced?: boolean;
  /** Of the apiserver's certificate. The admin of this harness then verifies nothing. */
  readonly serverValidity?: Validity;
}

export interface NodeKubeconfigOptions {
  /** Left out: `data`. */
  readonly form?: CredentialForm;
  readonly validity?: Validity;
  /** Another address than the apiserver's, such as a proxy's. */
  readonly server?: string;
}

/** A real etcd and a real kube-apiserver on loopback; no controller, scheduler or kubelet. */
export interface ControlPlane extends AsyncDisposable {
  readonly url: string;
  readonly caFile: string;
  /** Path of a kubeconfig of the group system:masters. */
  readonly adminKubeconfig: string;
  /** Writes the kubeconfig of `system:node:NAME` and gives its path; again for the same node, it rotates. */
  readonly nodeKubeconfig: (name: string, options?: NodeKubeconfigOptions) => string;
  /** Asks as admin. */
  readonly api: Api;
  /** Asks as somebody else. */
  readonly apiAs: (subject: Subject) => Api;
  /** As `applyObjects`, as admin. */
  readonly apply: (objects: readonly unknown[]) => Promise<readonly Json[]>;
  /** The apiserver's own, as `parseMetrics`. */
  readonly metrics: () => Promise<ReadonlyMap<string, number>>;
  /** Graceful: SIGTERM, and its connections end as it likes. Returns when it has ended. */
  readonly stopApiserver: (how: "graceful" | "kill") => Promise<void>;
  /** On the same port and data; flags as in the settings unless others are given. Returns when it is ready. */
  readonly startApiserver: (flags?: readonly string[]) => Promise<void>;
  /**
   * Compacts etcd to the present revision and defragments it. A running apiserver still knows what its watch
   * cache holds; older revisions are 410 once it has been restarted, or at once with `--watch-cache=false`.
   */
  readonly compact: () => Promise<void>;
  /** The newest resourceVersion of the whole store. */
  readonly revision: () => Promise<number>;
  readonly pids: () => { readonly etcd: number; readonly apiserver: number };
  /** Kills everything. */
  readonly dispose: () => Promise<void>;
}

/** A port that was free may be taken before the server has it. */
const attempts = 4;

/** Starts a control plane, and builds what it consists of where that has not been done. */
export async function startControlPlane(settings: ControlPlaneSettings): Promise<ControlPlane> {
  const { dir, apiserverFlags = [], isEtcdSynced = false, serverValidity } = settings;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const pki = makePki(join(dir, "pki"));
  const { ca, caFile } = pki;
  copyFileSync(caFile, join(dir, "ca.crt"));
  writeApiserverFiles(dir, pki.issueServer(serverValidity));
  const admin = pki.issueClient({ user: "admin", group: "system:masters" });
  const etcd = await retried(() => startEtcd(dir, isEtcdSynced));

  const isVerified = serverValidity === undefined;
  let { daemon, port, client } = await retried(async () => {
    const port = await findLoopbackPort();
    const client = connectApi(`https://127.0.0.1:${port}`, { ca, client: admin, isVerified });
    const daemon = await startApiserver(dir, port, etcd.url, apiserverFlags, client.api);
    return { daemon, port, client };
  }).catch(async (error) => {
    await etcd.daemon.stop("SIGKILL");
    throw error;
  });
  const url = `https://127.0.0.1:${port}`;
  const clients = [client];
  const stop = async (signal: "SIGTERM" | "SIGKILL") => {
    await daemon.stop(signal);
    for (const { disconnect } of clients) {
      disconnect();
    }
  };
  const dispose = async () => {
    await stop("SIGKILL");
    await etcd.daemon.stop("SIGKILL");
  };
  try {
    for (const namespace of ["default", "kube-system", "kube-public", "kube-node-lease"]) {
      await prepareNamespace(client.api, ca, namespace);
    }
  } catch (error) {
    await dispose();
    throw error;
  }

  const cluster = { server: url, ca, caFile };
  return {
    url,
    caFile,
    adminKubeconfig: writeKubeconfig(join(dir, "admin"), cluster, admin, "data"),
    nodeKubeconfig: (name, { form = "data", validity = {}, server = url } = {}) =>
      writeKubeconfig(
        join(dir, "nodes", name),
        { ...cluster, server },
        pki.issueClient({ user: `system:node:${name}`, group: "system:nodes" }, validity),
        form,
      ),
    api: client.api,
    apiAs: (subject) => {
      const other = connectApi(url, { ca, client: pki.issueClient(subject), isVerified });
      clients.push(other);
      return other.api;
    },
    apply: (objects) => applyObjects(client.api, ca, objects),
    metrics: async () => parseMetrics((await demand(client.api, "GET", "/metrics")).text),
    stopApiserver: (how) => stop(how === "kill" ? "SIGKILL" : "SIGTERM"),
    startApiserver: async (flags = apiserverFlags) => {
      daemon = await startApiserver(dir, port, etcd.url, flags, client.api);
    },
    compact: etcd.compact,
    revision: etcd.revision,
    pids: () => ({ etcd: etcd.daemon.pid, apiserver: daemon.pid }),
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

async function retried<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      const isPort = error instanceof Error && error.message.includes("address already in use");
      if (!isPort || attempt === attempts) {
        throw error;
      }
    }
  }
}
