import assert from "node:assert/strict";
import { chmodSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { assertWellSaid, describe, run, succeed } from "../end-to-end/executable.ts";
import {
  bareNode,
  capture,
  memory,
  type NodeRoot,
  nodeWithStore,
} from "../end-to-end/node-root.ts";
import { marker, objects, pod, podLink } from "../end-to-end/objects.ts";
import { snapshot } from "../end-to-end/tree.ts";

const test = suite("cli/status and cli/verify");

const status = (node: NodeRoot, ...words: readonly string[]) =>
  run(["status", "--root", node.root, ...words]);
const verify = (node: NodeRoot, ...words: readonly string[]) =>
  run(["verify", "--root", node.root, ...words]);

test("status is one screen for people", () => {
  using node = nodeWithStore();
  writeFileSync(join(node.store, `blessed-${"1".padStart(20, "0")}`), "");
  writeFileSync(join(node.store, `attempts-${"2".padStart(20, "0")}+1-2`), "");
  const { stdout } = succeed(["status", "--root", node.root]);
  assert.match(stdout, /^store +.*\/var\/lib\/blackstart, 2 generations\n/);
  assert.match(stdout, /\n +2 +\S.* ago +[\d.]+ KB +opens +not blessed +1 boot left +1 pod\n/);
  assert.match(stdout, /\n +1 +\S.* ago +[\d.]+ KB +opens +blessed +3 boots left +1 pod\n/);
  assert.match(stdout, /\nprotection +at rest: none, the key \(plain file\) is beside the data/);
  assert.match(stdout, /\nnewest +generation 2 of node n1, taken /);
  assert.match(
    stdout,
    /\n +kube-system\/web +1 volume +registry\.example\/web:1 +no digest +not known\n/,
  );
  assert.match(stdout, /\nruntime +does not tell of images: .*containerd\.sock/);
  assert.match(stdout, /\nprojected +nothing in \/etc\/kubernetes\/manifests\n/);
  assert.match(stdout, /\nA cold boot of this node would be restored from generation 2\.\n$/);
  assert.ok(
    stdout.split("\n").length <= 25 && stdout.split("\n").every((line) => line.length < 160),
  );
});

test("status -o json and -o yaml have the same, and what is projected", () => {
  using node = nodeWithStore();
  if (memory !== undefined) {
    succeed(["restore", "--force", "--root", node.root]);
  }
  const data = JSON.parse(succeed(["status", "--root", node.root, "-o", "json"]).stdout);
  assert.deepEqual(Object.keys(data), [
    "store",
    "problem",
    "restores",
    "protection",
    "generations",
    "node",
    "pods",
    "runtime",
    "recordsAside",
    "archive",
    "unprojectable",
    "offWindow",
    "projected",
    "warnings",
  ]);
  assert.deepEqual([data.problem, data.node, data.generations.length], [null, "n1", 2]);
  const { capturedAt, age, sizeBytes, ...newest } = data.generations[0];
  assert.deepEqual(newest, {
    generation: 2,
    file: node.generation(2),
    blessed: false,
    attemptsLeft: memory === undefined ? 3 : 2,
    opens: true,
    pods: 1,
  });
  assert.ok(Date.parse(capturedAt) > 0 && age !== "" && sizeBytes > 0);
  if (memory !== undefined) {
    assert.deepEqual(data.projected, {
      manifestDir: "/etc/kubernetes/manifests",
      generation: 2,
      pods: [{ namespace: "kube-system", name: "web", link: podLink }],
    });
  }
  const yaml = succeed(["status", "--root", node.root, "-o", "yaml"]).stdout;
  assert.match(yaml, /\nprotection: "?at rest: none/);
  assert.match(yaml, /\ngenerations:\n {2}- generation: 2\n/);
});

test("status tells what keeps a cold boot from being restored, and ends with its exit status", () => {
  using bare = bareNode();
  const none = status(bare);
  assert.equal(none.status, 66, describe(none));
  assert.match(none.stdout, /would not be restored: E_NO_STORE: /);
  assert.equal(none.stderr, "", "it is said once");

  using node = nodeWithStore();
  for (const number of [1, 2]) {
    truncateSync(node.generation(number), 100);
  }
  const damaged = status(node);
  assert.equal(damaged.status, 65, describe(damaged));
  assert.match(damaged.stdout, /\n +2 +- .*E_TRUNCATED/);
  rmSync(node.keys, { recursive: true });
  const keyless = status(node, "-o", "json");
  assert.equal(keyless.status, 78, describe(keyless));
  assert.equal(JSON.parse(keyless.stdout).problem.code, "E_NO_KEY");
});

test("status counts attempts, as a boot does, and tells a store that was put back or lies open", () => {
  using node = nodeWithStore();
  const usedUp = (generation: string) =>
    writeFileSync(join(node.store, `attempts-${generation.padStart(20, "0")}+0-3`), "");
  usedUp("2");
  writeFileSync(join(node.store, `blessed-${"1".padStart(20, "0")}`), "");
  const second = status(node);
  assert.equal(second.status, 0, describe(second));
  assert.match(
    second.stdout,
    /W_ATTEMPTS: generation 2 has used up .*the blessed generation 1 is used\. .*--reset-attempts/,
  );
  assert.match(second.stdout, /would be restored from generation 1\.\n$/);
  usedUp("1");
  const looped = status(node);
  assert.equal(looped.status, 0, describe(looped));
  assert.match(looped.stdout, /would not be restored: E_BOOT_LOOP: .*--reset-attempts/);

  rmSync(node.generation(2));
  chmodSync(node.generation(1), 0o644);
  const { stdout } = status(node);
  assert.equal(stdout.match(/E_ROLLBACK/g)?.length, 1, stdout);
  assert.equal(stdout.match(/E_PERMS/g)?.length, 1, stdout);
  const restored = run(["restore", "--dry-run", "--generation", "1", "--root", node.root]);
  assert.equal(restored.status, 0, describe(restored));
});

test("verify says of each generation whether it is intact, and changes nothing", () => {
  using node = nodeWithStore();
  const before = snapshot(node.root);
  const good = verify(node);
  assert.equal(good.status, 0, describe(good));
  assert.match(good.stdout, /^generation 2 .*intact.*\ngeneration 1 .*intact.*\n/);
  assert.match(good.stdout, /2 generations verified: every promise holds\n$/);
  const data = JSON.parse(verify(node, "-o", "json").stdout);
  assert.deepEqual(Object.keys(data), ["ok", "generations", "runtime", "broken", "warnings"]);
  assert.deepEqual([data.ok, data.broken], [true, []]);
  assert.deepEqual(snapshot(node.root), before);

  truncateSync(node.generation(1), 100);
  const broken = verify(node, "-o", "json");
  assert.equal(broken.status, 65, describe(broken));
  assertWellSaid(broken);
  const { ok, generations } = JSON.parse(broken.stdout);
  assert.deepEqual(
    [
      ok,
      ...generations.map(({ intact, code }: { intact: boolean; code?: string }) => code ?? intact),
    ],
    [false, true, "E_TRUNCATED"],
  );
});

test("verify and status name pods that cannot be projected, and no secret", () => {
  using node = nodeWithStore();
  const bad = pod({
    metadata: { name: "bad", uid: undefined },
    spec: {
      containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }],
      volumes: [{ name: "v", csi: { driver: "x" } }],
    },
  });
  capture(node, ...objects(), bad);
  for (const result of [status(node), status(node, "-o", "json"), verify(node)]) {
    assert.equal(result.status, 0, describe(result));
    assert.ok(!result.stdout.includes(marker));
  }
  assert.match(status(node).stdout, /kube-system\/bad.*E_UNSUPPORTED_VOLUME/);
});

test("verify without a store says so once", () => {
  using node = bareNode();
  const result = verify(node);
  assert.equal(result.status, 66, describe(result));
  assertWellSaid(result);
});

test.run();
