import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { describeTime } from "../model/describe-outcome.ts";
import { ApiFailure } from "./api-failure.ts";
import { timeOf } from "./certificate.ts";

/**
 * The first certificate of a PEM text, or why it and the key do not go together.
 *
 * Pure. Both texts may be the same one, as the kubelet keeps them. The reason quotes nothing.
 */
export function readPair(
  certPem: string,
  keyPem: string,
): { readonly certificate: X509Certificate } | { readonly problem: string } {
  let certificate: X509Certificate;
  let key: KeyObject;
  try {
    certificate = new X509Certificate(certPem);
  } catch {
    return { problem: "no certificate that can be read" };
  }
  try {
    key = createPrivateKey(keyPem);
  } catch {
    return { problem: "no private key that can be read without a passphrase" };
  }
  return certificate.checkPrivateKey(key)
    ? { certificate }
    : { problem: "the key is not that of the certificate" };
}

/**
 * Refuses a client certificate outside its time: an apiserver would say no more than 401. Pure.
 *
 * @param where  the file that holds it, or the program that gave it
 * @throws {ApiFailure} E_TLS_TIME only then, with its dates and the clock
 */
export function checkClientTime(certificate: X509Certificate, now: Date, where: string): void {
  const isExpired = certificate.validToDate < now;
  if (isExpired || certificate.validFromDate > now) {
    throw new ApiFailure("E_TLS_TIME", {
      what: isExpired
        ? "the client certificate has expired"
        : "the client certificate is not valid yet",
      where,
      found: `certificate ${describeTime(timeOf(certificate, now))}`,
      next: isExpired
        ? "See why the kubelet does not renew it (`journalctl -u kubelet`), or correct this machine's clock"
        : "Correct this machine's clock",
    });
  }
}
