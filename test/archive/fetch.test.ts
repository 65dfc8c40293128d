import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { blobFile, blobsDir } from "../../src/archive/blob.ts";
import { archiveImages, isArchived } from "../../src/archive/fetch.ts";
import { readCatalog } from "../../src/archive/layout.ts";
import { contentInfo } from "../../src/runtime/content.ts";
import { answerMs, openRuntime } from "../../src/runtime/runtime.ts";
import { rejects } from "../rejects.ts";
import { digestOf } from "../runtime/fake-containerd.ts";
import { fakeRuntime } from "../runtime/fake-runtime.ts";
import { makeScene, putForeignManifest, putImage, wipe } from "./archive-images.ts";

const test = suite("archive/fetch");

const names = (dir: string) => readCatalog(dir).entries.map(({ name }) => name);
const blobs = (dir: string) => readdirSync(blobsDir(dir)).toSorted();

test("the archive is an OCI layout, with each blob once and under its digest", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const one = putImage(fake, "registry/one:1", ["shared", "own"]);
  const two = putImage(fake, "registry/two:1", ["shared"]);
  const report = await archiveImages(runtime, dir, [one.wanted, two.wanted], "trust");
  assert.deepEqual(report.warnings, []);
  assert.deepEqual([report.images, report.blobs], [2, 6]);
  assert.equal(report.copiedBytes, report.bytes);
  assert.deepEqual(JSON.parse(readFileSync(join(dir, "oci-layout"), "utf8")), {
    imageLayoutVersion: "1.0.0",
  });
  const index = JSON.parse(readFileSync(join(dir, "index.json"), "utf8"));
  assert.equal(index.schemaVersion, 2);
  assert.deepEqual(
    index.manifests.map((entry: { annotations: Record<string, string> }) => [
      entry.annotations["io.containerd.image.name"],
      entry.annotations["org.opencontainers.image.ref.name"],
    ]),
    [
      [one.id, undefined],
      [one.name, "1"],
      [two.id, undefined],
      [two.name, "1"],
    ],
  );
  for (const name of blobs(dir)) {
    assert.equal(digestOf(readFileSync(join(blobsDir(dir), name))), `sha256:${name}`);
  }
  assert.equal(blobs(dir).length, 6);
});

test("a second run copies nothing, and an archive that is right is known without the runtime", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const { wanted, layers } = putImage(fake, "registry/one:1", ["layer"]);
  assert.equal(await isArchived(dir, [wanted]), false);
  await archiveImages(runtime, dir, [wanted], "trust");
  assert.equal((await archiveImages(runtime, dir, [wanted], "trust")).copiedBytes, 0);
  assert.equal(await isArchived(dir, [wanted]), true);
  assert.equal(await isArchived(dir, [{ ...wanted, id: "another" }]), false);
  truncateSync(blobFile(dir, layers[0] ?? ""), 1);
  assert.equal(await isArchived(dir, [wanted]), false);
  assert.equal((await archiveImages(runtime, dir, [wanted], "trust")).copiedBytes, "layer".length);
  assert.equal(await isArchived(dir, [wanted]), true);
});

test("an altered blob of the right size is replaced by whoever reads it", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const { wanted, layers } = putImage(fake, "registry/one:1", ["layer"]);
  await archiveImages(runtime, dir, [wanted], "trust");
  const file = blobFile(dir, layers[0] ?? "");
  chmodSync(file, 0o600);
  writeFileSync(file, "lAyer");
  assert.equal((await archiveImages(runtime, dir, [wanted], "trust")).copiedBytes, 0);
  assert.equal((await archiveImages(runtime, dir, [wanted], "read")).copiedBytes, 5);
  assert.equal(readFileSync(file, "utf8"), "layer");
});

test("of a multi-platform image the index and this node's manifest are kept", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const { wanted, manifest } = putImage(fake, "registry/one:1", ["layer"], "several");
  putForeignManifest(fake);
  const report = await archiveImages(runtime, dir, [wanted], "trust");
  assert.deepEqual([report.blobs, report.warnings], [4, []]);
  const [entry] = readCatalog(dir).entries;
  assert.equal(entry?.manifest, manifest);
  assert.notEqual(entry?.target.digest, manifest);
});

test("the image of the sandboxes is archived too, though no pod names it", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const { wanted } = putImage(fake, "registry/one:1", ["layer"]);
  const pause = putImage(fake, "registry/pause:1", ["pause"]);
  fake.sandboxes.push(pause.name, pause.name);
  assert.equal((await archiveImages(runtime, dir, [wanted], "trust")).images, 2);
  assert.ok(names(dir).includes(pause.name));
});

test("what no image needs any more is removed, and what is no blob stays", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const one = putImage(fake, "registry/one:1", ["shared", "old"]);
  const two = putImage(fake, "registry/two:1", ["shared"]);
  await archiveImages(runtime, dir, [one.wanted], "trust");
  writeFileSync(join(blobsDir(dir), "note"), "theirs");
  const report = await archiveImages(runtime, dir, [two.wanted], "trust");
  assert.equal(report.removedBlobs, 3);
  assert.deepEqual(names(dir), [two.id, two.name]);
  assert.equal(blobs(dir).length, 4);
  assert.ok(blobs(dir).includes("note"));
});

test("an image that the runtime has no more is warned of, and kept where it is whole", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const one = putImage(fake, "registry/one:1", ["one"]);
  const two = putImage(fake, "registry/two:1", ["two"]);
  const wanted = [one.wanted, two.wanted];
  await archiveImages(runtime, dir, wanted, "trust");
  wipe(fake);
  fake.cri.length = 0;
  putImage(fake, "registry/one:1", ["one"]);
  const kept = await archiveImages(runtime, dir, wanted, "trust");
  assert.deepEqual(
    kept.warnings.map(({ code }) => code),
    ["W_IMAGE_ARCHIVE"],
  );
  assert.match(kept.warnings[0]?.message ?? "", /registry\/two:1.*keeps it/);
  assert.deepEqual(names(dir), [one.id, one.name, two.id, two.name]);
  rmSync(blobFile(dir, two.layers[0] ?? ""));
  const lost = await archiveImages(runtime, dir, wanted, "trust");
  assert.doesNotMatch(lost.warnings[0]?.message ?? "", /keeps it/);
  assert.deepEqual(names(dir), [one.id, one.name]);
  assert.equal(await isArchived(dir, wanted), false);
});

test("a tag that stands for another image now is not archived for the one that ran", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const { wanted } = putImage(fake, "registry/one:1", ["layer"]);
  const report = await archiveImages(
    runtime,
    dir,
    [{ ...wanted, id: `sha256:${"0".repeat(64)}` }],
    "trust",
  );
  assert.equal(report.images, 0);
  assert.match(report.warnings[0]?.message ?? "", /has run/);
});

test("a runtime that has thrown its layers away is told by its setting, and the others are archived", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const one = putImage(fake, "registry/one:1", ["one"]);
  const two = putImage(fake, "registry/two:1", ["two"]);
  fake.blobs.delete(one.layers[0] ?? "");
  const report = await archiveImages(runtime, dir, [one.wanted, two.wanted], "trust");
  assert.match(report.warnings[0]?.message ?? "", /discard_unpacked_layers/);
  assert.deepEqual(names(dir), [two.id, two.name]);
  assert.equal(blobs(dir).length, 3);
});

test("bytes that are not those of their digest are not archived", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const { wanted, layers } = putImage(fake, "registry/one:1", ["layer"]);
  const blob = fake.blobs.get(layers[0] ?? "");
  assert.ok(blob !== undefined);
  blob.bytes = Buffer.from("lAyer");
  const report = await archiveImages(runtime, dir, [wanted], "trust");
  assert.match(report.warnings[0]?.message ?? "", /the blob is altered/);
  assert.deepEqual([names(dir), blobs(dir)], [[], []]);
});

test("a malformed index is made anew", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const { wanted } = putImage(fake, "registry/one:1", ["layer"]);
  await archiveImages(runtime, dir, [wanted], "trust");
  writeFileSync(join(dir, "index.json"), "{");
  const report = await archiveImages(runtime, dir, [wanted], "trust");
  assert.match(report.warnings[0]?.message ?? "", /made anew/);
  assert.equal(await isArchived(dir, [wanted]), true);
});

test("what a killed run has left is used or removed, and the old archive counted until then", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const one = putImage(fake, "registry/one:1", ["one"]);
  const two = putImage(fake, "registry/two:1", ["two"]);
  await archiveImages(runtime, dir, [one.wanted], "trust");
  const index = readFileSync(join(dir, "index.json"));
  await archiveImages(runtime, dir, [one.wanted, two.wanted], "trust");
  // As if it had been killed before the index was replaced, and in the middle of a blob.
  writeFileSync(join(dir, "index.json"), index);
  writeFileSync(join(blobsDir(dir), ".tmp-4194305-abc"), "half");
  rmSync(blobFile(dir, two.layers[0] ?? ""));
  assert.deepEqual(names(dir), [one.id, one.name]);
  const report = await archiveImages(runtime, dir, [one.wanted, two.wanted], "trust");
  assert.equal(report.copiedBytes, "two".length);
  assert.equal(blobs(dir).length, 6);
});

test("images that do not fit leave the old archive", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const one = putImage(fake, "registry/one:1", ["one"]);
  await archiveImages(runtime, dir, [one.wanted], "trust");
  const before = [names(dir), blobs(dir)];
  const two = putImage(fake, "registry/two:1", ["two"]);
  const manifest = fake.blobs.get(two.manifest)?.bytes ?? Buffer.alloc(0);
  // The same image, with a layer of a petabyte.
  const huge = Buffer.from(manifest.toString().replace('"size":3}]', '"size":1000000000000000}]'));
  fake.blobs.set(digestOf(huge), { bytes: huge, size: huge.length, labels: new Map() });
  const { images } = fake;
  const { encodeMessage } = await import("../../src/runtime/message.ts");
  for (const name of [two.id, two.name]) {
    const type = "application/vnd.oci.image.manifest.v1+json";
    images.set(name, {
      target: encodeMessage([1, type], [2, digestOf(huge)], [3, BigInt(huge.length)]),
      labels: new Map(),
    });
  }
  await rejects(() => archiveImages(runtime, dir, [two.wanted], "trust"), "E_NOSPACE");
  assert.deepEqual([names(dir), blobs(dir)], before);
});

test("a copy that is stopped leaves the old archive and no half a blob", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir, stop } = scene;
  const one = putImage(fake, "registry/one:1", ["one"]);
  await archiveImages(runtime, dir, [one.wanted], "trust");
  const two = putImage(fake, "registry/two:1", ["2".repeat(1 << 20)]);
  let pieces = 0;
  fake.beforePiece = async () => {
    pieces += 1;
    if (pieces === 10) {
      stop.abort();
    }
  };
  await assert.rejects(archiveImages(runtime, dir, [two.wanted], "trust"), { name: "AbortError" });
  assert.deepEqual(names(dir), [one.id, one.name]);
  const layer = two.layers[0]?.slice("sha256:".length) ?? "";
  assert.ok(!blobs(dir).includes(layer));
  assert.deepEqual(
    blobs(dir).filter((name) => name.startsWith(".")),
    [],
  );
});

test("an archive that others may write to is neither read nor made", async () => {
  await using scene = await makeScene();
  const { fake, runtime, dir } = scene;
  const { wanted } = putImage(fake, "registry/one:1", ["layer"]);
  await archiveImages(runtime, dir, [wanted], "trust");
  for (const mode of [0o777, 0o720, 0o1702]) {
    chmodSync(dir, mode);
    await rejects(async () => void readCatalog(dir), "E_PERMS");
    await rejects(() => archiveImages(runtime, dir, [wanted], "trust"), "E_PERMS");
  }
  chmodSync(dir, 0o755);
  assert.equal(await isArchived(dir, [wanted]), true);
});

test("a blob that nothing needs and nobody can remove is a failure with a code", async () => {
  await using scene = await makeScene();
  const { runtime, dir } = scene;
  await archiveImages(runtime, dir, [], "trust");
  mkdirSync(join(blobsDir(dir), "0".repeat(64)));
  await rejects(() => archiveImages(runtime, dir, [], "trust"), "E_IO");
});

test("a signal ends a question that waits for its answer", async () => {
  await using silent = await fakeRuntime(() => () => undefined);
  const stop = new AbortController();
  using runtime = openRuntime(silent.path, stop.signal);
  const asked = contentInfo(runtime, "sha256:none");
  setTimeout(() => stop.abort(), 50);
  const beganMs = performance.now();
  await assert.rejects(asked, { name: "AbortError" });
  assert.ok(performance.now() - beganMs < answerMs / 2);
});

test.run();
