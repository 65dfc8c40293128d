import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Credential, makePki, openPki, type Pki, type Validity } from "../pki.ts";

/** Secret's name → key → text: what the Secrets of the example's control plane hold, made anew. */
export type SecretTexts = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface ClusterPki {
  /** Signs what the apiserver shows and what its clients show. */
  readonly cluster: Pki;
  readonly secrets: SecretTexts;
}

/**
 * Makes every key and certificate of a self-hosted control plane.
 *
 * @param dir  absolute, made here; holds the keys of the CAs
 */
export function makeClusterPki(dir: string, validity: Validity): ClusterPki {
  const cluster = makePki(join(dir, authority));
  const [etcd, aggregation] = [makePki(join(dir, "etcd")), makePki(join(dir, "aggregation"))];
  const pair = (name: string, { certificate, key }: Credential) => ({
    [`${name}.crt`]: certificate,
    [`${name}.key`]: key,
  });
  const client = (user: string, group?: string) =>
    cluster.issueClient(group === undefined ? { user } : { user, group }, validity);
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const accountKey = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  const kubelets = client("kube-apiserver-kubelet-client", "system:masters");
  const secrets: SecretTexts = {
    "etcd-tls": {
      "ca.crt": etcd.ca,
      ...pair("server", etcd.issuePeer(validity)),
      ...pair("peer", etcd.issuePeer(validity)),
    },
    "kube-apiserver": {
      "ca.crt": cluster.ca,
      "aggregation-ca.crt": aggregation.ca,
      "etcd-client-ca.crt": etcd.ca,
      ...pair("apiserver", cluster.issueServer(validity)),
      ...pair("apiserver-kubelet-client", kubelets),
      ...pair(
        "aggregation-client",
        aggregation.issueClient({ user: "front-proxy-client" }, validity),
      ),
      ...pair("etcd-client", etcd.issueClient({ user: "kube-apiserver" }, validity)),
      "service-account.key": accountKey,
      "service-account.pub": publicKey.export({ type: "spki", format: "pem" }).toString(),
    },
    "kube-controller-manager": {
      "ca.crt": cluster.ca,
      "ca.key": cluster.caKey,
      "service-account.key": accountKey,
      ...pair("client", client("system:kube-controller-manager")),
    },
    "kube-scheduler": { "ca.crt": cluster.ca, ...pair("client", client("system:kube-scheduler")) },
  };
  writeFileSync(join(dir, secretsFile), JSON.stringify(secrets), { mode: 0o600 });
  return { cluster, secrets };
}

/** What `makeClusterPki` has made there. */
export function openClusterPki(dir: string): ClusterPki {
  const secrets = JSON.parse(readFileSync(join(dir, secretsFile), "utf8")) as SecretTexts;
  return { cluster: openPki(join(dir, authority)), secrets };
}

const authority = "cluster";
const secretsFile = "secrets.json";
