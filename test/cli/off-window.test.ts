import assert from "node:assert/strict";
import { suite } from "uvu";
import { buildCheckpoint } from "../../src/capture/build.ts";
import {
  certificateExpiry,
  describeExpiry,
  firstExpiry,
  warnOfExpired,
} from "../../src/cli/off-window.ts";
import type { ServiceAccountToken } from "../../src/model/checkpoint.ts";
import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import { inDays, makeCertificate } from "../kube/certificates.ts";

const offWindow = suite("cli/off-window");

const certificate = (days: number, ca = false) =>
  makeCertificate({ name: `c${days}`, ca, from: inDays(-10_000), to: inDays(days) }).certPem;

function holder(kind: "Secret" | "ConfigMap", name: string, text: string): KubernetesObject {
  const value = kind === "Secret" ? Buffer.from(text).toString("base64") : text;
  return { kind, metadata: { name, namespace: "kube-system" }, data: { "tls.crt": value } };
}

const token = (days: number): ServiceAccountToken => ({
  namespace: "kube-system",
  pod: "proxy",
  audience: "",
  token: "secret",
  expiresAt: inDays(days).toISOString(),
});

const checkpoint = (
  items: readonly KubernetesObject[],
  tokens: readonly ServiceAccountToken[] = [],
) => ({
  ...buildCheckpoint({
    node: "n1",
    capturedAt: new Date(),
    selected: [],
    objects: items,
    unprojectable: [],
    tokens,
  }),
});

const cases: readonly {
  readonly name: string;
  readonly items?: readonly KubernetesObject[];
  readonly tokens?: readonly ServiceAccountToken[];
  readonly what: string | undefined;
}[] = [
  { name: "nothing stored that expires leaves it open", what: undefined },
  {
    name: "a token that expires first is named",
    items: [holder("Secret", "etcd-tls", certificate(100))],
    tokens: [token(50)],
    what: "the token of pod kube-system/proxy",
  },
  {
    name: "a certificate that expires first is named by key and object",
    items: [holder("Secret", "etcd-tls", certificate(20))],
    tokens: [token(50)],
    what: "the certificate tls.crt of Secret kube-system/etcd-tls",
  },
  {
    name: "of a chain the leaf counts",
    items: [holder("Secret", "etcd-tls", certificate(30) + certificate(10, true))],
    tokens: [token(20)],
    what: "the token of pod kube-system/proxy",
  },
  {
    name: "of a bundle of authorities the last one to expire counts",
    items: [holder("ConfigMap", "ca", certificate(1, true) + certificate(90, true))],
    tokens: [token(50)],
    what: "the token of pod kube-system/proxy",
  },
  {
    name: "what only looks like a certificate is passed over",
    items: [
      holder("Secret", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ],
    what: undefined,
  },
];

for (const { name, items = [], tokens, what } of cases) {
  offWindow(name, () => {
    assert.equal(firstExpiry(checkpoint(items, tokens))?.what, what);
  });
}

offWindow("the kubelet's own certificate counts as well", () => {
  const others = certificateExpiry("the kubelet's client certificate", certificate(5));
  const first = firstExpiry(checkpoint([], [token(50)]), others);
  assert.equal(first?.what, "the kubelet's client certificate");
});

offWindow("it is told with its date, the time left and what expires", () => {
  const now = new Date("2026-11-25T12:00:00Z");
  const expiresAt = new Date("2027-11-23T12:00:00Z");
  assert.equal(
    describeExpiry({ what: "the token of pod a/b", expiresAt }, now),
    "until 2027-11-23, 363 days, when the token of pod a/b expires",
  );
  assert.equal(
    describeExpiry(
      { what: "the token of pod a/b", expiresAt: new Date(now.getTime() - 60_000) },
      now,
    ),
    "none: the token of pod a/b expired 1 min ago",
  );
});

const expiredCases = [
  { name: "nothing that has expired warns of nothing", stored: [10], kubelet: 10, says: [] },
  {
    name: "the kubelet's expired certificate is told with what follows, and with the clock",
    stored: [10],
    kubelet: -3,
    says: [/^the kubelet's client certificate expired 3 days ago: .*Set the clock if 20.*, else /],
  },
  {
    name: "of the checkpoint's the first three are named, the earliest first, the rest counted",
    stored: [-2, -5, -4, -3, 10],
    kubelet: undefined,
    says: [
      /^4 certificates in the checkpoint have expired, the first 5 days ago: tls\.crt of Secret kube-system\/s1, .*s2, .*s3 and 1 more\. .*Set the clock if 20.*, else renew them$/,
    ],
  },
  {
    name: "one alone",
    stored: [-2],
    kubelet: undefined,
    says: [/^1 certificate in the checkpoint has expired, .* of Secret kube-system\/s0\. /],
  },
];

for (const { name, stored, kubelet, says } of expiredCases) {
  offWindow(name, () => {
    const items = stored.map((days, at) => holder("Secret", `s${at}`, certificate(days)));
    const pem = kubelet === undefined ? undefined : certificate(kubelet);
    const warnings = warnOfExpired(checkpoint(items, [token(-9)]), pem, new Date());
    assert.deepEqual(
      warnings.map(({ code }) => code),
      says.map(() => "W_EXPIRED"),
    );
    warnings.forEach(({ message }, at) => {
      assert.match(message, says[at] ?? /^$/);
    });
  });
}

offWindow.run();
