import assert from "node:assert/strict";
import { chmodSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { blobFile } from "../../src/archive/blob.ts";
import { archiveImages } from "../../src/archive/fetch.ts";
import { importImages } from "../../src/archive/import.ts";
import { rejects } from "../rejects.ts";
import { blobOf } from "../runtime/fake-containerd.ts";
import { makeScene, type PutImage, putImage, type Scene, wipe } from "./archive-images.ts";

const test = suite("archive/import");

/** A test with two images that share a layer, archived. */
function scene(
  title: string,
  run: (scene: Scene & { readonly one: PutImage; readonly two: PutImage }) => Promise<void>,
): void {
  test(title, async () => {
    await using made = await makeScene();
    const one = putImage(made.fake, "registry/one:1", ["shared", "own"]);
    const two = putImage(made.fake, "registry/two:1", ["shared"], "several");
    await archiveImages(made.runtime, made.dir, [one.wanted, two.wanted], "trust");
    await run({ ...made, one, two });
    assert.equal(made.fake.leases.size, 0);
  });
}

scene("a runtime that has everything is left alone", async ({ fake, runtime, dir, one, two }) => {
  const { imported, present, failed } = await importImages(runtime, dir);
  assert.deepEqual([imported, failed], [[], []]);
  assert.deepEqual(present, [one.id, one.name, two.id, two.name]);
  assert.deepEqual(fake.committed, []);
});

scene(
  "a wiped runtime has all of it back, each blob once, labelled for its garbage collector",
  async (it) => {
    const { fake, runtime, dir, one, two } = it;
    const before = new Map([...fake.blobs].map(([digest, { bytes }]) => [digest, bytes]));
    wipe(fake);
    const report = await importImages(runtime, dir);
    assert.deepEqual(report.imported, [one.id, one.name, two.id, two.name]);
    assert.deepEqual([report.failed, report.warnings], [[], []]);
    assert.deepEqual(
      new Map([...fake.blobs].map(([digest, { bytes }]) => [digest, bytes])),
      before,
    );
    assert.equal(new Set(fake.committed).size, fake.committed.length);
    const sizes = [...fake.blobs.values()].map(({ size }) => size);
    assert.equal(
      report.importedBytes,
      sizes.reduce((sum, size) => sum + size, 0),
    );
    assert.deepEqual(Object.fromEntries(fake.blobs.get(one.manifest)?.labels ?? []), {
      "containerd.io/gc.ref.content.config": one.id,
      "containerd.io/gc.ref.content.l.0": one.layers[0],
      "containerd.io/gc.ref.content.l.1": one.layers[1],
    });
    const labelled = [...fake.blobs.values()].map(({ labels }) => Object.fromEntries(labels));
    assert.ok(
      labelled.some((labels) => labels["containerd.io/gc.ref.content.m.0"] === two.manifest),
    );
    assert.deepEqual(Object.fromEntries(fake.images.get(one.name)?.labels ?? []), {
      "io.cri-containerd.image": "managed",
    });
    const again = await importImages(runtime, dir);
    assert.deepEqual([again.imported, again.importedBytes], [[], 0]);
  },
);

scene("a name that is gone is given back without a blob", async ({ fake, runtime, dir, one }) => {
  fake.images.delete(one.name);
  const { imported, importedBytes } = await importImages(runtime, dir);
  assert.deepEqual([imported, importedBytes, fake.committed], [[one.name], 0, []]);
});

scene("a name that stands for something else stays", async ({ fake, runtime, dir, one, two }) => {
  const other = fake.images.get(two.name);
  assert.ok(other !== undefined);
  fake.images.set(one.name, other);
  fake.blobs.delete(one.layers[1] ?? "");
  const { imported } = await importImages(runtime, dir);
  assert.deepEqual(imported, [one.id]);
  assert.equal(fake.images.get(one.name), other);
});

scene("layers are not missed where the image is unpacked", async ({ fake, runtime, dir, one }) => {
  const labels = new Map([["containerd.io/gc.ref.snapshot.overlayfs", "sha256:chain"]]);
  const config = fake.blobs.get(one.id)?.bytes ?? Buffer.alloc(0);
  fake.blobs.set(one.id, blobOf(config, labels));
  fake.snapshots.add("overlayfs/sha256:chain");
  fake.blobs.delete(one.layers[1] ?? "");
  assert.deepEqual((await importImages(runtime, dir)).imported, []);
  fake.snapshots.clear();
  assert.deepEqual((await importImages(runtime, dir)).imported, [one.id, one.name]);
  assert.deepEqual(fake.committed, [one.layers[1]]);
});

const files = [
  { name: "whose file is gone", bytes: undefined },
  { name: "whose file is cut off", bytes: Buffer.from("o") },
];
for (const { name, bytes } of files) {
  scene(`a blob ${name} is replaced`, async ({ fake, runtime, dir, one }) => {
    const blob = fake.blobs.get(one.layers[1] ?? "");
    assert.ok(blob !== undefined);
    blob.bytes = bytes;
    assert.deepEqual((await importImages(runtime, dir)).imported, [one.id, one.name]);
    assert.equal(String(fake.blobs.get(one.layers[1] ?? "")?.bytes), "own");
  });
}

/** What may have happened to the layer that only the first image has. */
const damages = [
  {
    name: "altered",
    found: /altered .*expected sha256:\w{64}, found sha256:\w{64}/,
    damage: alter,
  },
  {
    name: "truncated",
    found: /truncated .*expected 3 bytes of sha256:\w{64}, found 2 bytes/,
    damage: (file: string) => truncateSync(file, 2),
  },
  {
    name: "made longer",
    found: /longer .*found more/,
    damage: (file: string) => writeFileSync(file, "owner"),
  },
  { name: "missing", found: /missing .*expected 3 bytes/, damage: (file: string) => rmSync(file) },
];
for (const { name, found, damage } of damages) {
  scene(`a blob that is ${name} costs its image, and no other`, async (it) => {
    const { fake, runtime, dir, one, two } = it;
    const file = blobFile(dir, one.layers[1] ?? "");
    chmodSync(file, 0o600);
    damage(file);
    wipe(fake);
    const { imported, failed, warnings } = await importImages(runtime, dir);
    assert.deepEqual(
      [imported, failed],
      [
        [two.id, two.name],
        [one.id, one.name],
      ],
    );
    assert.deepEqual([...fake.images.keys()], [two.id, two.name]);
    assert.ok(!fake.committed.includes(one.layers[1] ?? ""));
    const [warning] = warnings.map(({ message }) => message);
    assert.match(warning ?? "", found);
    assert.ok(warning?.includes(file), warning);
  });
}

scene("a blob that two images need and that is altered costs both", async (it) => {
  const { fake, runtime, dir, one } = it;
  alter(blobFile(dir, one.layers[0] ?? ""));
  wipe(fake);
  const { imported, failed } = await importImages(runtime, dir);
  assert.deepEqual([imported.length, failed.length, fake.images.size], [0, 4, 0]);
});

scene("a manifest that is altered is no loss while the runtime has the image", async (it) => {
  const { fake, runtime, dir, one, two } = it;
  alter(blobFile(dir, one.manifest));
  const whole = await importImages(runtime, dir);
  assert.deepEqual([whole.imported, whole.failed, whole.warnings.length], [[], [], 2]);
  wipe(fake);
  const lost = await importImages(runtime, dir);
  assert.deepEqual(
    [lost.imported, lost.failed],
    [
      [two.id, two.name],
      [one.id, one.name],
    ],
  );
});

const indexes = [
  { name: "is not JSON", text: "{" },
  { name: "is a list", text: "[]" },
  { name: "leads out of the directory", text: '"sha256:../../../etc/shadow"' },
  { name: "gives a name by digest another content", text: '"other"' },
];
for (const { name, text } of indexes) {
  scene(`an index that ${name} is refused`, async ({ fake, runtime, dir, one }) => {
    const file = join(dir, "index.json");
    const whole = readFileSync(file, "utf8");
    const other = whole.replaceAll(`"${one.name}"`, `"registry/one@sha256:${"0".repeat(64)}"`);
    const bad = text === '"other"' ? other : whole.replaceAll(/"sha256:[^"]*"/g, text);
    writeFileSync(file, text.startsWith('"') ? bad : text);
    wipe(fake);
    await rejects(() => importImages(runtime, dir), "E_OBJECT");
    assert.equal(fake.images.size, 0);
  });
}

test("where there is no archive yet there is nothing to import", async () => {
  await using made = await makeScene();
  const { imported, present, failed } = await importImages(made.runtime, made.dir);
  assert.deepEqual([imported, present, failed], [[], [], []]);
});

/** One bit. */
function alter(file: string): void {
  const bytes = readFileSync(file);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
}

test.run();
