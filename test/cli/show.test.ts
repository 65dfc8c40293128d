import assert from "node:assert/strict";
import { suite } from "uvu";
import { assertFails, describe, run, succeed } from "../end-to-end/executable.ts";
import { capture, nodeWithStore } from "../end-to-end/node-root.ts";
import { base64, marker, objects, pod } from "../end-to-end/objects.ts";

const test = suite("cli/show");

/** A secret value in each form in which it could be told. */
const forms = (value: string) => [value, base64(value), encodeURIComponent(value)];

for (const format of ["text", "json", "yaml"]) {
  test(`-o ${format} tells the pod, its volumes and its manifest, and no secret`, () => {
    using node = nodeWithStore();
    const words = ["show", "kube-system/web", "-o", format, "--root", node.root];
    const { stdout, stderr } = succeed(words);
    assert.equal(stderr, "");
    assert.match(stdout, /registry\.example\/web:1/);
    assert.match(stdout, /\/run\/blackstart\/pods\/kube-system_web\/secret/);
    assert.match(stdout, /\(hidden, --reveal shows it\)/);
    assert.match(stdout, /LEVEL/);
    for (const form of [marker, ...forms(`${marker}-password`), ...forms(`${marker}-key`)]) {
      assert.ok(!stdout.includes(form), form);
    }
    const revealed = succeed([...words, "--reveal"]).stdout;
    assert.ok(revealed.includes(`${marker}-password`));
  });
}

test("-o json is generation, time, pod, manifest, volumes, images, skipped and warnings", () => {
  using node = nodeWithStore();
  const { stdout } = succeed(["show", "web", "-o", "json", "--root", node.root]);
  const data = JSON.parse(stdout);
  assert.deepEqual(Object.keys(data), [
    "generation",
    "capturedAt",
    "pod",
    "manifest",
    "volumes",
    "images",
    "skipped",
    "warnings",
  ]);
  assert.deepEqual([data.generation, data.pod.metadata.name], [2, "web"]);
  const [{ name, dir, entries }] = data.volumes;
  assert.deepEqual([name, dir], ["secret", "/run/blackstart/pods/kube-system_web/secret"]);
  assert.ok(entries.every((entry: object) => !("bytes" in entry)));
});

test("--generation shows an older one, and a name must mean one pod", () => {
  using node = nodeWithStore();
  const level = (generation: string) => {
    const words = ["show", "web", "--generation", generation, "-o", "json", "--root", node.root];
    return JSON.parse(succeed(words).stdout).manifest.spec.containers[0].env[1].value;
  };
  assert.deepEqual([level("1"), level("2")], ["old", "new"]);

  const plain = { containers: [{ name: "c", image: "i" }], volumes: [] };
  const twin = pod({ metadata: { namespace: "other", uid: undefined }, spec: plain });
  capture(node, ...objects(), twin);
  const ambiguous = run(["show", "web", "--root", node.root]);
  assertFails(ambiguous, "E_NO_POD", 66);
  assert.match(ambiguous.stderr, /kube-system\/web, other\/web/);
  assert.match(succeed(["show", "other/web", "--root", node.root]).stdout, /^other\/web of gen/);
  const unknown = run(["show", "nothing", "--root", node.root]);
  assertFails(unknown, "E_NO_POD", 66);
  assertFails(
    run(["show", "web", "--generation", "9", "--root", node.root]),
    "E_NO_CHECKPOINT",
    66,
  );
});

test("a pod that cannot be projected is shown with its reason", () => {
  using node = nodeWithStore();
  const bad = pod({
    metadata: { name: "bad", uid: undefined },
    spec: {
      containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
      volumes: [{ name: "v", csi: { driver: "x" } }],
    },
  });
  capture(node, ...objects(), bad);
  const result = run(["show", "bad", "--root", node.root]);
  assert.equal(result.status, 0, describe(result));
  assert.match(result.stdout, /E_UNSUPPORTED_VOLUME: .*CSI driver/);
});

test.run();
