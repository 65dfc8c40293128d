import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WantedImage } from "../../src/archive/catalog.ts";
import { encodeMessage } from "../../src/runtime/message.ts";
import { openRuntime, type Runtime } from "../../src/runtime/runtime.ts";
import {
  blobOf,
  digestOf,
  type FakeContainerd,
  fakeContainerd,
} from "../runtime/fake-containerd.ts";

export const manifestType = "application/vnd.oci.image.manifest.v1+json";
export const indexType = "application/vnd.oci.image.index.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";
const configType = "application/vnd.oci.image.config.v1+json";

/** A containerd that holds images, and a place for their archive. */
export interface Scene extends AsyncDisposable {
  readonly fake: FakeContainerd;
  readonly runtime: Runtime;
  /** Absolute; missing at first. */
  readonly dir: string;
  readonly stop: AbortController;
}

export async function makeScene(): Promise<Scene> {
  const fake = await fakeContainerd();
  const parent = mkdtempDisposableSync(join(tmpdir(), "archive-"));
  const stop = new AbortController();
  const runtime = openRuntime(fake.path, stop.signal);
  return {
    fake,
    runtime,
    stop,
    dir: join(parent.path, "images"),
    async [Symbol.asyncDispose]() {
      runtime[Symbol.dispose]();
      await fake[Symbol.asyncDispose]();
      parent.remove();
    },
  };
}

/** An image that was put into a containerd. */
export interface PutImage {
  readonly wanted: WantedImage;
  readonly name: string;
  readonly id: string;
  readonly manifest: string;
  readonly layers: readonly string[];
}

/**
 * Puts an image of these layers into a containerd, under its id and its name.
 *
 * @param platforms  "several": its name stands for an index, whose first manifest is another platform's
 */
export function putImage(
  fake: FakeContainerd,
  name: string,
  layers: readonly string[],
  platforms: "one" | "several" = "one",
): PutImage {
  const put = (bytes: Buffer, mediaType: string) => {
    const digest = digestOf(bytes);
    fake.blobs.set(digest, blobOf(bytes));
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const config = put(json({ name, rootfs: { type: "layers", diff_ids: [] } }), configType);
  const parts = layers.map((layer) => put(Buffer.from(layer), layerType));
  const manifest = put(
    json({ schemaVersion: 2, mediaType: manifestType, config, layers: parts }),
    manifestType,
  );
  const foreign = { mediaType: manifestType, ...foreignManifest };
  const target =
    platforms === "one"
      ? manifest
      : put(json({ schemaVersion: 2, manifests: [foreign, manifest] }), indexType);
  const id = config.digest;
  for (const one of [id, name]) {
    fake.images.set(one, {
      target: encodeMessage([1, target.mediaType], [2, target.digest], [3, BigInt(target.size)]),
      labels: new Map(),
    });
  }
  fake.cri.push({ id, repoTags: [name] });
  return {
    wanted: { reference: name, name, id },
    name,
    id,
    manifest: manifest.digest,
    layers: parts.map(({ digest }) => digest),
  };
}

const foreignText = Buffer.from(
  JSON.stringify({
    config: { mediaType: configType, digest: digestOf(Buffer.from("arm")), size: 3 },
    layers: [],
  }),
);
/** What an index of several platforms names first; the runtime does not have it. */
export const foreignManifest = { digest: digestOf(foreignText), size: foreignText.length };

/** As when the other platform's manifest was pulled as well. */
export function putForeignManifest(fake: FakeContainerd): void {
  fake.blobs.set(foreignManifest.digest, blobOf(foreignText));
}

/** As if its disk had been replaced. CRI knows an image again once it has a name. */
export function wipe(fake: FakeContainerd): void {
  fake.blobs.clear();
  fake.images.clear();
  fake.snapshots.clear();
  fake.committed.length = 0;
}
