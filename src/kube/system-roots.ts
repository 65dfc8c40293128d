import { Failure } from "../errors.ts";
import { readSettings } from "../host/settings-file.ts";

/**
 * Where distributions keep their CA bundle; the first that exists is taken, as kubectl does.
 *
 * Source: Go 1.26 `crypto/x509/root_linux.go: certFiles`. Node's own list is Mozilla's, not the machine's.
 */
const bundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * The CA bundle of the machine, PEM; `SSL_CERT_FILE` names another.
 *
 * @throws {Failure} E_KUBECONFIG only when there is none: the kubeconfig then has to name its CA
 */
export function readSystemRoots(): string {
  const named = process.env["SSL_CERT_FILE"];
  for (const file of named === undefined || named === "" ? bundles : [named]) {
    const found = readSettings(file);
    if (found.kind === "text") {
      return found.text;
    }
  }
  throw new Failure("E_KUBECONFIG", {
    what: "the kubeconfig names no CA, and this machine has no CA bundle of its own",
    where: "clusters.cluster.certificate-authority",
    next: "Name the cluster's CA in the kubeconfig",
  });
}
