import assert from "node:assert/strict";
import { suite } from "uvu";
import { quoteGo } from "../../src/plan/downward.ts";
import { configMap, containerPod, planOf, pod, secret, skipsOf, treeOf } from "./plan-of.ts";

const tree = suite("plan/tree");

const mount = { name: "v", mountPath: "/v" };
type Fields = Readonly<Record<string, unknown>>;
const podWith = (volume: Fields, spec: Fields = {}, mounts: readonly Fields[] = [mount]) =>
  containerPod(
    { volumeMounts: mounts },
    {
      volumes: [
        { name: "v", ...volume },
        { name: "e", emptyDir: {} },
      ],
      ...spec,
    },
  );
const token = {
  namespace: "prod",
  pod: "web",
  audience: "",
  token: "jwt",
  expiresAt: "2027-11-22T09:00:00Z",
};

const cases = [
  {
    name: "a whole secret: a sticky tmpfs root, root's files, links",
    volume: { secret: { secretName: "s", defaultMode: 0o400 } },
    tree: [
      "./ 1777 0:0",
      "..t/ 755 0:0",
      "..t/a 400 0:0 1",
      "..t/b 400 0:0 2",
      "..data -> ..t 0:0",
      "a -> ..data/a 0:0",
      "b -> ..data/b 0:0",
    ],
  },
  {
    name: "a configMap's root is an ordinary directory, binaryData is a file like any other",
    volume: { configMap: { name: "c" } },
    tree: [
      "./ 777 0:0",
      "..t/ 755 0:0",
      "..t/bin 644 0:0 \0",
      "..t/k 644 0:0 v",
      "..data -> ..t 0:0",
      "bin -> ..data/bin 0:0",
      "k -> ..data/k 0:0",
    ],
  },
  {
    name: "items: nested paths share their first directory's link, the item's mode wins",
    volume: {
      secret: {
        secretName: "s",
        items: [
          { key: "a", path: "x/y/one", mode: 0o440 },
          { key: "b", path: "x/two" },
        ],
      },
    },
    tree: [
      "./ 1777 0:0",
      "..t/ 755 0:0",
      "..t/x/ 755 0:0",
      "..t/x/y/ 755 0:0",
      "..t/x/two 644 0:0 2",
      "..t/x/y/one 440 0:0 1",
      "..data -> ..t 0:0",
      "x -> ..data/x 0:0",
    ],
  },
  {
    name: "fsGroup: setgid directories, group-readable files, links with the directory's group",
    volume: { secret: { secretName: "s", defaultMode: 0o400, items: [{ key: "a", path: "d/a" }] } },
    spec: { securityContext: { fsGroup: 1000 } },
    tree: [
      "./ 3777 0:1000",
      "..t/ 2755 0:1000",
      "..t/d/ 2755 0:1000",
      "..t/d/a 440 0:1000 1",
      "..data -> ..t 0:1000",
      "d -> ..data/d 0:1000",
    ],
  },
  {
    name: "a missing optional object is an empty volume",
    volume: { secret: { secretName: "gone", optional: true } },
    tree: ["./ 1777 0:0", "..t/ 755 0:0", "..data -> ..t 0:0"],
  },
  {
    name: "a missing optional key is no file",
    volume: {
      configMap: {
        name: "c",
        optional: true,
        items: [
          { key: "gone", path: "g" },
          { key: "k", path: "k" },
        ],
      },
    },
    tree: [
      "./ 777 0:0",
      "..t/ 755 0:0",
      "..t/k 644 0:0 v",
      "..data -> ..t 0:0",
      "k -> ..data/k 0:0",
    ],
  },
  {
    name: "projected: the later source wins a path",
    volume: {
      projected: {
        defaultMode: 0o400,
        sources: [
          { secret: { name: "s", items: [{ key: "a", path: "f" }] } },
          { configMap: { name: "c", items: [{ key: "k", path: "f", mode: 0o644 }] } },
        ],
      },
    },
    tree: [
      "./ 1777 0:0",
      "..t/ 755 0:0",
      "..t/f 644 0:0 v",
      "..data -> ..t 0:0",
      "f -> ..data/f 0:0",
    ],
  },
  {
    name: "a token is 0644 where nobody is named",
    volume: { projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
    tree: [
      "./ 1777 0:0",
      "..t/ 755 0:0",
      "..t/token 644 0:0 jwt",
      "..data -> ..t 0:0",
      "token -> ..data/token 0:0",
    ],
  },
  {
    name: "a token belongs to the user that all containers share",
    volume: { projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
    spec: { securityContext: { runAsUser: 1001 } },
    tree: [
      "./ 1777 0:0",
      "..t/ 755 0:0",
      "..t/token 600 1001:0 jwt",
      "..data -> ..t 0:0",
      "token -> ..data/token 1001:0",
    ],
  },
  {
    name: "a token of a pod with an fsGroup is 0640",
    volume: { projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
    spec: { securityContext: { fsGroup: 7 } },
    tree: [
      "./ 3777 0:7",
      "..t/ 2755 0:7",
      "..t/token 640 0:7 jwt",
      "..data -> ..t 0:7",
      "token -> ..data/token 0:7",
    ],
  },
  {
    name: "1.37: a file's user, the item's before the volume's, owns file and link",
    volume: {
      secret: {
        secretName: "s",
        defaultUser: 5,
        items: [
          { key: "a", path: "a", user: 6 },
          { key: "b", path: "b" },
        ],
      },
    },
    tree: [
      "./ 1777 0:0",
      "..t/ 755 0:0",
      "..t/a 644 6:0 1",
      "..t/b 644 5:0 2",
      "..data -> ..t 0:0",
      "a -> ..data/a 6:0",
      "b -> ..data/b 5:0",
    ],
  },
  {
    name: "mount points beneath the volume are made in it, the inner of two nested ones by the outer",
    volume: { configMap: { name: "c" } },
    mounts: [
      { name: "v", mountPath: "/v/" },
      { name: "e", mountPath: "/v/in/deep" },
      { name: "e", mountPath: "/v/in/deep/er" },
      { name: "e", mountPath: "/v-not" },
    ],
    tree: [
      "./ 777 0:0",
      "in/ 755 0:0",
      "in/deep/ 755 0:0",
      "..t/ 755 0:0",
      "..t/bin 644 0:0 \0",
      "..t/k 644 0:0 v",
      "..data -> ..t 0:0",
      "bin -> ..data/bin 0:0",
      "k -> ..data/k 0:0",
    ],
  },
  {
    name: "a mount point that has a key's name keeps the link away",
    volume: { configMap: { name: "c", items: [{ key: "k", path: "k/file" }] } },
    mounts: [mount, { name: "e", mountPath: "/v/k" }],
    tree: [
      "./ 777 0:0",
      "k/ 755 0:0",
      "..t/ 755 0:0",
      "..t/k/ 755 0:0",
      "..t/k/file 644 0:0 v",
      "..data -> ..t 0:0",
    ],
  },
  {
    name: "downward: the parent's own labels, quoted as Go does, and its requests",
    volume: {
      downwardAPI: {
        items: [
          { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
          {
            path: "cpu",
            resourceFieldRef: { containerName: "main", resource: "limits.cpu", divisor: "1m" },
          },
        ],
      },
    },
    tree: [
      "./ 1777 0:0",
      "..t/ 755 0:0",
      "..t/cpu 644 0:0 2000",
      '..t/labels 644 0:0 a="1"\nb="2"',
      "..data -> ..t 0:0",
      "cpu -> ..data/cpu 0:0",
      "labels -> ..data/labels 0:0",
    ],
  },
];

for (const { name, volume, tree: expected, ...rest } of cases) {
  tree(name, () => {
    const made = podWith(
      volume,
      "spec" in rest ? rest.spec : {},
      "mounts" in rest ? rest.mounts : [mount],
    );
    const labelled = { ...made, metadata: { ...made.metadata, labels: { b: "2", a: "1" } } };
    const plan = planOf(
      [labelled, secret("s", { b: "2", a: "1" }), configMap("c", { k: "v" }, { bin: "AA==" })],
      { tokens: [token] },
    );
    assert.deepEqual(plan.skipped, []);
    assert.deepEqual(treeOf(plan), expected);
  });
}

tree("two containers with different users leave a token to root", () => {
  const made = pod({
    containers: [
      { name: "one", image: "a:1", volumeMounts: [mount], securityContext: { runAsUser: 1 } },
      { name: "two", image: "a:1", securityContext: { runAsUser: 2 } },
    ],
    volumes: [{ name: "v", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }],
  });
  assert.ok(treeOf(planOf([made], { tokens: [token] })).includes("..t/token 644 0:0 jwt"));
});

tree("a token that no object holds leaves its file out and says so", () => {
  const plan = planOf(
    [
      podWith({
        projected: { sources: [{ serviceAccountToken: { path: "token", audience: "vault" } }] },
      }),
    ],
    { tokens: [token] },
  );
  assert.deepEqual(treeOf(plan), ["./ 1777 0:0", "..t/ 755 0:0", "..data -> ..t 0:0"]);
  assert.deepEqual(
    plan.warnings.map(({ code }) => code),
    ["W_TOKEN_MISSING"],
  );
});

tree("the reason why a token could not be minted is said, of this pod and audience only", () => {
  const made = podWith({
    projected: { sources: [{ serviceAccountToken: { path: "token", audience: "vault" } }] },
  });
  const unminted = { namespace: "prod", pod: "web", audience: "vault", message: "not allowed" };
  const said = (...recorded: readonly object[]) =>
    planOf([made], { unminted: recorded.map((one) => ({ ...one })) }).warnings[0]?.message ?? "";
  assert.match(said(unminted), /for audience vault: not allowed$/);
  const others = [{ namespace: "x" }, { pod: "x" }, { audience: "" }];
  assert.match(said(...others.map((other) => ({ ...unminted, ...other }))), /audience vault$/);
});

tree("case 64: an expired token is written and its age said, unless the clock is bad", () => {
  const made = podWith({ projected: { sources: [{ serviceAccountToken: { path: "token" } }] } });
  const old = { ...token, expiresAt: "2026-11-01T00:00:00Z" };
  assert.deepEqual(
    planOf([made], { tokens: [old] }).warnings.map(({ code }) => code),
    ["W_TOKEN_EXPIRED"],
  );
  assert.deepEqual(planOf([made], { tokens: [old], now: undefined }).warnings, []);
});

tree("the timestamped directory is named by the time of the capture", () => {
  const plan = planOf([podWith({ secret: { secretName: "s" } }), secret("s", { k: "1" })]);
  assert.equal(plan.pods[0]?.volumes[0]?.entries[1]?.path, "..2026_11_22_08_25_00.000000000");
});

const encodings = [
  { text: "aGk=", bytes: "hi" },
  { text: "aG\r\nk=\n", bytes: "hi" },
  { text: "", bytes: "" },
  { text: "aGl=", bytes: "hi" }, // bits after the end do not matter to Go either
  { text: "aGk", bytes: undefined },
  { text: "a-_=", bytes: undefined },
  { text: "aG k", bytes: undefined },
  { text: "a=Gk", bytes: undefined },
  { text: "aGk=aGk=", bytes: undefined },
  { text: "====", bytes: undefined },
  { text: "aGké", bytes: undefined },
];
for (const { text, bytes } of encodings) {
  tree(
    `base64 ${JSON.stringify(text)} is ${bytes === undefined ? "refused" : "read"} as Go does`,
    () => {
      const plan = planOf([
        podWith({ secret: { secretName: "s" } }),
        { ...secret("s", {}), data: { k: text } },
      ]);
      assert.deepEqual(skipsOf(plan), bytes === undefined ? ["E_B64"] : []);
      assert.equal(treeOf(plan).includes(`..t/k 644 0:0 ${bytes}`), bytes !== undefined);
    },
  );
}

const refusals = [
  {
    name: "case 48: a key that climbs",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { "../../etc/cron.d/x": "" },
  },
  {
    name: "case 49: ..data",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { "..data": "" },
  },
  {
    name: "case 49: .",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { ".": "" },
  },
  {
    name: "case 49: ..",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { "..": "" },
  },
  {
    name: "case 49: ..2026_x",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { "..2026_x": "" },
  },
  {
    name: "case 50: a slash",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { "a/b": "" },
  },
  {
    name: "case 50: a NUL",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { "a\0": "" },
  },
  {
    name: "case 50: a line end",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { "a\n": "" },
  },
  {
    name: "case 50: 254 characters",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { ["a".repeat(254)]: "" },
  },
  {
    name: "case 50: nothing",
    code: "E_PATH_KEY",
    volume: { secret: { secretName: "evil" } },
    data: { "": "" },
  },
  ...[
    "/abs",
    "a/../../b",
    "a//b",
    "",
    "..",
    "..x",
    ".",
    `a${"/b".repeat(2048)}x`,
    "a".repeat(256),
    "a\0b",
  ].map((path) => ({
    name: `case 51: item path ${JSON.stringify(path).slice(0, 20)}`,
    code: "E_PATH_ITEM",
    volume: { secret: { secretName: "evil", items: [{ key: "k", path }] } },
    data: { k: "" },
  })),
  {
    name: "case 52: one path twice",
    code: "E_PATH_CONFLICT",
    volume: {
      secret: {
        secretName: "evil",
        items: [
          { key: "k", path: "a" },
          { key: "k", path: "a" },
        ],
      },
    },
    data: { k: "" },
  },
  {
    name: "case 52: a path beneath another",
    code: "E_PATH_CONFLICT",
    volume: {
      secret: {
        secretName: "evil",
        items: [
          { key: "k", path: "a" },
          { key: "k", path: "a/b" },
        ],
      },
    },
    data: { k: "" },
  },
  {
    name: "case 59: a missing key of items",
    code: "E_REF_MISSING",
    volume: { secret: { secretName: "evil", items: [{ key: "gone", path: "a" }] } },
    data: { k: "" },
  },
  {
    name: "case 59: a missing object",
    code: "E_REF_MISSING",
    volume: { configMap: { name: "gone" } },
    data: {},
  },
  {
    name: "a trust bundle",
    code: "E_UNSUPPORTED_VOLUME",
    volume: { projected: { sources: [{ clusterTrustBundle: { name: "b", path: "p" } }] } },
    data: {},
  },
  {
    name: "a pod certificate",
    code: "E_UNSUPPORTED_VOLUME",
    volume: { projected: { sources: [{ podCertificate: { keyPath: "k" } }] } },
    data: {},
  },
  {
    name: "a source of tomorrow",
    code: "E_UNSUPPORTED_VOLUME",
    volume: { projected: { sources: [{ oracle: {} }] } },
    data: {},
  },
];
for (const { name, code, volume, data } of refusals) {
  tree(`${name} leaves the pod out`, () => {
    assert.deepEqual(skipsOf(planOf([podWith(volume), secret("evil", data)])), [code]);
  });
}

tree("case 61: a ConfigMap with one key in data and binaryData leaves the pod out", () => {
  assert.deepEqual(
    skipsOf(planOf([podWith({ configMap: { name: "c" } }), configMap("c", { k: "" }, { k: "" })])),
    ["E_DUP_KEY"],
  );
});

tree("case 70: __proto__ and constructor are keys like any other", () => {
  const odd = JSON.parse('{"__proto__":"MQ==","constructor":"Mg=="}');
  const plan = planOf([
    podWith({ secret: { secretName: "s" } }),
    { ...secret("s", {}), data: odd },
  ]);
  assert.ok(
    treeOf(plan).includes("..t/__proto__ 644 0:0 1") &&
      treeOf(plan).includes("..t/constructor 644 0:0 2"),
  );
});

const quotes = [
  ['a"b\\c', '"a\\"b\\\\c"'],
  ["tab\tline\nbell\u0007", '"tab\\tline\\nbell\\a"'],
  ["\u0001\u007f", '"\\x01\\x7f"'],
  ["é 漢 🚀", '"é 漢 🚀"'],
  ["\u00a0\u200b\ue000", '"\\u00a0\\u200b\\ue000"'],
] as const;
for (const [text, quoted] of quotes) {
  tree(`Go quotes ${JSON.stringify(text)} as ${quoted}`, () => {
    assert.equal(quoteGo(text), quoted);
  });
}

tree.run();
