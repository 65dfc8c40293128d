import assert from "node:assert/strict";
import { suite } from "uvu";
import { isRecordName, parseRecord, recordName } from "../../src/model/pull-record.ts";

const test = suite("model/pull-record");

test("a record's file is named by the hash of the image's id, as the kubelet does", () => {
  // The pair is the kubelet's own. Source: Kubernetes v1.37.2 `pullmanager/testdata/pulling`.
  assert.equal(
    recordName("docker.io/testing/test:latest"),
    "sha256-aef2af226629a35d5f3ef0fdbb29fdbebf038d0acd8850590e8c48e1e283aa56",
  );
});

test("a kubelet's temporary files, ours, and others' are no records", () => {
  const name = recordName("sha256:1");
  assert.ok(isRecordName(name));
  for (const other of [`${name}.tmp`, `.${name}`, ".tmp-1-a", "sha256-12", `${name}/x`]) {
    assert.equal(isRecordName(other), false, other);
  }
});

test("a record as a kubelet writes it", () => {
  const text = JSON.stringify({
    kind: "ImagePulledRecord",
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    lastUpdatedTime: "2026-11-25T20:00:00Z",
    imageRef: "sha256:1",
    credentialMapping: {
      open: { nodePodsAccessible: true },
      closed: { kubernetesSecrets: [{ uid: "1", namespace: "a", name: "s", credentialHash: "x" }] },
      nobody: {},
    },
  });
  const record = parseRecord("pulled", "f", text);
  assert.ok(record.kind === "pulled");
  assert.equal(record.id, "sha256:1");
  assert.deepEqual(
    [...record.open],
    [
      ["open", true],
      ["closed", false],
      ["nobody", false],
    ],
  );
});

const pulled = (more: object) => ({ kind: "ImagePulledRecord", imageRef: "sha256:1", ...more });
const damaged: readonly (readonly [name: string, list: "pulled" | "pulling", text: string])[] = [
  ["an empty file, as a power cut leaves", "pulled", ""],
  ["half a file", "pulled", '{"kind":"ImagePulled'],
  ["zeros", "pulled", "\0\0\0\0"],
  ["a list", "pulled", "[]"],
  ["null", "pulled", "null"],
  ["another kind", "pulled", JSON.stringify({ ...pulled({}), kind: "ImagePullIntent" })],
  ["no id", "pulled", JSON.stringify({ kind: "ImagePulledRecord" })],
  ["a mapping that is a list", "pulled", JSON.stringify(pulled({ credentialMapping: [] }))],
  [
    "credentials that are none",
    "pulled",
    JSON.stringify(pulled({ credentialMapping: { a: true } })),
  ],
  ["a begun pull of nothing", "pulling", JSON.stringify({ kind: "ImagePullIntent" })],
  ["a begun pull of another kind", "pulling", JSON.stringify({ ...pulled({}), image: "a" })],
];

for (const [name, list, text] of damaged) {
  test(`${name} is damaged`, () => {
    assert.deepEqual(parseRecord(list, "f", text), { kind: "damaged", list, file: "f" });
  });
}

test("a record without a mapping is one of a pull that nobody saw end", () => {
  const record = parseRecord("pulled", "f", JSON.stringify(pulled({})));
  assert.ok(record.kind === "pulled" && record.open.size === 0);
});

test.run();
