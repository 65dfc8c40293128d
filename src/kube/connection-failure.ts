import { describeFinding, describeTime } from "../model/describe-outcome.ts";
import type { Finding } from "../model/probe.ts";
import { ApiFailure, type ApiFailureCode } from "./api-failure.ts";

const reachable =
  "See whether the apiserver runs there, and whether a firewall or a wrong address in the kubeconfig stands between";

/**
 * The failure of a connection that did not come about.
 *
 * Pure. A certificate outside its time is told with its dates and the clock, whoever is wrong.
 *
 * @param where  the endpoint
 */
export function dialFailure(finding: Finding, where: string): ApiFailure {
  const fail = (code: ApiFailureCode, what: string, next: string, found?: string) =>
    new ApiFailure(code, { what, where, found: found ?? describeFinding(finding), next });
  switch (finding.kind) {
    case "expired":
      return fail(
        "E_TLS_TIME",
        "the apiserver's certificate has expired",
        "Renew it (`kubeadm certs renew`), or correct this machine's clock",
        `certificate ${describeTime(finding.time)}`,
      );
    case "not-yet-valid":
      return fail(
        "E_TLS_TIME",
        "the apiserver's certificate is not valid yet",
        "Correct this machine's clock",
        `certificate ${describeTime(finding.time)}`,
      );
    case "untrusted":
      return fail(
        "E_API_TLS",
        "the connection to the apiserver is not trusted",
        "Compare the kubeconfig's CA, server name and client certificate with those of the cluster",
      );
    case "not-tls":
      return fail(
        "E_API_TLS",
        "what answers there does not speak TLS as an apiserver does",
        "See what listens there, and whether a proxy stands between",
      );
    case "answered":
    case "no-store":
    case "not-http":
      return fail(
        "E_API_ANSWER",
        "what answers there does not speak HTTP/2",
        "Name an apiserver itself: a proxy between has to pass HTTP/2 on",
        finding.kind === "not-http" ? finding.detail : undefined,
      );
    case "half-open":
    case "refused":
    case "timeout":
    case "reset":
    case "dns":
    case "unreachable":
      return fail("E_API_UNREACHABLE", "the apiserver cannot be reached", reachable);
  }
}

/**
 * The failure of a connection that came about and was lost.
 *
 * Pure. Also of a request on it: `what` then names what was under way.
 *
 * @param found  what ended it, in words that hold nothing that was received
 */
export function lostFailure(
  where: string,
  found: string,
  what = "the connection to the apiserver is lost",
): ApiFailure {
  return new ApiFailure("E_API_UNREACHABLE", {
    what,
    where,
    found,
    next: "It is asked again once it is back; see the apiserver's own log",
  });
}

/** The failure of an answer that is not what HTTP/2 allows, or not whole. Pure. */
export function brokenAnswer(where: string, found: string): ApiFailure {
  return new ApiFailure("E_API_ANSWER", {
    what: "the apiserver's answer cannot be used",
    where,
    found,
    next: "See whether a proxy stands between, and the apiserver's own log",
  });
}
