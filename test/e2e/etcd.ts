import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildBinary } from "./binaries.ts";
import { type Daemon, startDaemon, waitUntilReady } from "./daemon.ts";
import { findLoopbackPort } from "./loopback-port.ts";

export interface Etcd {
  readonly url: string;
  readonly daemon: Daemon;
  /** Of the whole store: the newest resourceVersion. */
  readonly revision: () => Promise<number>;
  /** Forgets every older revision than the present one, and gives the space back. */
  readonly compact: () => Promise<void>;
}

const deadlineMs = 30_000;

/**
 * Starts a single etcd without TLS on loopback, and waits until it answers.
 *
 * @param dir  absolute; gets `etcd/` (the data) and `etcd.log`
 * @param isSynced  whether it calls fsync; without, it is faster and a power cut loses data
 */
export async function startEtcd(dir: string, isSynced: boolean): Promise<Etcd> {
  mkdirSync(join(dir, "etcd"), { recursive: true, mode: 0o700 });
  const url = `http://127.0.0.1:${await findLoopbackPort()}`;
  const peerUrl = `http://127.0.0.1:${await findLoopbackPort()}`;
  const args = [
    "--name=only",
    `--data-dir=${join(dir, "etcd")}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=only=${peerUrl}`,
    "--log-level=warn",
    ...(isSynced ? [] : ["--unsafe-no-fsync"]),
  ];
  const daemon = startDaemon(buildBinary("etcd"), args, join(dir, "etcd.log"));
  try {
    const isHealthy = async () => (await fetch(`${url}/health`)).ok;
    await waitUntilReady(daemon, isHealthy, deadlineMs);
  } catch (error) {
    await daemon.stop("SIGKILL");
    throw new Error(`etcd: ${error instanceof Error ? error.message : error}`);
  }
  // An empty key is refused; a key that nobody has answers with the revision all the same.
  const revision = async () => {
    const answer = await call(url, "kv/range", { key: btoa("none") });
    return Number(answer.header?.revision);
  };
  return {
    url,
    daemon,
    revision,
    compact: async () => {
      await call(url, "kv/compaction", { revision: await revision(), physical: true });
      await call(url, "maintenance/defragment", {});
    },
  };
}

interface EtcdAnswer {
  readonly header?: { readonly revision?: string };
}

/** One call of etcd's gRPC gateway. */
async function call(url: string, method: string, body: unknown): Promise<EtcdAnswer> {
  const response = await fetch(`${url}/v3/${method}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) {
    throw new Error(`etcd ${method}: ${response.status} ${text}`);
  }
  return JSON.parse(text) as EtcdAnswer;
}
