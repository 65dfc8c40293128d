import { X509Certificate } from "node:crypto";
import type { Checkpoint } from "../model/checkpoint.ts";
import { describeDuration } from "../model/clock.ts";
import { isoTime } from "../model/iso-time.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import type { Warning } from "../model/plan.ts";
import { count } from "./table.ts";

/** Something stored that stops working at a known time. */
export interface Expiry {
  /** The token, or the certificate, by the name of what holds it. */
  readonly what: string;
  readonly expiresAt: Date;
}

/**
 * What in a checkpoint expires first: the node may stay off until then.
 *
 * Pure. Looks at the tokens, and at the certificates in Secrets and ConfigMaps: of a chain its leaf counts, of a
 * bundle of authorities the one that lasts longest.
 *
 * @param others  what else a boot needs, such as the kubelet's own certificate
 */
export function firstExpiry(
  checkpoint: Checkpoint,
  others: readonly Expiry[] = [],
): Expiry | undefined {
  const all = [
    ...others,
    ...checkpoint.tokens.map(({ namespace, pod, audience, expiresAt }) => ({
      what: `the token of pod ${namespace}/${pod}${audience === "" ? "" : ` for ${audience}`}`,
      expiresAt: new Date(expiresAt),
    })),
    ...checkpoint.items.flatMap(certificatesIn),
  ];
  return all
    .filter(({ expiresAt }) => Number.isFinite(expiresAt.getTime()))
    .reduce<Expiry | undefined>(
      (first, one) => (first === undefined || one.expiresAt < first.expiresAt ? one : first),
      undefined,
    );
}

/** Pure. `until 2027-11-23, 362 days, when the token of pod a/b expires`. */
export function describeExpiry({ what, expiresAt }: Expiry, now: Date): string {
  const date = expiresAt.toISOString().slice(0, 10);
  const leftMs = expiresAt.getTime() - now.getTime();
  return leftMs > 0
    ? `until ${date}, ${describeDuration(leftMs)}, when ${what} expires`
    : `none: ${what} expired ${describeDuration(-leftMs)} ago`;
}

/** So many are named; the rest is counted. */
const namedAtMost = 3;

/**
 * What this boot will fail on, or what says that the clock is wrong: certificates that have expired.
 *
 * Pure. Tokens have their own warnings, from the plan.
 *
 * @param kubeletCertificate  PEM; undefined where the kubelet has none
 */
export function warnOfExpired(
  checkpoint: Checkpoint,
  kubeletCertificate: string | undefined,
  now: Date,
): readonly Warning[] {
  const isOver = ({ expiresAt }: Expiry) => expiresAt < now;
  const ago = ({ expiresAt }: Expiry) =>
    `${describeDuration(now.getTime() - expiresAt.getTime())} ago`;
  const clock = `Set the clock if ${isoTime(now)} is wrong`;
  const warnings: Warning[] = [];
  for (const own of certificateExpiry("it", kubeletCertificate).filter(isOver)) {
    const message = `the kubelet's client certificate expired ${ago(own)}: no API server lets it in, and with --bootstrap-kubeconfig it may start no pod at all. ${clock}, else give the kubelet a new certificate`;
    warnings.push({ code: "W_EXPIRED", message });
  }
  const expired = checkpoint.items
    .flatMap(certificatesIn)
    .filter(isOver)
    .sort((a, b) => a.expiresAt.getTime() - b.expiresAt.getTime());
  const [first] = expired;
  if (first !== undefined) {
    const names = expired
      .slice(0, namedAtMost)
      .map(({ what }) => what.replace("the certificate ", ""));
    const more = expired.length > namedAtMost ? ` and ${expired.length - namedAtMost} more` : "";
    const have = expired.length === 1 ? "has" : "have";
    const message = `${count(expired.length, "certificate")} in the checkpoint ${have} expired, the first ${ago(first)}: ${names.join(", ")}${more}. What needs them will run and not be believed. ${clock}, else renew them`;
    warnings.push({ code: "W_EXPIRED", message });
  }
  return warnings;
}

function certificatesIn(object: KubernetesObject): readonly Expiry[] {
  const isSecret = object.kind === "Secret";
  if (!isSecret && object.kind !== "ConfigMap") {
    return [];
  }
  const { namespace = "default", name } = object.metadata;
  const values = object["data"];
  return Object.entries(typeof values === "object" && values !== null ? values : {}).flatMap(
    ([key, value]) => {
      const text = typeof value !== "string" ? "" : isSecret ? decode(value) : value;
      const expiresAt = expiryOf(text);
      return expiresAt === undefined
        ? []
        : [{ what: `the certificate ${key} of ${object.kind} ${namespace}/${name}`, expiresAt }];
    },
  );
}

/** Pure. When a client certificate expires; none where it is none. */
export function certificateExpiry(what: string, pem: string | undefined): readonly Expiry[] {
  const expiresAt = expiryOf(pem ?? "");
  return expiresAt === undefined ? [] : [{ what, expiresAt }];
}

/** base64 of `-----BEGIN` starts so: hardly any value has to be decoded. */
function decode(value: string): string {
  return value.startsWith("LS0tLS1CRUdJT") ? Buffer.from(value, "base64").toString("utf8") : "";
}

function expiryOf(text: string): Date | undefined {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  const certificates = blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
  const [first] = certificates;
  if (first === undefined) {
    return undefined;
  }
  return first.ca
    ? new Date(Math.max(...certificates.map(({ validToDate }) => validToDate.getTime())))
    : first.validToDate;
}
