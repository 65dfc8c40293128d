import type { TLSSocket } from "node:tls";
import type { Finding } from "../model/probe.ts";

/**
 * Undefined when the peer's chain, time and name are right, else what is wrong.
 *
 * Reads what the handshake found; such a socket is opened with `rejectUnauthorized: false`, so that
 * the reasons can be told apart, and nothing is sent on it before this.
 *
 * @param caPem  the bundle that the socket's secure context holds
 */
export async function judgePeer(
  tls: TLSSocket,
  serverNames: readonly string[],
  caPem: string | undefined,
): Promise<Finding | undefined> {
  const { judgeName, judgeTime, parseBundle } = await import("./certificate.ts");
  const leaf = tls.getPeerX509Certificate();
  if (leaf === undefined) {
    return { kind: "untrusted", detail: "it shows no certificate" };
  }
  if (tls.authorized) {
    return judgeName(leaf, serverNames);
  }
  if (caPem === undefined) {
    return {
      kind: "untrusted",
      detail: "the cluster's CA is not known, so nothing can be verified",
    };
  }
  const code = String(tls.authorizationError);
  if (code === "CERT_NOT_YET_VALID" || code === "CERT_HAS_EXPIRED") {
    const chain = [leaf];
    for (let next = leaf.issuerCertificate; next !== undefined && chain.length < 10; ) {
      chain.push(next);
      next = next.issuerCertificate;
    }
    return judgeTime(chain, parseBundle(caPem), serverNames, new Date());
  }
  return { kind: "untrusted", detail: trustText(code) };
}

function trustText(code: string): string {
  switch (code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return "self-signed certificate";
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "CERT_SIGNATURE_FAILURE":
      return `certificate of another CA than the cluster's (${code})`;
    default:
      return `certificate not accepted (${code})`;
  }
}
