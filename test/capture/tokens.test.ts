import assert from "node:assert/strict";
import { suite } from "uvu";
import {
  type HeldToken,
  heldFor,
  type TokenWanted,
  tokensDue,
  tokensWanted,
} from "../../src/capture/tokens.ts";
import type { Pod } from "../../src/model/kubernetes.ts";
import { type Fields, makePod } from "./made.ts";

const tokens = suite("capture/tokens");

const uid = "0d82ee9d-52ab-4d25-8856-d042918bc46b";
const otherUid = "1d82ee9d-52ab-4d25-8856-d042918bc46b";

function tokenPod(sources: readonly object[], spec: Fields = {}, metadata: Fields = { uid }): Pod {
  const mounts = { volumeMounts: [{ name: "v", mountPath: "/v" }] };
  return makePod(
    "p",
    {
      containers: [{ name: "main", image: "i", ...mounts }],
      volumes: [
        {
          name: "v",
          projected: {
            sources: sources.map((one) => ({ serviceAccountToken: { path: "t", ...one } })),
          },
        },
      ],
      ...spec,
    },
    metadata,
  );
}

const asked = (pod: Pod) =>
  tokensWanted([pod]).map(({ audience, expirationSeconds }) => `${audience}=${expirationSeconds}`);

const lifetimes = [
  { name: "the API's own without a time", sources: [{}], expected: ["=3607"] },
  { name: "a null for a time", sources: [{ expirationSeconds: null }], expected: ["=3607"] },
  {
    name: "an hour, as the API fills it in",
    sources: [{ expirationSeconds: 3600 }],
    expected: ["=3607"],
  },
  { name: "between the two", sources: [{ expirationSeconds: 3603 }], expected: ["=3607"] },
  { name: "as injected", sources: [{ expirationSeconds: 3607 }], expected: ["=3607"] },
  { name: "a second longer", sources: [{ expirationSeconds: 3608 }], expected: ["=3608"] },
  {
    name: "a second less than an hour",
    sources: [{ expirationSeconds: 3599 }],
    expected: ["=3599"],
  },
  { name: "the shortest", sources: [{ expirationSeconds: 600 }], expected: ["=600"] },
  { name: "the longest", sources: [{ expirationSeconds: 2 ** 32 }], expected: ["=4294967296"] },
  { name: "an empty audience", sources: [{ audience: "" }], expected: ["=3607"] },
  { name: "another audience without a time", sources: [{ audience: "v" }], expected: ["v=3600"] },
  {
    name: "another audience's hour",
    sources: [{ audience: "v", expirationSeconds: 3607 }],
    expected: ["v=3607"],
  },
  {
    name: "several of one audience",
    sources: [600, 7200, 3600].map((expirationSeconds) => ({ audience: "v", expirationSeconds })),
    expected: ["v=7200"],
  },
  {
    name: "a year against a day",
    sources: [{ expirationSeconds: 86_400 }, {}],
    expected: ["=3607"],
  },
  {
    name: "a year against two",
    sources: [{}, { expirationSeconds: 63_072_000 }],
    expected: ["=63072000"],
  },
  {
    name: "two audiences, in their order",
    sources: [{ audience: "b" }, {}, { audience: "a" }],
    expected: ["b=3600", "=3607", "a=3600"],
  },
];
for (const { name, sources, expected } of lifetimes) {
  tokens(`lifetime to ask for: ${name}`, () =>
    assert.deepEqual(asked(tokenPod(sources)), expected),
  );
}

const init = { name: "init", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] };
const bare = { name: "main", image: "i" };
const who = [
  { name: "a volume that nobody mounts", pod: tokenPod([{}], { containers: [bare] }), count: 0 },
  {
    name: "a volume that only an init container mounts",
    pod: tokenPod([{}], { containers: [bare], initContainers: [init] }),
    count: 1,
  },
  { name: "a pod without a uid", pod: tokenPod([{}], {}, {}), count: 0 },
  { name: "a pod without volumes", pod: makePod("p", {}, { uid }), count: 0 },
  {
    name: "sources of other kinds",
    pod: tokenPod([], {
      volumes: [{ name: "v", projected: { sources: [{ configMap: { name: "c" } }] } }],
    }),
    count: 0,
  },
  {
    name: "a projected volume without sources",
    pod: tokenPod([], { volumes: [{ name: "v", projected: {} }] }),
    count: 0,
  },
];
for (const { name, pod, count } of who) {
  tokens(`${name}: ${count}`, () => assert.equal(tokensWanted([pod]).length, count));
}

const accounts = [
  { spec: {}, expected: "default" },
  { spec: { serviceAccount: "old" }, expected: "old" },
  { spec: { serviceAccountName: "new" }, expected: "new" },
  { spec: { serviceAccountName: "", serviceAccount: "old" }, expected: "old" },
  { spec: { serviceAccountName: "new", serviceAccount: "old" }, expected: "new" },
];
for (const { spec, expected } of accounts) {
  tokens(`the account of ${JSON.stringify(spec)} is ${expected}`, () => {
    const wanted = tokensWanted([tokenPod([{}], spec)]);
    assert.deepEqual(wanted, [
      {
        namespace: "kube-system",
        pod: "p",
        uid,
        serviceAccount: expected,
        audience: "",
        expirationSeconds: 3607,
      },
    ]);
  });
}

const wanted: TokenWanted = {
  namespace: "kube-system",
  pod: "p",
  uid,
  serviceAccount: "robot",
  audience: "",
  expirationSeconds: 3607,
};

const now = new Date("2026-11-22T09:00:00Z");
const held: HeldToken = {
  namespace: "kube-system",
  pod: "p",
  uid,
  audience: "",
  token: "t",
  issuedAt: now,
  expiresAt: now,
  refreshAtMs: now.getTime() + 1,
};

for (const has of [false, true]) {
  for (const sameUid of [false, true]) {
    for (const sameAudience of [false, true]) {
      for (const due of [false, true]) {
        const isHeld = has && sameUid && sameAudience;
        const title = `${has ? "holding" : "not holding"} one, ${sameUid ? "same" : "other"} pod, ${sameAudience ? "same" : "other"} audience, ${due ? "due" : "not due"}`;
        tokens(`${title}: ${isHeld && !due ? "nothing" : "mints"}`, () => {
          const one = {
            ...held,
            uid: sameUid ? uid : otherUid,
            audience: sameAudience ? "" : "vault",
            refreshAtMs: now.getTime() + (due ? 0 : 1),
          };
          const all = has ? [one] : [];
          assert.deepEqual(tokensDue([wanted], all, now), isHeld && !due ? [] : [wanted]);
          assert.deepEqual(heldFor([wanted], all), isHeld ? [one] : []);
        });
      }
    }
  }
}

tokens("of several held the freshest counts", () => {
  const old = { ...held, refreshAtMs: 0 };
  for (const both of [
    [old, held],
    [held, old],
  ]) {
    assert.deepEqual(tokensDue([wanted], both, now), []);
  }
});

tokens.run();
