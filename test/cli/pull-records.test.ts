import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { recordName } from "../../src/model/pull-record.ts";
import { assertFails, assertWellSaid, describe, run } from "../end-to-end/executable.ts";
import { capture, memory, type NodeRoot, nodeWithStore, shown } from "../end-to-end/node-root.ts";
import { objects, pod } from "../end-to-end/objects.ts";

const test = suite("cli/pull-records");

const repository = "registry.example/web";
const file = recordName("sha256:1");
const begun = recordName(`${repository}:1`);
const textOf = (credentials: object) =>
  JSON.stringify({
    kind: "ImagePulledRecord",
    imageRef: "sha256:1",
    credentialMapping: { [repository]: credentials },
  });
const closed = textOf({ kubernetesSecrets: [{ uid: "1", namespace: "a", name: "s" }] });
const open = textOf({ nodePodsAccessible: true });

const restore = (node: NodeRoot, ...words: readonly string[]) =>
  run(["restore", "--force", ...words, "--root", node.root]);

/** A node whose kubelet has a record of the image that the pod runs, pulled with a secret. */
function inMemory(name: string, check: (node: Records) => unknown): void {
  test(name, async () => {
    if (memory === undefined) {
      console.log(`SKIPPED ${name}: no tmpfs is writable`);
      return;
    }
    using node = nodeWithStore();
    const pulled = node.at("var/lib/kubelet/image_manager/pulled");
    const pulling = node.at("var/lib/kubelet/image_manager/pulling");
    mkdirSync(pulled, { recursive: true });
    mkdirSync(pulling, { recursive: true });
    writeFileSync(join(pulled, file), closed, { mode: 0o600 });
    const aside = join(node.store, "pull-records");
    await check({ node, pulled, pulling, aside });
  });
}

interface Records {
  readonly node: NodeRoot;
  readonly pulled: string;
  readonly pulling: string;
  readonly aside: string;
}

const namesIn = (dir: string) => (existsSync(dir) ? readdirSync(dir) : []);

/** The power fails: what is in memory is gone. */
function cutPower({ node }: Records): void {
  rmSync(node.at("run/blackstart"), { recursive: true, force: true });
}

inMemory("a cold boot sets the record aside before the pod is shown, and says so", (records) => {
  const { node, pulled, aside } = records;
  const result = restore(node);
  assert.equal(result.status, 0, describe(result));
  assertWellSaid(result);
  assert.match(
    result.stderr,
    /restore 4\/5 plan: 1 pull record set aside for registry\.example\/web:1\n/,
  );
  assert.deepEqual([namesIn(pulled), namesIn(aside)], [[], [file]]);
  assert.equal(readFileSync(join(aside, file), "utf8"), closed);
});

inMemory("a second restore in the same boot keeps it aside", (records) => {
  const { node, pulled, aside } = records;
  restore(node);
  const result = restore(node);
  assert.match(result.stderr, /0 pull records set aside for .*, all are aside already/);
  assert.match(result.stderr, /nothing changed/);
  assert.deepEqual([namesIn(pulled), namesIn(aside)], [[], [file]]);
});

inMemory("the next boot puts back what it does not need, byte for byte", (records) => {
  const { node, pulled, aside } = records;
  restore(node);
  cutPower(records);
  const other = pod({ spec: { containers: [{ name: "web", image: "registry.example/other:1" }] } });
  capture(node, other, ...objects().slice(1));
  const data = JSON.parse(restore(node, "-o", "json").stdout);
  assert.deepEqual(data.pullRecords, { putBack: [`pulled/${file}`], setAside: [], images: [] });
  assert.deepEqual(namesIn(aside), []);
  assert.equal(readFileSync(join(pulled, file), "utf8"), closed);
});

inMemory("a boot that needs it again has it aside again", (records) => {
  const { node, pulled, aside } = records;
  restore(node);
  cutPower(records);
  const data = JSON.parse(restore(node, "-o", "json").stdout);
  assert.deepEqual(data.pullRecords.setAside, [`pulled/${file}`]);
  assert.deepEqual([namesIn(pulled), namesIn(aside)], [[], [file]]);
});

inMemory("a boot whose store does not open puts it back all the same", (records) => {
  const { node, pulled } = records;
  restore(node);
  cutPower(records);
  rmSync(node.keys, { recursive: true });
  assertFails(restore(node), "E_NO_KEY", 78);
  assert.equal(readFileSync(join(pulled, file), "utf8"), closed);
});

inMemory("a record that the kubelet has written anew stays", (records) => {
  const { node, pulled, aside } = records;
  restore(node);
  cutPower(records);
  writeFileSync(join(pulled, file), open);
  const data = JSON.parse(restore(node, "-o", "json").stdout);
  assert.deepEqual(data.pullRecords.setAside, []);
  assert.equal(readFileSync(join(pulled, file), "utf8"), open);
  assert.deepEqual(namesIn(aside), []);
});

inMemory("records that are in nobody's way stay where they are", (records) => {
  const { node, pulled, pulling, aside } = records;
  writeFileSync(join(pulled, file), open);
  writeFileSync(join(pulled, recordName("sha256:2")), "damaged");
  writeFileSync(
    join(pulling, recordName("registry.example/other:1")),
    JSON.stringify({ kind: "ImagePullIntent", image: "registry.example/other:1" }),
  );
  const result = restore(node);
  assert.equal(result.status, 0, describe(result));
  assert.ok(!result.stderr.includes("set aside"), describe(result));
  assert.deepEqual([namesIn(pulled).length, namesIn(pulling).length, namesIn(aside)], [2, 1, []]);
});

inMemory("a pull that was begun goes aside with the record, and comes back", (records) => {
  const { node, pulling, aside } = records;
  const text = JSON.stringify({ kind: "ImagePullIntent", image: `${repository}:1` });
  writeFileSync(join(pulling, begun), text);
  restore(node);
  assert.deepEqual(namesIn(aside).sort(), [`pulling-${begun}`, file].sort());
  assert.deepEqual(namesIn(pulling), []);
  run(["restore", "--retire", "--root", node.root]);
  assert.equal(readFileSync(join(pulling, begun), "utf8"), text);
});

inMemory("with `keep` nothing is moved, and the pod is named with the ways out", (records) => {
  const { node, pulled, aside } = records;
  writeFileSync(
    node.at("etc/blackstart/config.yaml"),
    "swap: allow\nimages: {pullRecords: keep}\n",
  );
  const result = restore(node);
  assert.equal(result.status, 0, describe(result));
  assert.match(result.stderr, /W_IMAGE_CREDENTIALS .*kube-system\/web.*pullRecords: set-aside/);
  assert.deepEqual([namesIn(pulled), namesIn(aside)], [[file], []]);
  assert.equal(shown(node).length, 1);
});

inMemory(
  "a policy that asks for credentials of every image is told, and nothing moves",
  (records) => {
    const { node, pulled } = records;
    writeFileSync(
      node.at("var/lib/kubelet/config.yaml"),
      "staticPodPath: /etc/kubernetes/manifests\nimagePullCredentialsVerificationPolicy: AlwaysVerify\n",
    );
    const result = restore(node);
    assert.equal(result.status, 0, describe(result));
    assert.match(result.stderr, /W_IMAGE_CREDENTIALS .*AlwaysVerify/);
    assert.deepEqual(namesIn(pulled), [file]);
  },
);

inMemory("a policy that asks for none leaves the record where it is", (records) => {
  const { node, pulled } = records;
  writeFileSync(
    node.at("var/lib/kubelet/config.yaml"),
    "staticPodPath: /etc/kubernetes/manifests\nimagePullCredentialsVerificationPolicy: NeverVerify\n",
  );
  assert.ok(!restore(node).stderr.includes("W_IMAGE"));
  assert.deepEqual(namesIn(pulled), [file]);
});

inMemory(
  "a record that cannot be moved is a warning for its pod, never a failed restore",
  (records) => {
    const { node, pulled, aside } = records;
    writeFileSync(aside, "a file where our directory should be");
    const result = restore(node);
    assert.equal(result.status, 0, describe(result));
    assert.match(result.stderr, /W_PULL_RECORDS: /);
    assert.match(result.stderr, /W_IMAGE_CREDENTIALS .*kube-system\/web/);
    assert.deepEqual(namesIn(pulled), [file]);
    assert.equal(shown(node).length, 1);
  },
);

inMemory("a pod that cannot be projected gets its record back", (records) => {
  const { node, pulled, aside } = records;
  writeFileSync(join(node.manifests, "blackstart_kube-system_web.json"), "{}"); // in its way
  const result = restore(node);
  assert.equal(result.status, 73, describe(result));
  assert.deepEqual([namesIn(pulled), namesIn(aside)], [[file], []]);
});

inMemory("--dry-run tells what would move, and moves nothing", (records) => {
  const { node, pulled, aside } = records;
  const result = restore(node, "--dry-run", "-o", "json");
  assert.match(result.stderr, /1 pull record would be set aside for registry\.example\/web:1/);
  assert.deepEqual(JSON.parse(result.stdout).pullRecords, {
    putBack: [],
    setAside: [`pulled/${file}`],
    images: [`${repository}:1`],
  });
  assert.deepEqual([namesIn(pulled), namesIn(aside)], [[file], []]);
});

inMemory("the store is not confused by what is aside", (records) => {
  const { node } = records;
  restore(node);
  for (const command of ["status", "verify"]) {
    const result = run([command, "--root", node.root]);
    assert.equal(result.status, 0, describe(result));
    assert.ok(!/W_NAME|W_STORE/.test(result.stdout + result.stderr), describe(result));
  }
  capture(node, ...objects({ level: "third" }));
  assert.ok(existsSync(node.generation(3)));
  assert.deepEqual(namesIn(records.aside), [file]);
});

inMemory(
  "--retire takes all of ours away and puts the records back; a second one finds nothing",
  (records) => {
    const { node, pulled, aside } = records;
    writeFileSync(join(node.manifests, "foreign.yaml"), "kind: Pod\n");
    restore(node);
    const retire = (...words: readonly string[]) =>
      run(["restore", "--retire", ...words, "--root", node.root]);
    const plan = JSON.parse(retire("--dry-run", "-o", "json").stdout);
    assert.equal(shown(node).length, 2);
    const result = retire("-o", "json");
    assert.equal(result.status, 0, describe(result));
    assertWellSaid(result);
    const done = JSON.parse(result.stdout);
    assert.deepEqual({ ...plan, dryRun: false }, done);
    assert.deepEqual(done.pods, ["kube-system/web"]);
    assert.deepEqual(done.removed, [
      "/etc/kubernetes/manifests/blackstart_kube-system_web.json",
      "/run/blackstart/manifests/kube-system_web.json",
      "/run/blackstart/pods/kube-system_web",
    ]);
    assert.deepEqual(done.pullRecords, { putBack: [`pulled/${file}`] });
    assert.match(result.stderr, /has not reached an apiserver .* keeps running these pods/);
    assert.deepEqual(shown(node), ["foreign.yaml"]);
    assert.deepEqual(namesIn(node.at("run/blackstart/pods")), []);
    assert.equal(readFileSync(join(pulled, file), "utf8"), closed);
    assert.deepEqual(namesIn(aside), []);
    const again = retire();
    assert.equal(again.status, 0, describe(again));
    assert.match(again.stderr, /nothing of ours is there/);
    assert.equal(restore(node).status, 0);
    assert.equal(shown(node).length, 2);
  },
);

inMemory("--retire needs no store, no key and no manifest directory", (records) => {
  const { node, pulled } = records;
  restore(node);
  for (const path of [node.keys, node.manifests, node.generation(1), node.generation(2)]) {
    rmSync(path, { recursive: true });
  }
  const result = run(["restore", "--retire", "--root", node.root]);
  assert.equal(result.status, 0, describe(result));
  assert.deepEqual(namesIn(node.at("run/blackstart/pods")), []);
  assert.deepEqual(namesIn(pulled), [file]);
});

test.run();
