import type { CertificateTime, Finding, Outcome } from "./probe.ts";

const originText = {
  own: "this node's own port",
  kubeconfig: "the kubelet's kubeconfig",
  checkpoint: "the checkpoint",
  config: "the configuration",
} as const;

/** Pure. One line for the log, which tells every kind from every other. */
export function describeOutcome(outcome: Outcome): string {
  const { url, origin } = outcome.endpoint;
  return `${url} (from ${originText[origin]}): ${describeFinding(outcome)}`;
}

/** Pure. What one endpoint did, in a few words that hold nothing it sent as a body. */
export function describeFinding(finding: Finding): string {
  switch (finding.kind) {
    case "answered":
      return `answered, HTTP ${finding.status}`;
    case "no-store":
      return `answered, HTTP ${finding.status}, but its etcd check fails: it can serve no pods`;
    case "not-yet-valid":
      return `certificate of this cluster not valid yet: ${describeTime(finding.time)}; this machine's clock is wrong`;
    case "expired":
      return `certificate of this cluster expired: ${describeTime(finding.time)}`;
    case "untrusted":
      return `not trusted: ${finding.detail}`;
    case "half-open":
      return `connects, but ${finding.awaited} never answers`;
    case "refused":
      return `connection refused${suffix(finding.detail)}`;
    case "timeout":
      return `no answer to the TCP connection${suffix(finding.detail)}`;
    case "reset":
      return `connection broken${suffix(finding.detail)}`;
    case "dns":
      return `name not resolved${suffix(finding.detail)}`;
    case "unreachable":
      return `not reachable${suffix(finding.detail)}`;
    case "not-tls":
      return `no usable TLS${suffix(finding.detail)}`;
    case "not-http":
      return `trusted, but does not speak HTTP${suffix(finding.detail)}`;
  }
}

function suffix(detail: string): string {
  return detail === "" ? "" : `: ${detail}`;
}

/** Pure. Both times and whose they are, for the log and W_CLOCK. */
export function describeTime({ subject, validFrom, validTo, now }: CertificateTime): string {
  return `${subject} is valid from ${stamp(validFrom)} to ${stamp(validTo)}, the clock says ${stamp(now)}`;
}

function stamp(at: Date): string {
  return Number.isNaN(at.getTime()) ? "an unknown time" : `${at.toISOString().slice(0, 19)}Z`;
}
