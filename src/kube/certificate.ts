import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { CertificateTime, Finding } from "../model/probe.ts";

/** A chain is leaf, at most some intermediates, root. */
const maxDepth = 8;
/** Extended key usage "server authentication" and "any". Source: RFC 5280 §4.2.1.12. */
const serverAuth = ["1.3.6.1.5.5.7.3.1", "2.5.29.37.0"];

/** Pure. The certificates of a PEM bundle; what does not parse is left out. */
export function parseBundle(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

/**
 * Looks at a certificate that OpenSSL rejected because of its time: is time all that is wrong?
 *
 * Pure. OpenSSL tells only the last of several errors, and that is the time's: so the chain is built
 * again here, with each signature checked, and the name too.
 *
 * @param chain  as the server sent it, the leaf first
 */
export function judgeTime(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  serverNames: readonly string[],
  now: Date,
): Finding {
  const [leaf] = chain;
  const path = leaf === undefined ? undefined : pathToAuthority(leaf, chain, authorities, maxDepth);
  if (leaf === undefined || path === undefined) {
    const detail = "outside its time, and not signed by the cluster's CA";
    return { kind: "untrusted", detail };
  }
  // Node's X509Certificate calls the extended key usage "keyUsage".
  if (leaf.keyUsage !== undefined && !leaf.keyUsage.some((usage) => serverAuth.includes(usage))) {
    return { kind: "untrusted", detail: "its certificate is not for a server" };
  }
  const misnamed = judgeName(leaf, serverNames);
  if (misnamed !== undefined) {
    return misnamed;
  }
  const expired = path.find((certificate) => certificate.validToDate < now);
  const early = path.find((certificate) => certificate.validFromDate > now);
  const wrong = expired ?? early;
  if (wrong === undefined) {
    return { kind: "untrusted", detail: "outside its time by OpenSSL's reading" };
  }
  return { kind: expired === undefined ? "not-yet-valid" : "expired", time: timeOf(wrong, now) };
}

/** Pure. The dates of a certificate beside the clock. */
export function timeOf(certificate: X509Certificate, now: Date): CertificateTime {
  const subject = (certificate.subject ?? "").replaceAll("\n", ", ").slice(0, 120);
  return {
    subject: JSON.stringify(subject),
    validFrom: certificate.validFromDate,
    validTo: certificate.validToDate,
    now,
  };
}

/** The certificates from `from` to a trusted one, each signed by the next; undefined when there is no such path. */
function pathToAuthority(
  from: X509Certificate,
  offered: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  depth: number,
): readonly X509Certificate[] | undefined {
  if (authorities.some(({ fingerprint256 }) => fingerprint256 === from.fingerprint256)) {
    return [from];
  }
  const trusted = authorities.find((issuer) => isIssuedBy(from, issuer));
  if (trusted !== undefined) {
    return [from, trusted];
  }
  if (depth === 0) {
    return undefined;
  }
  for (const issuer of offered) {
    if (issuer.fingerprint256 !== from.fingerprint256 && isIssuedBy(from, issuer)) {
      const rest = pathToAuthority(issuer, offered, authorities, depth - 1);
      if (rest !== undefined) {
        return [from, ...rest];
      }
    }
  }
  return undefined;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

/** Pure. Undefined when the certificate carries one of the names, else why it is not trusted. */
export function judgeName(
  certificate: X509Certificate,
  serverNames: readonly string[],
): Finding | undefined {
  const matches = serverNames.some((name) =>
    isIP(name) === 0
      ? // A certificate without any name of the new kind is refused, as Go's verifier does.
        certificate.checkHost(name, { subject: "never" }) !== undefined
      : certificate.checkIP(name) !== undefined,
  );
  if (matches) {
    return undefined;
  }
  const detail = `host name mismatch: its certificate is for ${describeNames(certificate)}, not for ${serverNames.join(" or ")}`;
  return { kind: "untrusted", detail };
}

function describeNames(certificate: X509Certificate): string {
  const names = certificate.subjectAltName ?? "no name";
  return JSON.stringify(names.length > 160 ? `${names.slice(0, 160)}…` : names);
}
