import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Credential } from "./pki.ts";

/** What a kubeconfig says of its cluster. */
export interface ClusterEntry {
  readonly server: string;
  readonly caFile: string;
  /** PEM. */
  readonly ca: string;
}

/** `data`: all inside the kubeconfig. `files`: as a kubelet that rotates its certificate has it. */
export type CredentialForm = "data" | "files";

/**
 * Writes a kubeconfig of one cluster and one user, mode 0600.
 *
 * `files` puts certificate and key into one dated PEM file beside it and points
 * `kubelet-client-current.pem` there, by rename: called again it rotates the certificate.
 *
 * @param dir  absolute, made here; the file is `kubeconfig` in it
 * @returns the kubeconfig's path
 */
export function writeKubeconfig(
  dir: string,
  cluster: ClusterEntry,
  credential: Credential,
  form: CredentialForm,
): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, "kubeconfig");
  const authority =
    form === "data"
      ? `certificate-authority-data: ${btoa(cluster.ca)}`
      : `certificate-authority: ${cluster.caFile}`;
  const user =
    form === "data"
      ? `client-certificate-data: ${btoa(credential.certificate)}
    client-key-data: ${btoa(credential.key)}`
      : `client-certificate: ${join(dir, current)}
    client-key: ${join(dir, current)}`;
  if (form === "files") {
    writeCurrentPem(dir, credential);
  }
  const text = `apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    ${authority}
    server: ${cluster.server}
contexts:
- name: context
  context:
    cluster: cluster
    user: user
current-context: context
users:
- name: user
  user:
    ${user}
`;
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const current = "kubelet-client-current.pem";
let written = 0;

function writeCurrentPem(dir: string, { certificate, key }: Credential): void {
  written += 1;
  const name = `kubelet-client-${written}.pem`;
  writeFileSync(join(dir, name), `${certificate}${key}`, { mode: 0o600 });
  const link = join(dir, ".current");
  rmSync(link, { force: true });
  symlinkSync(join(dir, name), link);
  renameSync(link, join(dir, current));
}
