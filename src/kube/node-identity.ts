import { X509Certificate } from "node:crypto";

/**
 * The node that a kubelet's client certificate is of.
 *
 * Pure. undefined when it is no certificate, or not a node's.
 * Source: Kubernetes v1.37.2 `pkg/auth/nodeidentifier/default.go` (`CN=system:node:<name>`).
 *
 * @param pem the first certificate in it counts
 */
export function nodeOfCertificate(pem: string): string | undefined {
  try {
    const names = new X509Certificate(pem).subject.split("\n");
    const common = names.find((name) => name.startsWith("CN=system:node:"));
    return common?.slice("CN=system:node:".length);
  } catch {
    return undefined;
  }
}
