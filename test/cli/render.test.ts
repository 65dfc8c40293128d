import assert from "node:assert/strict";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { assertFails, describe, run, succeed } from "../end-to-end/executable.ts";
import { bareNode } from "../end-to-end/node-root.ts";
import { marker, objects, pod, podLink } from "../end-to-end/objects.ts";
import { entries, modeOf, snapshot } from "../end-to-end/tree.ts";

const test = suite("cli/render");

/** A volume that belongs to a group and has modes of its own. */
const spec = {
  securityContext: { fsGroup: 1234 },
  volumes: [{ name: "secret", secret: { secretName: "web", defaultMode: 0o400 } }],
};

test("-o json is manifests, skipped and warnings, and nothing else", () => {
  using node = bareNode();
  const bad = pod({
    metadata: { name: "bad", uid: undefined },
    spec: {
      containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
      volumes: [{ name: "v", csi: { driver: "x" } }],
    },
  });
  const file = node.objects(...objects(), bad);
  const { stdout, stderr } = succeed(["render", "--from", file, "--node", "n1", "-o", "json"]);
  const data = JSON.parse(stdout);
  assert.deepEqual(Object.keys(data), ["manifests", "skipped", "warnings"]);
  assert.equal(stderr, "");
  const [manifest, ...others] = data.manifests;
  assert.deepEqual(others, []);
  assert.deepEqual([manifest.kind, manifest.metadata.name], ["Pod", "web"]);
  assert.equal(manifest.metadata.annotations["blackstart.dev/checkpoint-of"], "web");
  assert.equal(manifest.metadata.resourceVersion, "1");
  assert.equal(manifest.spec.containers[0].env[0].value, `${marker}-password`);
  const [skip] = data.skipped;
  assert.deepEqual(Object.keys(skip), ["namespace", "name", "code", "message"]);
  assert.deepEqual(
    [skip.namespace, skip.name, skip.code],
    ["kube-system", "bad", "E_UNSUPPORTED_VOLUME"],
  );
  for (const warning of data.warnings) {
    assert.match(warning.code, /^W_/);
    assert.equal(typeof warning.message, "string");
  }
});

test("without --out the manifests are printed, as JSON or YAML, and what is odd is on stderr", () => {
  using node = bareNode();
  const [one, two, three] = objects();
  const words = ["render", "--from", node.objects(one, two, three), "--node", "n1"];
  const text = succeed(words);
  assert.equal(JSON.parse(text.stdout).metadata.name, "web");
  assert.match(text.stderr, /^W_KUBELET: /);
  const yaml = succeed([...words, "-o", "yaml"]);
  assert.match(yaml.stdout, /^manifests:\n {2}- apiVersion: v1\n/);
});

test("--out writes manifests and volumes as if it were /, for their owner alone", () => {
  using node = bareNode();
  const out = node.at("out");
  const file = node.objects(...objects({ spec }));
  const { stdout } = succeed(["render", "--from", file, "--node", "n1", "--out", out]);
  assert.match(stdout, /^1 pod under .*what is there holds secrets\n/);
  const manifestFile = join(out, "run/blackstart/manifests/kube-system_web.json");
  const manifest = JSON.parse(readFileSync(manifestFile, "utf8"));
  const volume = join(out, manifest.spec.volumes[0].hostPath.path);
  assert.equal(readFileSync(join(volume, "key"), "utf8"), `${marker}-key`);
  const modes = ["", "run", "run/blackstart", "run/blackstart/manifests", "run/blackstart/pods"];
  for (const dir of modes) {
    assert.equal(modeOf(join(out, dir)), "0700", dir);
  }
  assert.equal(modeOf(manifestFile), "0600");
  assert.equal(modeOf(join(volume, "..data", "key")), "0440");
  const names = entries(volume).map((path) => path.replace(/\.\.\d{4}_[\d_.]+/, "..TIME"));
  assert.deepEqual(names, ["..TIME", "..TIME/key", "..TIME/password", "..data", "key", "password"]);
  assert.ok(!existsSync(join(out, "etc")), "nothing but /run/blackstart is written");
});

test("--out -o json says as well who could not be given what", () => {
  using node = bareNode();
  chmodSync(node.root, 0o755);
  mkdirSync(node.at("out"));
  chmodSync(node.at("out"), 0o777);
  const file = node.objects(...objects({ spec }));
  const words = ["render", "--from", file, "--node", "n1", "--out", node.at("out"), "-o", "json"];
  const isRoot = process.geteuid?.() === 0;
  const plain = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
  const data = JSON.parse(succeed(words, { before: isRoot ? plain : [] }).stdout);
  assert.deepEqual(Object.keys(data), ["manifests", "skipped", "warnings", "unapplied"]);
  const [first] = data.unapplied;
  assert.deepEqual(Object.keys(first), ["namespace", "name", "path", "uid", "gid"]);
  assert.ok(data.unapplied.every((one: typeof first) => one.gid === 1234 && one.uid === 0));
  assert.equal(first.path, "/run/blackstart/pods/kube-system_web/secret");
  assert.ok(data.warnings.some(({ code }: { code: string }) => code === "W_OWNER"));
  const text = succeed([...words.slice(0, -2)], { before: isRoot ? plain : [] });
  assert.match(text.stdout, /not given to their owners \(not root\):\n.*0:1234/);
});

test("root gives everything to its owner", () => {
  if (process.geteuid?.() !== 0) {
    console.log("SKIPPED owners of rendered volumes: not root");
    return;
  }
  using node = bareNode();
  const out = node.at("out");
  const file = node.objects(...objects({ spec }));
  const words = ["render", "--from", file, "--node", "n1", "--out", out, "-o", "json"];
  assert.deepEqual(JSON.parse(succeed(words).stdout).unapplied, []);
  const volume = join(out, "run/blackstart/pods/kube-system_web/secret");
  assert.equal(lstatSync(join(volume, "..data/key")).gid, 1234);
  assert.equal(modeOf(volume), "3777");
});

test("a second run over the same directory changes nothing, and equal input gives equal output", () => {
  using node = bareNode();
  const words = ["render", "--from", node.objects(...objects()), "--node", "n1"];
  succeed([...words, "--out", node.at("out")]);
  const before = snapshot(node.at("out/run"));
  succeed([...words, "--out", node.at("out")]);
  assert.deepEqual(snapshot(node.at("out/run")), before);
  assert.equal(succeed([...words, "-o", "json"]).stdout, succeed([...words, "-o", "json"]).stdout);
});

test("--select decides over the configuration, and standard input is read", () => {
  using _node = bareNode();
  const plain = pod({ metadata: { name: "plain", annotations: {}, uid: undefined } });
  const optedOut = pod({
    metadata: {
      name: "out",
      uid: undefined,
      annotations: { "blackstart.dev/checkpoint": "false" },
    },
  });
  const input = JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [...objects(), plain, optedOut],
  });
  const names = (...words: readonly string[]) => {
    const line = ["render", "--from", "-", "--node", "n1", "-o", "json", ...words];
    const { manifests } = JSON.parse(succeed(line, { input }).stdout);
    return manifests.map((one: { metadata: { name: string } }) => one.metadata.name).sort();
  };
  assert.deepEqual(names(), ["web"]);
  assert.deepEqual(names("--select", "annotated"), ["web"]);
  assert.deepEqual(names("--select", "all"), ["plain", "web"]);
});

test("an output directory that cannot be made is a failure, and nothing is printed", () => {
  using node = bareNode();
  const file = node.objects(...objects());
  const result = run(["render", "--from", file, "--node", "n1", "--out", join(file, "x")]);
  assert.equal(result.status, 73, describe(result));
  assert.equal(result.stdout, "");
  assertFails(run(["render"]), "E_USAGE", 64);
  assertFails(run(["render", "--from", node.at("none")]), "E_NO_INPUT", 66);
});

test("neither key nor store nor root directory is needed", () => {
  using node = bareNode();
  const file = node.objects(...objects());
  const before = snapshot(node.root);
  succeed(["render", "--from", file, "--node", "n1", "--root", node.at("nothing/here")]);
  assert.deepEqual(snapshot(node.root), before);
  assert.ok(!existsSync(join(node.manifests, podLink)));
});

test.run();
