import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Api } from "./api.ts";
import { buildBinary } from "./binaries.ts";
import { type Daemon, startDaemon, waitUntilReady } from "./daemon.ts";
import type { Credential } from "./pki.ts";

const deadlineMs = 60_000;

/** Writes what every apiserver of this control plane reads: its certificate and the key of ServiceAccounts. */
export function writeApiserverFiles(dir: string, server: Credential): void {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const files = {
    "apiserver.crt": server.certificate,
    "apiserver.key": server.key,
    "service-account.key": privateKey.export({ type: "pkcs1", format: "pem" }),
    "service-account.pub": publicKey.export({ type: "spki", format: "pem" }),
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
  }
}

/**
 * Starts a kube-apiserver on 127.0.0.1 and waits until it is ready.
 *
 * @param dir  holds what `writeApiserverFiles` wrote and `ca.crt`; gets `kube-apiserver.log`
 * @param flags  come last, so that they win over ours
 * @param api  asks this server as somebody who may read /readyz
 */
export async function startApiserver(
  dir: string,
  port: number,
  etcdUrl: string,
  flags: readonly string[],
  api: Api,
): Promise<Daemon> {
  const file = (name: string) => join(dir, name);
  const args = [
    `--etcd-servers=${etcdUrl}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    "--advertise-address=127.0.0.1",
    // A loopback address is no endpoint.
    "--endpoint-reconciler-type=none",
    `--cert-dir=${dir}`,
    `--tls-cert-file=${file("apiserver.crt")}`,
    `--tls-private-key-file=${file("apiserver.key")}`,
    `--client-ca-file=${file("ca.crt")}`,
    "--anonymous-auth=false",
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${file("service-account.pub")}`,
    `--service-account-signing-key-file=${file("service-account.key")}`,
    "--service-cluster-ip-range=10.96.0.0/12",
    ...flags,
  ];
  const daemon = startDaemon(buildBinary("kube-apiserver"), args, file("kube-apiserver.log"));
  try {
    const isReady = async () => (await api("GET", "/readyz")).status === 200;
    await waitUntilReady(daemon, isReady, deadlineMs);
  } catch (error) {
    await daemon.stop("SIGKILL");
    throw new Error(`kube-apiserver: ${error instanceof Error ? error.message : error}`);
  }
  return daemon;
}
