import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, run, succeed } from "../executable.ts";
import type { NodeRoot } from "../node-root.ts";
import { base64, configMap, marker, node as nodeObject, objects, pod, secret } from "../objects.ts";
import type { BadInput } from "./bad-input.ts";

/** The pod that is bad; the good one is `web`. Its secret and config map have its own name. */
const metadata = { name: "bad", namespace: "kube-system" };
const bad = (spec: object = {}, more: object = {}) =>
  pod({ metadata: { ...metadata, uid: "0aa35a6e-68f6-4a5a-9d4c-d3d1a3a0c002", ...more }, spec });
const badSecret = (data: object) => ({ ...secret({ data }), metadata });
const badConfigMap = (more: object) => ({ ...configMap(), ...more, metadata });

const container = (more: object) => ({ name: "c", image: "registry.example/c:1", ...more });
const mounting = { volumeMounts: [{ name: "v", mountPath: "/v" }] };
/** A pod with one volume, mounted. */
const withVolume = (source: object) =>
  bad({ containers: [container(mounting)], volumes: [{ name: "v", ...source }] });
const withSecret = (items?: object) =>
  withVolume({ secret: { secretName: "bad", ...(items === undefined ? {} : { items }) } });
const withEnv = (...env: readonly object[]) =>
  bad({ containers: [container({ env })], volumes: [] });
const fromSecret = { valueFrom: { secretKeyRef: { name: "bad", key: "k" } } };

/** The good pod and the bad objects beside it. */
const capturing =
  (...items: readonly object[]) =>
  (node: NodeRoot) => [
    "capture",
    "-v",
    "--node",
    "n1",
    "--from",
    node.objects(...objects(), ...items),
  ];

/** A bad pod is left out of the generation with its code; the good one is in it. */
function leavesOut(number: number, name: string, code: string, ...items: object[]): BadInput {
  return {
    case: number,
    name,
    words: capturing(...items),
    code,
    exit: 0,
    isSaid: true,
    opens: 3,
    after: (node, output) => {
      assert.match(output, new RegExp(`kube-system/bad\\W+${code}`));
      const { stdout } = succeed(["status", "-o", "json", "--root", node.root]);
      const { pods, unprojectable } = JSON.parse(stdout);
      assert.deepEqual([pods.length, unprojectable[0].code], [1, code]);
      const rendering = ["render", "-o", "json", "--node", "n1", "--from", node.objects(...items)];
      const { skipped } = JSON.parse(succeed(rendering).stdout);
      assert.equal(skipped[0].code, code);
    },
  };
}

/** Nothing is captured: what is wrong is wrong with the input as a whole. */
function refuses(number: number, name: string, code: string, ...items: object[]): BadInput {
  return { case: number, name, words: capturing(...items), code, exit: 65 };
}

/** Nothing is wrong, although it looks so. */
function accepts(number: number, name: string, ...items: object[]): BadInput {
  return { case: number, name, words: capturing(...items), code: "", exit: 0, isSaid: true };
}

const badKeys = [
  { number: 48, key: "../../etc/cron.d/x" },
  ...["..", ".", "..data", "..2026_x"].map((key) => ({ number: 49, key })),
  ...["a/b", "a\0b", "a\nb", "k".repeat(254), ""].map((key) => ({ number: 50, key })),
];
const badPaths = ["/etc/passwd", "a/../../b", "a//b", `${"d/".repeat(2048)}f`];
const value = base64(`${marker}-value`);
const deep = `${"[".repeat(10_000)}${"]".repeat(10_000)}`;

export const objectCases: readonly BadInput[] = [
  ...badKeys.map(({ number, key }) =>
    leavesOut(
      number,
      `a secret's key is ${JSON.stringify(key).slice(0, 30)}`,
      "E_PATH_KEY",
      withSecret(),
      badSecret({ [key]: value }),
    ),
  ),
  ...badPaths.map((path) =>
    leavesOut(
      51,
      `an item's path is ${path.slice(0, 20)}`,
      "E_PATH_ITEM",
      withSecret([{ key: "k", path }]),
      badSecret({ k: value }),
    ),
  ),
  ...["a", "a/b"].map((path) =>
    leavesOut(
      52,
      `items go to a and to ${path}`,
      "E_PATH_CONFLICT",
      withSecret([
        { key: "k", path: "a" },
        { key: "l", path },
      ]),
      badSecret({ k: value, l: value }),
    ),
  ),
  ...["a/b", "..", "Upper", "n".repeat(300)].map((name) =>
    refuses(53, `a pod is called ${name.slice(0, 20)}`, "E_NAME", bad({}, { name })),
  ),
  {
    ...accepts(
      54,
      "names collide when joined by a dash",
      pod({ metadata: { name: "b-c", namespace: "a", uid: undefined }, spec: { volumes: [] } }),
      pod({ metadata: { name: "c", namespace: "a-b", uid: undefined }, spec: { volumes: [] } }),
    ),
    words: (node) => {
      const plain = { containers: [container({})], volumes: [] };
      const items = [
        ["a", "b-c"],
        ["a-b", "c"],
      ].map(([namespace, name]) =>
        pod({ metadata: { name, namespace, uid: undefined }, spec: plain }),
      );
      succeed(["capture", "--node", "n1", "--root", node.root, "--from", node.objects(...items)]);
      return ["restore", "--force", "-o", "json"];
    },
    code: "a_b-c.json",
    says: /a-b_c\.json/,
    opens: 3,
  },
  ...["", "not-a-uuid"].map((uid) =>
    refuses(55, `a pod's uid is ${JSON.stringify(uid)}`, "E_UID", bad({}, { uid })),
  ),
  refuses(55, "two pods have one uid", "E_UID", bad({ volumes: [] }, { uid: pod().metadata.uid })),
  leavesOut(
    56,
    "a secret's value is not base64",
    "E_B64",
    withSecret(),
    badSecret({ k: `${marker}!not base64!` }),
  ),
  leavesOut(
    57,
    "a value for the environment is not UTF-8",
    "E_ENV_BYTES",
    withEnv({ name: "A", ...fromSecret }),
    badSecret({ k: base64(Buffer.concat([Buffer.from(marker), Buffer.from([0xff, 0xfe])])) }),
  ),
  leavesOut(
    57,
    "a value for the environment holds a NUL",
    "E_ENV_BYTES",
    withEnv({ name: "A", ...fromSecret }),
    badSecret({ k: base64(`${marker}\0`) }),
  ),
  ...["A=B", ""].map((name) =>
    leavesOut(
      58,
      `a variable is called ${JSON.stringify(name)}`,
      "E_ENV_NAME",
      withEnv({ name, ...fromSecret }),
      badSecret({ k: value }),
    ),
  ),
  leavesOut(
    58,
    "a variable has a value of nearly a megabyte",
    "E_ENV_SIZE",
    withEnv({ name: "A", ...fromSecret }),
    badSecret({ k: base64(marker.repeat(80_000)) }),
  ),
  {
    // The issue is stricter than the catalogue: what is missing at capture stops it, so that somebody notices.
    ...refuses(59, "a secret is missing", "E_REF_MISSING", withSecret()),
    says: /Pod kube-system\/bad spec\.volumes\[0\]\.secret.*no Secret kube-system\/bad/,
  },
  accepts(
    59,
    "an optional secret is missing",
    withVolume({ secret: { secretName: "bad", optional: true } }),
  ),
  {
    ...refuses(
      60,
      "a secret has more than a megabyte",
      "E_TOO_BIG",
      withSecret(),
      badSecret({ k: base64(marker.repeat(100_000)) }),
    ),
    says: /1200000 bytes, at most 1048576/,
  },
  refuses(
    60,
    "a pod has more than 1.5 megabytes",
    "E_TOO_BIG",
    bad({ volumes: [], note: "x".repeat(1_600_000) }),
  ),
  {
    ...refuses(60, "there are more than 100,000 objects", "E_TOO_BIG"),
    words: (node) => {
      const file = node.at("in/many.json");
      const item = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}\n';
      writeFileSync(file, item.repeat(100_001));
      return ["capture", "--node", "n1", "--from", file];
    },
  },
  refuses(
    61,
    "a config map has one key twice",
    "E_DUP_KEY",
    withVolume({ configMap: { name: "bad" } }),
    badConfigMap({ data: { k: "a" }, binaryData: { k: value } }),
  ),
  {
    ...accepts(
      62,
      "a mirror pod is offered",
      bad(
        {},
        {
          annotations: { "kubernetes.io/config.mirror": "x", "blackstart.dev/checkpoint": "true" },
        },
      ),
    ),
    code: "I_STATIC kube-system/bad",
    opens: 3,
  },
  {
    ...accepts(
      63,
      "a copy of ours is offered",
      bad(
        {},
        {
          annotations: {
            "blackstart.dev/checkpoint": "true",
            "blackstart.dev/checkpoint-of": "web",
          },
        },
      ),
    ),
    code: "I_COPY kube-system/bad",
    opens: 3,
  },
  ...[undefined, "1970-01-01 00:00:10"].map((date): BadInput => {
    return {
      case: 64,
      name: `a token has expired, the clock says ${date ?? "so"}`,
      given: () => (date === undefined ? undefined : { before: ["faketime", date] }),
      words: (node) => ["restore", "--force", "--from", tokenCheckpoint(node)],
      code: date === undefined ? "W_TOKEN_EXPIRED" : "W_CLOCK",
      exit: 0,
      isSaid: true,
      says: date === undefined ? /expired at 2026-01-03T03:04:05Z/ : /./,
    };
  }),
  ...[0o10000, -1, "0644"].map((defaultMode) =>
    refuses(
      65,
      `a mode is ${JSON.stringify(defaultMode)}`,
      "E_MODE",
      withVolume({ secret: { secretName: "bad", defaultMode } }),
      badSecret({ k: value }),
    ),
  ),
  accepts(
    65,
    "a mode is 0777",
    withVolume({ secret: { secretName: "bad", defaultMode: 0o777 } }),
    badSecret({ k: value }),
  ),
  ...[2 ** 32, -1].map((fsGroup) =>
    refuses(66, `fsGroup is ${fsGroup}`, "E_ID", bad({ securityContext: { fsGroup } })),
  ),
  ...[
    { csi: { driver: "x" } },
    { ephemeral: { volumeClaimTemplate: { spec: {} } } },
    { tomorrow: {} },
  ].map((source) =>
    leavesOut(
      67,
      `a volume is of the kind ${Object.keys(source)}`,
      "E_UNSUPPORTED_VOLUME",
      withVolume(source),
    ),
  ),
  {
    ...refuses(
      68,
      "our annotation has a value that means nothing",
      "E_ANNOTATION",
      bad({}, { annotations: { "blackstart.dev/checkpoint": '{"path":"/etc/shadow"}' } }),
    ),
    says: /"true" or "false"/,
  },
  accepts(
    68,
    "an annotation of ours is unknown",
    bad(
      { volumes: [], containers: [container({})] },
      {
        annotations: {
          "blackstart.dev/checkpoint": "true",
          "blackstart.dev/tomorrow": '{"path":"/etc/shadow"}',
        },
      },
    ),
  ),
  leavesOut(
    69,
    "annotations have more than 256 KiB",
    "E_ANNOTATION",
    bad(
      { volumes: [], containers: [container({})] },
      { annotations: { "blackstart.dev/checkpoint": "true", x: deep.repeat(14) } },
    ),
  ),
  accepts(
    69,
    "an annotation is JSON of depth 10,000",
    bad(
      { volumes: [], containers: [container({})] },
      { annotations: { "blackstart.dev/checkpoint": "true", x: deep } },
    ),
  ),
  {
    case: 69,
    name: "a document is JSON of depth 10,000",
    words: (node) => {
      writeFileSync(node.at("in/deep.json"), `{"apiVersion":"v1","kind":"Pod","spec":${deep}}`);
      return ["capture", "--from", node.at("in/deep.json")];
    },
    code: "E_PARSE",
    exit: 65,
  },
  {
    ...accepts(
      70,
      "keys and labels are called __proto__ and constructor",
      bad(
        {
          containers: [container(mounting)],
          volumes: [{ name: "v", secret: { secretName: "bad" } }],
        },
        { labels: Object.fromEntries([["__proto__", "x"]]) },
      ),
      badSecret(Object.fromEntries(["__proto__", "constructor"].map((key) => [key, value]))),
    ),
    opens: 3,
    after: (node) => {
      succeed(["restore", "--force", "--root", node.root]);
      for (const key of ["__proto__", "constructor"]) {
        const file = node.at(join("run/blackstart/pods/kube-system_bad/v", key));
        assert.equal(readFileSync(file, "utf8"), `${marker}-value`);
      }
    },
  },
  leavesOut(
    71,
    "a manifest is larger than a kubelet reads",
    "E_TOO_BIG",
    bad({
      volumes: [],
      containers: [
        container({
          envFrom: Array.from({ length: 12 }, (_, at) => ({
            prefix: `P${at}_`,
            configMapRef: { name: "bad" },
          })),
        }),
      ],
    }),
    badConfigMap({
      data: Object.fromEntries(
        Array.from({ length: 9 }, (_, at) => [`k${at}`, "x".repeat(110_000)]),
      ),
    }),
  ),
  ...["/run/blackstart", "/var/lib/blackstart/x"].map((path) =>
    leavesOut(72, `a hostPath is ${path}`, "E_HOSTPATH_SELF", withVolume({ hostPath: { path } })),
  ),
  {
    case: 97,
    name: "the kubelet's version is not known",
    words: (node) => {
      const [one, two, three] = objects();
      const captured = ["capture", "--node", "n1", "--from", node.objects(one, two, three)];
      const result = run([...captured, "--root", node.root]);
      assert.equal(result.status, 0, describe(result));
      return ["restore", "--force"];
    },
    code: "W_KUBELET",
    exit: 0,
    isSaid: true,
    restores: 3,
  },
];

/** An opened checkpoint with a token that is long expired. */
function tokenCheckpoint(node: NodeRoot): string {
  const source = { serviceAccountToken: { path: "token", expirationSeconds: 3600 } };
  const items = [
    bad({
      containers: [container(mounting)],
      volumes: [{ name: "v", projected: { sources: [source] } }],
    }),
    nodeObject(),
  ];
  const document = {
    apiVersion: "blackstart.dev/v1",
    kind: "Checkpoint",
    metadata: { node: "n1", capturedAt: "2026-01-02T03:04:05Z", source: "apiserver" },
    pods: [metadata],
    unprojectable: [],
    tokens: [
      {
        namespace: "kube-system",
        pod: "bad",
        audience: "",
        token: `${marker}-token`,
        expiresAt: "2026-01-03T03:04:05Z",
      },
    ],
    items,
  };
  const file = node.at("in/checkpoint.json");
  writeFileSync(file, JSON.stringify(document));
  return file;
}
