import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import { cleanEnvironment } from "../../scripts/install.mjs";
import { assertFails, blackstart, describe, run, succeed } from "../end-to-end/executable.ts";
import { bareNode, capture, type NodeRoot, nodeWithStore } from "../end-to-end/node-root.ts";
import { marker, objects, pod, secret } from "../end-to-end/objects.ts";
import { modeOf, snapshot } from "../end-to-end/tree.ts";

const test = suite("cli/capture");

const generations = ({ store }: NodeRoot) =>
  readdirSync(store)
    .filter((name) => name.startsWith("gen-"))
    .map((name) => Number(name.slice("gen-".length, -".jwe".length)));

test("-o json tells the generation, what is in it and what was left out", () => {
  using node = nodeWithStore();
  const job = pod({
    metadata: {
      name: "job",
      uid: undefined,
      ownerReferences: [{ kind: "Job", name: "j", controller: true }],
    },
  });
  const bad = pod({
    metadata: { name: "bad", uid: undefined },
    spec: {
      containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
      volumes: [{ name: "v", csi: { driver: "x" } }],
    },
  });
  const words = ["capture", "--root", node.root, "--node", "n1", "-o", "json", "--from"];
  const { stdout } = succeed([...words, node.objects(...objects(), job, bad)]);
  const { sizeBytes, capturedAt, warnings, ...data } = JSON.parse(stdout);
  const code = "E_UNSUPPORTED_VOLUME";
  assert.deepEqual(data, {
    generation: 3,
    file: node.generation(3),
    changed: true,
    blessed: false,
    node: "n1",
    recipients: 0,
    objects: 4,
    tokens: 0,
    unminted: [],
    pods: [{ namespace: "kube-system", name: "web" }],
    unprojectable: [
      { namespace: "kube-system", name: "bad", code, message: data.unprojectable[0].message },
    ],
    ignored: [
      { namespace: "kube-system", name: "job", code: "I_JOB", message: data.ignored[0].message },
    ],
  });
  assert.ok(sizeBytes > 0 && Date.parse(capturedAt) > 0 && Array.isArray(warnings));
  assert.equal(modeOf(node.generation(3)), "0600");
  assert.equal(modeOf(node.store), "0700");
});

test("a secret that nobody refers to does not come along", () => {
  using node = nodeWithStore();
  const stranger = secret({ metadata: { name: "stranger", namespace: "kube-system" } });
  const { stdout } = capture(node, ...objects(), stranger);
  assert.match(stdout, /^generation 3 of node n1: 1 pod, 4 objects\n/);
});

const refusals: readonly { name: string; items: readonly object[]; code: string; exit: number }[] =
  [
    { name: "no pod is selected", items: objects().slice(1), code: "E_NOT_SELECTED", exit: 65 },
    {
      name: "a reference leads nowhere",
      items: objects().slice(0, 1),
      code: "E_REF_MISSING",
      exit: 65,
    },
    {
      name: "no pod can be projected",
      items: objects({ spec: { volumes: [{ name: "secret", csi: { driver: "x" } }] } }),
      code: "E_SUSPICIOUS_EMPTY",
      exit: 65,
    },
    {
      name: "the objects are of no kind that a checkpoint holds",
      items: [],
      code: "E_NO_INPUT",
      exit: 66,
    },
  ];

for (const { name, items, code, exit } of refusals) {
  test(`when ${name} it is ${code}, and the store stays as it was`, () => {
    using node = nodeWithStore();
    const words = [
      "capture",
      "--root",
      node.root,
      "--node",
      "n1",
      "--from",
      node.objects(...items),
    ];
    const before = snapshot(node.store);
    assertFails(run(words), code, exit);
    assert.deepEqual(snapshot(node.store), before);
  });
}

test("without a key nothing is read and no store is made", () => {
  using node = bareNode();
  const words = ["capture", "--root", node.root, "--from", node.objects(...objects())];
  assertFails(run(words), "E_NO_KEY", 78);
  assert.deepEqual(readdirSync(node.at("var/lib")), []);
});

test("as many generations stay as the configuration says", () => {
  using node = nodeWithStore();
  writeFileSync(node.at("etc/blackstart/config.yaml"), "retention: {generations: 2}\n");
  for (const level of ["3", "4", "5"]) {
    capture(node, ...objects({ level }));
  }
  assert.deepEqual(generations(node), [4, 5]);
});

test("YAML is read as JSON is, from files, directories and standard input", () => {
  using node = nodeWithStore();
  const yaml = objects()
    .map((object) => JSON.stringify(object))
    .join("\n---\n# next\n");
  mkdirSync(node.at("yaml"));
  writeFileSync(node.at("yaml/objects.yaml"), yaml);
  const words = ["capture", "--root", node.root, "--node", "n1", "--from"];
  assert.match(succeed([...words, node.at("yaml")]).stdout, /^generation 3 .*1 pod, 4 objects/);
  assert.match(succeed([...words, "-"], { input: yaml }).stdout, /^generation 4 .*4 objects/);
  const block = `apiVersion: v1
kind: Pod
metadata:
  name: plain
  namespace: kube-system
  annotations:
    blackstart.dev/checkpoint: "true"
spec:
  nodeName: n1
  containers:
  - {name: c, image: registry.example/c:1}
`;
  assert.match(succeed([...words, "-"], { input: block }).stdout, /kube-system\/plain/);
});

test("break-glass keys of the configuration are sealed for, and a missing one is an error", () => {
  using node = nodeWithStore();
  const config = "recipients: [/etc/blackstart/break-glass.pub.jwk]\n";
  writeFileSync(node.at("etc/blackstart/config.yaml"), config);
  const words = [
    "capture",
    "--root",
    node.root,
    "--node",
    "n1",
    "--from",
    node.objects(...objects()),
  ];
  const missing = run(words);
  assertFails(missing, "E_RECIPIENT", 78);
  assert.match(missing.stderr, /break-glass\.pub\.jwk\): no such file/);
  const jwk = {
    kty: "EC",
    crv: "P-256",
    alg: "ECDH-ES+A256KW",
    x: "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis",
    y: "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE",
  };
  writeFileSync(node.at("etc/blackstart/break-glass.pub.jwk"), JSON.stringify(jwk));
  assert.match(succeed(words).stdout, /sealed for the node's key, and 1 break-glass key: /);
  assert.deepEqual(generations(node), [1, 2, 3]);
});

test("of many captures at once each commits a generation of its own or says E_LOCKED", async () => {
  using node = nodeWithStore();
  writeFileSync(node.at("etc/blackstart/config.yaml"), "retention: {generations: 10}\n");
  const file = node.objects(...objects());
  const words = ["capture", "--root", node.root, "--node", "n1", "--from", file];
  const statuses = await Promise.all(
    Array.from(
      { length: 4 },
      () =>
        new Promise<number | null>((resolve) => {
          const child = spawn(blackstart, words, { env: cleanEnvironment(), stdio: "ignore" });
          child.on("close", resolve);
        }),
    ),
  );
  const good = statuses.filter((status) => status === 0);
  assert.ok(good.length > 0 && statuses.every((status) => status === 0 || status === 75));
  assert.deepEqual(
    generations(node),
    Array.from({ length: 2 + good.length }, (_, at) => at + 1),
  );
  const verified = run(["verify", "--root", node.root]);
  assert.equal(verified.status, 0, describe(verified));
  assert.ok(!verified.stdout.includes(marker));
});

test.run();
