import { contentInfo, readContent } from "../runtime/content.ts";
import { hasSnapshot, imageTarget } from "../runtime/image-records.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { CatalogEntry } from "./catalog.ts";
import { type ArchivedBlobs, inOrder } from "./contents.ts";
import { unpackedAs } from "./labels.ts";
import type { Descriptor } from "./oci.ts";

/** What the runtime lacks of a blob. */
export type BlobState =
  | "present"
  | "missing"
  /** Its database names a blob whose file is missing or truncated. */
  | "lost";

/** What the runtime lacks of an image. */
export interface Lack {
  /** It has nothing under that name. */
  readonly name: boolean;
  /** In the order in which they are imported. */
  readonly blobs: readonly {
    readonly blob: Descriptor;
    readonly state: Exclude<BlobState, "present">;
  }[];
}

/**
 * Looks at what the runtime has of an archived image. Reads a byte of each blob, not the whole.
 *
 * An image is whole when its name is there, and its index, manifest and configuration, and when it is unpacked or all
 * its layers are there. A name that stands for something else is the runtime's own matter: nothing is lacking.
 *
 * @throws {Failure} E_RUNTIME only when it does not answer
 */
export async function lackOf(
  runtime: Runtime,
  { name, target }: Pick<CatalogEntry, "name" | "target">,
  blobs: ArchivedBlobs,
): Promise<Lack> {
  const known = await imageTarget(runtime, name);
  if (known !== undefined && known.digest !== target.digest) {
    return { name: false, blobs: [] };
  }
  const isUnpacked = await unpacked(runtime, blobs.config);
  const lacking: { blob: Descriptor; state: "missing" | "lost" }[] = [];
  for (const blob of inOrder(blobs)) {
    const isLayer = blobs.layers.includes(blob);
    const state = isLayer && isUnpacked ? "present" : await stateOf(runtime, blob);
    if (state !== "present") {
      lacking.push({ blob, state });
    }
  }
  return { name: known === undefined, blobs: lacking };
}

/** What the runtime has of a blob: the last byte tells whether the file is there and long enough. */
async function stateOf(runtime: Runtime, { digest, size }: Descriptor): Promise<BlobState> {
  if ((await contentInfo(runtime, digest)) === undefined) {
    return "missing";
  }
  let length = 0;
  const last = { digest, offset: Math.max(0, size - 1) };
  const isThere = await readContent(runtime, last, async (piece) => {
    length += piece.length;
  });
  return isThere && length === Math.min(1, size) ? "present" : "lost";
}

/** True when the topmost layer is there as a snapshot, as the labels of the configuration say. */
async function unpacked(runtime: Runtime, config: Descriptor): Promise<boolean> {
  const info = await contentInfo(runtime, config.digest);
  for (const { snapshotter, key } of info === undefined ? [] : unpackedAs(info.labels)) {
    if (await hasSnapshot(runtime, snapshotter, key)) {
      return true;
    }
  }
  return false;
}
