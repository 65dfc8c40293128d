import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import { bless } from "../../src/store/marks.ts";
import { putImage, wipe } from "../archive/archive-images.ts";
import { type FakeContainerd, fakeContainerd } from "../runtime/fake-containerd.ts";
import { describe } from "./executable.ts";
import { type FakeApiserver, fakeApiserver } from "./live/fake-apiserver.ts";
import { cluster, kubeconfig, liveNode, login, start } from "./live/live-node.ts";
import { memory, type NodeRoot } from "./node-root.ts";
import { configMap, pod } from "./objects.ts";

const test = suite("the archive of images");

const name = "registry.example/web:1";

interface Scene {
  readonly node: NodeRoot;
  readonly server: FakeApiserver;
  readonly fake: FakeContainerd;
  readonly archive: string;
}

/** A test with a node whose pod has been Ready for long, its cluster, and a containerd with the pod's image. */
function scene(title: string, run: (scene: Scene) => Promise<void>): void {
  test(title, async () => {
    if (memory === undefined) {
      console.log(`SKIPPED ${title}: no tmpfs is writable`);
      return;
    }
    using node = liveNode();
    appendFileSync(
      node.at("etc/blackstart/config.yaml"),
      "images: {archive: /var/lib/blackstart/images, pin: false}\n",
    );
    await using server = await fakeApiserver(cluster());
    login(node, kubeconfig(server.port));
    const socket = node.at("run/containerd/containerd.sock");
    mkdirSync(dirname(socket), { recursive: true });
    await using fake = await fakeContainerd(socket);
    const { id } = putImage(fake, name, ["layer"]);
    server.put({ ...pod(), status: ready(id) });
    await run({ node, server, fake, archive: node.at("var/lib/blackstart/images") });
  });
}

function ready(imageID: string) {
  return {
    containerStatuses: [{ name: "web", imageID, ready: true }],
    conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }],
  };
}

async function run({ root }: NodeRoot, status: number, ...words: readonly string[]) {
  const result = await start([...words, "--root", root]).result;
  assert.equal(result.status, status, describe(result));
  return result;
}

function archived(archive: string): readonly string[] {
  const { manifests } = JSON.parse(readFileSync(join(archive, "index.json"), "utf8"));
  return manifests.map(
    (entry: { annotations: Record<string, string> }) =>
      entry.annotations["io.containerd.image.name"],
  );
}

scene("a capture archives the blessed generation's images, once", async (it) => {
  await run(it.node, 0, "capture");
  assert.ok(!existsSync(it.archive));
  bless(it.node.store, 3);
  const made = await run(it.node, 0, "capture");
  assert.match(made.stderr, /the archive holds 1 image of generation 3: 3 blobs, \d+ B/);
  assert.ok(archived(it.archive).includes(name));
  const again = await run(it.node, 0, "capture");
  assert.doesNotMatch(again.stderr + again.stdout, /archive/i);
});

scene("a watch archives what it blesses, beside its other work, and ends at once", async (it) => {
  let released = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    released = resolve;
  });
  it.fake.beforePiece = () => held;
  writeFileSync(
    it.node.at("etc/blackstart/config.yaml"),
    "swap: allow\nsettle: 1s\ncapture: {interval: 1s}\nimages: {archive: /var/lib/blackstart/images, pin: false}\n",
  );
  const running = start(["capture", "--watch", "--root", it.node.root]);
  await running.says(/generation 3 is blessed/);
  // containerd gives nothing yet, and the watch goes on.
  it.server.put(configMap({ level: "later" }));
  await running.says(/generation 4: 1 pod/);
  assert.ok(!existsSync(join(it.archive, "index.json")));
  released();
  await running.says(/the archive holds 1 image of generation [34]/);
  assert.ok(archived(it.archive).includes(name));

  const begun = Promise.withResolvers<void>();
  running.child.kill("SIGTERM");
  assert.equal((await running.result).status, 0);
  it.fake.beforePiece = () => {
    begun.resolve();
    return new Promise(() => undefined);
  };
  writeFileSync(join(it.archive, "index.json"), "{");
  const second = start(["capture", "--watch", "--root", it.node.root]);
  await begun.promise;
  // In the middle of a copy.
  const killedMs = performance.now();
  second.child.kill("SIGTERM");
  const result = await second.result;
  assert.equal(result.status, 0, describe(result));
  assert.ok(performance.now() - killedMs < 10_000);
});

scene("a failure is a warning, never a failed capture", async (it) => {
  await run(it.node, 0, "capture");
  bless(it.node.store, 3);
  it.fake.name = "cri-o";
  const other = await run(it.node, 0, "capture");
  assert.match(other.stdout, /W_IMAGE_ARCHIVE.*E_RUNTIME.*cri-o/);
  it.fake.name = "containerd";
  for (const [digest, blob] of it.fake.blobs) {
    if (blob.size === "layer".length) {
      it.fake.blobs.delete(digest);
    }
  }
  const lost = await run(it.node, 0, "capture");
  assert.match(lost.stdout, /W_IMAGE_ARCHIVE.*discard_unpacked_layers/);
});

scene("images archive and images import, by hand", async (it) => {
  const none = await run(it.node, 66, "images", "archive");
  assert.match(none.stderr, /E_NO_CHECKPOINT.*no generation is blessed yet/);
  await run(it.node, 0, "capture");
  bless(it.node.store, 3);
  const made = await run(it.node, 0, "images", "archive", "-o", "json");
  assert.equal(JSON.parse(made.stdout).images, 1);
  wipe(it.fake);
  const imported = await run(it.node, 0, "images", "import");
  assert.match(imported.stderr, /2 names imported \(\d+ B\), 0 present/);
  assert.ok(it.fake.images.has(name));
  // A layer is gone from both: said, and the status of a partial restore.
  wipe(it.fake);
  const blobs = join(it.archive, "blobs/sha256");
  for (const file of readdirSync(blobs)) {
    if (readFileSync(join(blobs, file), "utf8") === "layer") {
      writeFileSync(join(blobs, file), "LAYER");
    }
  }
  const partial = await run(it.node, 73, "images", "import", "-o", "json");
  assert.match(
    partial.stderr,
    /W_IMAGE_ARCHIVE: registry\.example\/web:1 is not imported: E_DIGEST/,
  );
  assert.equal(JSON.parse(partial.stdout).failed.length, 2);
});

scene("an archive that holds nothing is told of, and containerd is not waited for", async (it) => {
  it.fake.name = "silent";
  const { stderr, ms } = await run(it.node, 0, "images", "import");
  assert.match(stderr, /W_IMAGE_ARCHIVE: the archive \S+ holds no image.*mounted/);
  assert.ok(ms < 10_000);
});

scene("where the archive is off nothing is done, and nobody is asked", async (it) => {
  writeFileSync(it.node.at("etc/blackstart/config.yaml"), "swap: allow\n");
  it.fake.name = "silent";
  for (const word of ["import", "archive"]) {
    const { stderr, ms } = await run(it.node, 0, "images", word);
    assert.match(stderr, /the archive is off/);
    assert.ok(ms < 10_000);
  }
});

test.run();
