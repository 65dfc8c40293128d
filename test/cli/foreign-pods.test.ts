import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { run } from "../end-to-end/executable.ts";
import { memory, nodeWithStore } from "../end-to-end/node-root.ts";

const test = suite("cli/foreign-pods");

const metadata = { name: "web", namespace: "kube-system" };
const cases = [
  {
    name: "JSON of the same name",
    text: JSON.stringify({ kind: "Pod", metadata }),
    isLeftOut: true,
  },
  {
    name: "YAML of the same name, the first of two documents",
    text: "kind: Pod\nmetadata:\n  name: web\n  namespace: kube-system\n---\nkind: Pod\n",
    isLeftOut: true,
  },
  {
    name: "the same name in another namespace",
    text: JSON.stringify({ kind: "Pod", metadata: { name: "web" } }),
    isLeftOut: false,
  },
  {
    name: "another name",
    text: "metadata: {name: other, namespace: kube-system}\n",
    isLeftOut: false,
  },
  { name: "what no kubelet can read", text: "{", isLeftOut: false },
  { name: "an empty file", text: "", isLeftOut: false },
];

for (const { name, text, isLeftOut } of cases) {
  test(`a foreign manifest, ${name}: our pod is ${isLeftOut ? "left out" : "restored"}, theirs untouched`, () => {
    if (memory === undefined) {
      console.log(`SKIPPED ${name}: no tmpfs is writable`);
      return;
    }
    using node = nodeWithStore();
    const file = join(node.manifests, "theirs.yaml");
    writeFileSync(file, text);
    mkdirSync(join(node.manifests, "folder"));
    symlinkSync("/nowhere", join(node.manifests, "dangling"));
    const result = run(["restore", "--force", "--root", node.root, "-o", "json"]);
    assert.equal(result.status, isLeftOut ? 73 : 0, result.stderr);
    const codes = JSON.parse(result.stdout).skipped.map(({ code }: { code: string }) => code);
    assert.deepEqual(codes, isLeftOut ? ["E_FOREIGN"] : []);
    assert.equal(readFileSync(file, "utf8"), text);
    const ours = readdirSync(node.manifests).filter((one) => one.startsWith("blackstart_"));
    assert.equal(ours.length, isLeftOut ? 0 : 1);
  });
}

test("a plan of nothing takes away nothing that runs", () => {
  if (memory === undefined) {
    console.log("SKIPPED a plan of nothing: no tmpfs is writable");
    return;
  }
  using node = nodeWithStore();
  assert.equal(run(["restore", "--force", "--root", node.root]).status, 0);
  writeFileSync(join(node.root, "etc/blackstart/config.yaml"), "swap: allow\nsecretEnv: refuse\n");
  const result = run(["restore", "--force", "--root", node.root]);
  assert.equal(result.status, 73, result.stderr);
  assert.equal(
    readdirSync(node.manifests).filter((one) => one.startsWith("blackstart_")).length,
    1,
  );
});

test.run();
