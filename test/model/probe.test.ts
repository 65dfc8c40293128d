import assert from "node:assert/strict";
import { suite } from "uvu";
import { describeOutcome } from "../../src/model/describe-outcome.ts";
import {
  type Endpoint,
  type Finding,
  type FindingKind,
  isOver,
  mostTelling,
  networkProof,
  networkState,
  type Outcome,
  type ProbeProgress,
  verdictOf,
} from "../../src/model/probe.ts";

const test = suite("model/probe");

const time = {
  subject: '"CN=kube-apiserver"',
  validFrom: new Date("2026-05-01T00:00:00Z"),
  validTo: new Date("2027-05-01T00:00:00Z"),
  now: new Date("1970-01-01T00:00:07Z"),
};

const findings: Readonly<Record<FindingKind, Finding>> = {
  answered: { kind: "answered", status: 401 },
  "no-store": { kind: "no-store", status: 500 },
  "not-yet-valid": { kind: "not-yet-valid", time },
  expired: { kind: "expired", time },
  untrusted: { kind: "untrusted", detail: "self-signed certificate" },
  "half-open": { kind: "half-open", awaited: "TLS" },
  refused: { kind: "refused", detail: "" },
  timeout: { kind: "timeout", detail: "" },
  reset: { kind: "reset", detail: "ECONNRESET" },
  dns: { kind: "dns", detail: "EAI_AGAIN" },
  unreachable: { kind: "unreachable", detail: "ENETUNREACH" },
  "not-tls": { kind: "not-tls", detail: "ERR_SSL_WRONG_VERSION_NUMBER" },
  "not-http": { kind: "not-http", detail: "" },
};
const kinds = Object.values(findings).map(({ kind }) => kind);

function endpoint(own: boolean): Endpoint {
  const host = own ? "127.0.0.1" : "192.0.2.1";
  const origin = own ? "own" : "kubeconfig";
  return {
    url: `https://${host}:6443`,
    host,
    port: 6443,
    prefix: "",
    origin,
    own,
    serverNames: [],
  };
}
const outcome = (kind: FindingKind, own: boolean): Outcome => ({
  ...findings[kind],
  endpoint: endpoint(own),
});

const asking: ProbeProgress = { waitedMs: 40, pending: 0, over: false, network: "up" };
const over: ProbeProgress = { ...asking, waitedMs: 5_000, over: true };

/** The table: what a kind means at once, and when the time is up. */
const expected: Readonly<Record<FindingKind, { now: string; own: string; end: string }>> = {
  answered: { now: "warm", own: "warm", end: "warm" },
  "not-yet-valid": { now: "warm", own: "warm", end: "warm" },
  refused: { now: "cold", own: "cold", end: "cold" },
  unreachable: { now: "wait", own: "cold", end: "cold" },
  "no-store": { now: "wait", own: "wait", end: "cold" },
  expired: { now: "wait", own: "wait", end: "cold" },
  untrusted: { now: "wait", own: "wait", end: "cold" },
  "half-open": { now: "wait", own: "wait", end: "cold" },
  timeout: { now: "wait", own: "wait", end: "cold" },
  reset: { now: "wait", own: "wait", end: "cold" },
  dns: { now: "wait", own: "wait", end: "cold" },
  "not-tls": { now: "wait", own: "wait", end: "cold" },
  "not-http": { now: "wait", own: "wait", end: "cold" },
};

const decide = (outcomes: readonly Outcome[], progress: ProbeProgress): string =>
  verdictOf(outcomes, progress)?.verdict ?? "wait";

for (const kind of kinds) {
  test(`${kind} alone: at once, at an own endpoint, and at the end`, () => {
    assert.equal(decide([outcome(kind, false)], asking), expected[kind].now);
    assert.equal(decide([outcome(kind, true)], asking), expected[kind].own);
    assert.equal(decide([outcome(kind, false)], over), expected[kind].end);
    assert.equal(decide([outcome(kind, true)], over), expected[kind].end);
  });
}

test("every pair of kinds: warm wins, cold needs both, all else waits for the end", () => {
  let pairs = 0;
  for (const [first, second] of kinds.flatMap((a) => kinds.map((b) => [a, b] as const))) {
    for (const [firstOwn, secondOwn] of [
      [true, false],
      [false, true],
      [true, true],
      [false, false],
    ] as const) {
      const outcomes = [outcome(first, firstOwn), outcome(second, secondOwn)];
      const both = [
        expected[first][firstOwn ? "own" : "now"],
        expected[second][secondOwn ? "own" : "now"],
      ];
      const now = both.includes("warm") ? "warm" : both.includes("wait") ? "wait" : "cold";
      assert.equal(decide(outcomes, asking), now, `${first}, ${second}`);
      const end = both.includes("warm") ? "warm" : "cold";
      assert.equal(decide(outcomes, over), end, `${first}, ${second} at the end`);
      const reason = verdictOf(outcomes, over)?.reason ?? "";
      assert.ok(reason.length > 20 && !/undefined|NaN/.test(reason), reason);
      pairs += 1;
    }
  }
  assert.equal(pairs, 13 * 13 * 4);
});

test("refusals are final only when no endpoint is still asked", () => {
  assert.equal(decide([outcome("refused", true)], { ...asking, pending: 1 }), "wait");
  assert.equal(decide([outcome("answered", true)], { ...asking, pending: 1 }), "warm");
});

const reasons = [
  {
    name: "no endpoint at all",
    outcomes: [],
    network: "not-needed",
    says: /no apiserver's endpoint is known/,
  },
  {
    name: "no address",
    outcomes: ["unreachable", "dns"],
    network: "no-address",
    says: /no network address/,
  },
  { name: "no route", outcomes: ["unreachable"], network: "no-route", says: /no route/ },
  { name: "no etcd", outcomes: ["timeout", "no-store"], network: "up", says: /no etcd/ },
  {
    name: "a mixture",
    outcomes: ["timeout", "refused", "refused"],
    network: "up",
    says: /1 timeout, 2 refused/,
  },
  {
    name: "a clock",
    outcomes: ["expired", "not-yet-valid"],
    network: "up",
    says: /clock must be mended/,
  },
] as const;
for (const { name, outcomes, network, says } of reasons) {
  test(`the reason names ${name}`, () => {
    const verdict = verdictOf(
      outcomes.map((kind) => outcome(kind, false)),
      { ...over, network },
    );
    assert.match(verdict?.reason ?? "", says);
  });
}

test("a clock problem carries both times", () => {
  const verdict = verdictOf([outcome("not-yet-valid", false)], asking);
  assert.deepEqual(verdict?.clockSuspect, time);
  assert.equal(verdictOf([outcome("answered", false)], asking)?.clockSuspect, undefined);
});

test("every kind reads differently, on one line", () => {
  const lines = kinds.map((kind) =>
    describeOutcome(outcome(kind, false)).replace(/:6443.*?: /, ": "),
  );
  assert.equal(new Set(lines).size, kinds.length);
  for (const line of lines) {
    assert.ok(!line.includes("\n"));
  }
  assert.match(lines.join("\n"), /not valid yet: .*2026-05-01T00:00:00Z.*1970-01-01T00:00:07Z/);
});

const times = [
  {
    name: "own endpoints: the deadline alone counts",
    network: "not-needed",
    upMs: undefined,
    ends: 5_000,
  },
  {
    name: "a network from the start: the deadline alone counts",
    network: "up",
    upMs: 0,
    ends: 5_000,
  },
  {
    name: "a network after 12 s: the deadline begins there",
    network: "up",
    upMs: 12_000,
    ends: 17_000,
  },
  {
    name: "no network: its own limit counts",
    network: "no-address",
    upMs: undefined,
    ends: 30_000,
  },
  { name: "no route: its own limit counts", network: "no-route", upMs: undefined, ends: 30_000 },
] as const;
for (const { name, network, upMs, ends } of times) {
  test(name, () => {
    const base = { pending: 0, network, networkUpMs: upMs, deadlineMs: 5_000, networkMs: 30_000 };
    assert.equal(isOver({ ...base, elapsedMs: ends - 1 }), false);
    assert.equal(isOver({ ...base, elapsedMs: ends }), true);
  });
}

test("not waiting for a network still gives own endpoints their time", () => {
  const base = {
    network: "no-address",
    networkUpMs: undefined,
    deadlineMs: 5_000,
    networkMs: 0,
  } as const;
  assert.equal(isOver({ ...base, elapsedMs: 10, pending: 1 }), false);
  assert.equal(isOver({ ...base, elapsedMs: 5_000, pending: 1 }), true);
  assert.equal(isOver({ ...base, elapsedMs: 10, pending: 0 }), true);
});

test("of several addresses the most telling stands for the name", () => {
  const best = (...those: FindingKind[]) => mostTelling(those.map((kind) => findings[kind]))?.kind;
  assert.equal(best("unreachable", "refused"), "refused");
  assert.equal(best("refused", "timeout"), "timeout");
  assert.equal(best("timeout", "answered", "refused"), "answered");
  assert.equal(best("untrusted", "no-store"), "no-store");
  assert.equal(best(), undefined);
  for (const kind of kinds) {
    assert.equal(best("dns", kind), kind);
  }
});

test("what another machine did proves a network", () => {
  const [own, other] = [endpoint(true), endpoint(false)];
  const proof = (kind: FindingKind) =>
    networkProof([own, other], new Map([[other, { ...findings[kind], endpoint: other }]]));
  assert.equal(networkProof([own], new Map()), "not-needed");
  assert.equal(networkProof([own, other], new Map()), undefined);
  assert.equal(networkProof([own, other], new Map([[own, outcome("refused", true)]])), undefined);
  for (const kind of kinds) {
    const isSilence = ["unreachable", "dns", "timeout"].includes(kind);
    assert.equal(proof(kind), isSilence ? undefined : "up", kind);
  }
});

test("a name that turned out to be this machine's needs no network", () => {
  const named = endpoint(false);
  const latest = new Map([[named, { ...findings.refused, endpoint: { ...named, own: true } }]]);
  assert.equal(networkProof([named], latest), "not-needed");
});

const facts = [
  { name: "no address", addresses: [], route: true, state: "no-address" },
  { name: "an address and no route", addresses: ["192.0.2.7"], route: false, state: "no-route" },
  { name: "an address and a route", addresses: ["192.0.2.7"], route: true, state: "up" },
];
for (const { name, addresses, route, state } of facts) {
  test(`the network with ${name} is ${state}`, () => {
    const view = { addresses, hasRouteTo: (host: string) => route && host === "192.0.2.1" };
    assert.equal(networkState([endpoint(true), endpoint(false)], new Map(), view), state);
  });
}

test.run();
