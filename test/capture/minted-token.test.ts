import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseTokenAnswer, refreshAt, tokenRequestBody } from "../../src/capture/minted-token.ts";
import { rejects } from "../rejects.ts";

const minted = suite("capture/minted-token");

const hour = 3_600_000;
const day = 24 * hour;
const issuedMs = Date.parse("2026-11-22T09:00:00Z");
const stated = "2026-11-22T10:00:07Z";

function jwt(claims: unknown): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256" })}.${part(claims)}.c2lnbmF0dXJl`;
}

for (const [audience, audiences] of [
  ["", []],
  ["vault", ["vault"]],
] as const) {
  minted(`asks for audience ${JSON.stringify(audience)}, bound to the pod`, () => {
    assert.deepEqual(
      JSON.parse(tokenRequestBody({ pod: "p", uid: "u", audience, expirationSeconds: 3607 })),
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: {
          audiences,
          expirationSeconds: 3607,
          boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p", uid: "u" },
        },
      },
    );
  });
}

const answer = (token: unknown, rest: object = {}, spec: object = { expirationSeconds: 3607 }) => ({
  kind: "TokenRequest",
  spec,
  status: { token, expirationTimestamp: stated, ...rest },
});
const iat = issuedMs / 1_000;
const statedMs = Date.parse(stated);

const answers = [
  {
    name: "an extended token lasts as long as it says itself",
    token: jwt({ iat, exp: iat + 31_536_000 }),
    issued: issuedMs,
    expires: issuedMs + 365 * day,
  },
  {
    name: "a token that the apiserver shortened too",
    token: jwt({ iat, exp: iat + 600 }),
    issued: issuedMs,
    expires: issuedMs + 600_000,
  },
  {
    name: "without an expiry of its own the status counts",
    token: jwt({ iat }),
    issued: issuedMs,
    expires: statedMs,
  },
  {
    name: "without a time of issue it is the expiry of the status less what was asked for",
    token: jwt({ exp: iat + 31_536_000 }),
    issued: issuedMs,
    expires: issuedMs + 365 * day,
  },
  ...[
    "opaque",
    "a.b.c",
    "a.b",
    "a.b.c.d",
    `${jwt({ iat: 1, exp: 2 })}.d`,
    `a.${Buffer.from("null").toString("base64url")}.c`,
    `a.${Buffer.from("[1]").toString("base64url")}.c`,
    jwt({ iat: "1", exp: "2" }),
    jwt({ iat: -1, exp: 1e300 }),
    jwt({ iat: null, exp: 253_402_300_800 }),
  ].map((token) => ({
    name: `the status counts for ${token.slice(0, 60)}`,
    token,
    issued: issuedMs,
    expires: statedMs,
  })),
];
for (const { name, token, issued, expires } of answers) {
  minted(name, () => {
    const expected = { token, issuedAt: new Date(issued), expiresAt: new Date(expires) };
    assert.deepEqual(parseTokenAnswer(answer(token)), expected);
  });
}

for (const spec of [{}, { expirationSeconds: 0 }, { expirationSeconds: "600" }]) {
  minted(
    `an opaque token with ${JSON.stringify(spec)} was issued an hour before it expires`,
    () => {
      assert.equal(
        parseTokenAnswer(answer("opaque", {}, spec)).issuedAt.getTime(),
        statedMs - hour,
      );
    },
  );
}

const secret = "eyJzZWNyZXQi";
const wrong: readonly (readonly [string, unknown])[] = [
  ["nothing", undefined],
  ["null", null],
  ["a text", secret],
  ["a list", [secret]],
  ["a Status", { kind: "Status", status: "Failure" }],
  ["no status", { token: secret }],
  ["an empty token", answer("")],
  ["no token", answer(undefined)],
  ["a token that is a list", answer([secret])],
  ["no expiry", answer(secret, { expirationTimestamp: undefined })],
  ["an expiry that is no time", answer(secret, { expirationTimestamp: `${secret} soon` })],
  ["an expiry that is a number", answer(secret, { expirationTimestamp: 1 })],
];
for (const [name, value] of wrong) {
  minted(`refuses ${name}, and shows no token`, async () => {
    const failure = await rejects(() => parseTokenAnswer(value), "E_API_ANSWER");
    assert.ok(!`${failure.message}${failure.stack}${String(failure.cause)}`.includes(secret));
  });
}

const life = (ms: number) => ({
  token: "t",
  issuedAt: new Date(issuedMs),
  expiresAt: new Date(issuedMs + ms),
});
const waits = [
  { name: "10 minutes", lifeMs: 600_000, waitMs: 150_000 },
  { name: "an hour", lifeMs: hour, waitMs: hour / 4 },
  { name: "a day", lifeMs: day, waitMs: day / 4 },
  { name: "4 weeks", lifeMs: 28 * day, waitMs: 7 * day },
  { name: "a year", lifeMs: 365 * day, waitMs: 7 * day },
  { name: "no life", lifeMs: 0, waitMs: 60_000 },
  { name: "less than none", lifeMs: -day, waitMs: 60_000 },
];
for (const { name, lifeMs, waitMs } of waits) {
  minted(
    `a token of ${name} is renewed after ${waitMs / 60_000} minutes or up to a tenth earlier`,
    () => {
      assert.equal(refreshAt(life(lifeMs), 0) - issuedMs, waitMs);
      assert.equal(refreshAt(life(lifeMs), 0.5) - issuedMs, waitMs * 0.95);
      assert.equal(refreshAt(life(lifeMs), 1) - issuedMs, waitMs * 0.9);
      // Another clock than the apiserver's shifts the time and not the wait.
      assert.equal(refreshAt(life(lifeMs), 0, issuedMs + 30 * day) - issuedMs, 30 * day + waitMs);
    },
  );
}

minted("every token that the API gives is renewed well before half its life", () => {
  for (let seconds = 600; seconds < 2 ** 32; seconds = Math.ceil(seconds * 1.1)) {
    const waitMs = refreshAt(life(seconds * 1_000), 0) - issuedMs;
    assert.ok(waitMs <= (seconds * 1_000) / 4, String(seconds));
  }
});

minted.run();
