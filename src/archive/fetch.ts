import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { Failure } from "../errors.ts";
import { failureOf } from "../host/system-error.ts";
import type { Warning } from "../model/plan.ts";
import { readContent } from "../runtime/content.ts";
import { sandboxImages } from "../runtime/image-records.ts";
import { pieces } from "../runtime/pieces.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { blobsDir, hasBlob, isIntact, writeBlob } from "./blob.ts";
import type { Catalog, CatalogEntry, WantedImage } from "./catalog.ts";
import { type CollectedImage, collectImage, notWhole } from "./collect.ts";
import { archivedBlobs, inOrder } from "./contents.ts";
import { prepareLayout, readCatalog, removeOthers, writeCatalog } from "./layout.ts";
import { type Descriptor, kindOf } from "./oci.ts";

/** What an archive holds, and what was done for it. */
export interface ArchiveReport {
  /** Of those that are wanted, and of the sandbox. */
  readonly images: number;
  readonly blobs: number;
  /** Of all blobs. */
  readonly bytes: number;
  readonly copiedBytes: number;
  readonly removedBlobs: number;
  readonly warnings: readonly Warning[];
}

/** Left free on the file system, of its whole: a kubelet begins to evict pods at 10 %. */
const reserve = 0.1;

/**
 * Whether an archive is the one of these images and each of its blobs has its size. Reads only; asks no runtime.
 *
 * @throws {Failure} as `readCatalog`
 */
export async function isArchived(dir: string, wanted: readonly WantedImage[]): Promise<boolean> {
  const catalog = readCatalog(dir);
  if (catalog.tag !== tagOf(wanted)) {
    return false;
  }
  for (const entry of catalog.entries) {
    if ((await blobsOf(dir, entry)) === undefined) {
      return false;
    }
  }
  return true;
}

/**
 * Copies images, and those of the sandboxes that run, from the runtime to an archive; blobs that are there stay.
 *
 * (1) ask what the images consist of (2) check the space (3) copy, each blob durably (4) write the index, **the commit
 * point** (5) remove what no image needs any more. An image that the runtime does not have whole is warned of, and
 * stays in the archive where it is whole there. Killed at any instant it leaves the old or the new archive, and blobs
 * that the next run uses or removes.
 *
 * @param known  what is thought of a blob that is there with its size: trusted, or read and replaced where it is altered
 * @throws {Failure} E_NOSPACE only when the space does not suffice; E_RUNTIME, E_IO, …: the old archive stays
 */
export async function archiveImages(
  runtime: Runtime,
  dir: string,
  wanted: readonly WantedImage[],
  known: "trust" | "read",
): Promise<ArchiveReport> {
  prepareLayout(dir);
  const warnings: Warning[] = [];
  const old = oldCatalog(dir, warnings);
  const collected: CollectedImage[] = [];
  let isComplete = true;
  for (const image of [...wanted, ...(await sandboxes(runtime, wanted))]) {
    try {
      collected.push(await collectImage(runtime, image)); // (1)
    } catch (error) {
      const failure = ofOneImage(error);
      const kept = await keep(dir, old, image);
      collected.push(...(kept === undefined ? [] : [kept]));
      isComplete &&= kept !== undefined;
      const remains = kept === undefined ? "" : "; the archive has it from before, and keeps it";
      warnings.push({ code: "W_IMAGE_ARCHIVE", message: `${failure.message}${remains}` });
    }
  }
  const before = unique(collected);
  const missing: Descriptor[] = [];
  for (const blob of before) {
    const isKnown = hasBlob(dir, blob) && (known === "trust" || (await isIntact(dir, blob)));
    missing.push(...(isKnown ? [] : [blob]));
    runtime.signal.throwIfAborted();
  }
  checkSpace(dir, sum(missing)); // (2)
  const unread = new Map<string, Failure>();
  for (const blob of missing) {
    try {
      await copy(runtime, dir, blob); // (3)
    } catch (error) {
      unread.set(blob.digest, ofOneImage(error));
    }
  }
  const whole = collected.filter(({ entries, blobs }) => {
    const failure = blobs.map(({ digest }) => unread.get(digest)).find((one) => one !== undefined);
    if (failure !== undefined) {
      const [entry] = entries;
      const message = `${entry?.name} is not archived: ${failure.message}`;
      warnings.push({ code: "W_IMAGE_ARCHIVE", message });
    }
    return failure === undefined;
  });
  isComplete &&= whole.length === collected.length;
  const entries = whole.flatMap((image) => image.entries);
  writeCatalog(dir, { entries, tag: isComplete ? tagOf(wanted) : undefined }); // (4)
  const blobs = unique(whole);
  const removedBlobs = removeOthers(dir, new Set(blobs.map(({ digest }) => digest))); // (5)
  return {
    images: whole.length,
    blobs: blobs.length,
    bytes: sum(blobs),
    copiedBytes: sum(missing.filter(({ digest }) => !unread.has(digest))),
    removedBlobs,
    warnings,
  };
}

/** Pure. Equal for equal images. */
function tagOf(wanted: readonly WantedImage[]): string {
  const text = JSON.stringify(wanted.map(({ reference, id }) => [reference, id ?? ""]));
  return createHash("sha256").update(text).digest("hex");
}

/** A malformed index is no reason not to make a good one. */
function oldCatalog(dir: string, warnings: Warning[]): Catalog {
  try {
    return readCatalog(dir);
  } catch (error) {
    if (error instanceof Failure && error.code === "E_OBJECT") {
      warnings.push({ code: "W_IMAGE_ARCHIVE", message: `${error.message}; it is made anew` });
      return { entries: [], tag: undefined };
    }
    throw error;
  }
}

/** Without its sandbox's image no pod starts, and no pod names it. */
async function sandboxes(
  runtime: Runtime,
  wanted: readonly WantedImage[],
): Promise<readonly WantedImage[]> {
  const known = new Set(wanted.map(({ reference }) => reference));
  return (await sandboxImages(runtime))
    .filter((name) => !known.has(name))
    .map((name) => ({ reference: name, name, id: undefined }));
}

/** What concerns one image only; other trouble ends the archiving. */
function ofOneImage(error: unknown): Failure {
  if (error instanceof Failure && ["E_IMAGE", "E_DIGEST", "E_OBJECT"].includes(error.code)) {
    return error;
  }
  throw error;
}

/** An image of the old archive, where that has it whole. */
async function keep(
  dir: string,
  { entries }: Catalog,
  { reference }: WantedImage,
): Promise<CollectedImage | undefined> {
  const kept = entries.filter((entry) => entry.reference === reference);
  const blobs: Descriptor[] = [];
  for (const entry of kept) {
    const found = await blobsOf(dir, entry);
    if (found === undefined) {
      return undefined;
    }
    blobs.push(...found);
  }
  return kept.length === 0 ? undefined : { entries: kept, blobs };
}

/** The blobs of an archived image; undefined when one is missing, or a document is altered. */
async function blobsOf(
  dir: string,
  { target, manifest }: CatalogEntry,
): Promise<readonly Descriptor[] | undefined> {
  try {
    const all = inOrder(await archivedBlobs(dir, { target, manifest }));
    return all.every((blob) => hasBlob(dir, blob)) ? all : undefined;
  } catch (error) {
    ofOneImage(error);
    return undefined;
  }
}

async function copy(runtime: Runtime, dir: string, blob: Descriptor): Promise<void> {
  let isThere = true;
  const read = pieces(async (take) => {
    isThere = await readContent(runtime, blob, take);
    if (!isThere) {
      throw notWhole(blob.digest, discarded(blob));
    }
  });
  await writeBlob(dir, blob, read, `${blob.digest} in the container runtime`);
}

/** Pure. The usual reason why a layer cannot be read. Source: containerd 2.3.7 `docs/cri/config.md`. */
function discarded(blob: Descriptor): string {
  return kindOf(blob) === "other"
    ? "the runtime has no such blob; with `discard_unpacked_layers = true` in its configuration it keeps no layers, and nothing can be archived"
    : "the runtime has no such blob";
}

function checkSpace(dir: string, neededBytes: number): void {
  let free: number;
  let reservedBytes: number;
  try {
    const { bavail, blocks, bsize } = statfsSync(blobsDir(dir));
    free = blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
    reservedBytes = Math.ceil(blocks * bsize * reserve);
  } catch (error) {
    throw failureOf(error, { what: "the image archive cannot be read", where: dir });
  }
  if (neededBytes > 0 && neededBytes + reservedBytes > free) {
    throw new Failure("E_NOSPACE", {
      what: "the images do not fit into the archive",
      where: dir,
      found: `${neededBytes} bytes are to be copied, ${free} are free, and ${reservedBytes}, a tenth of the file system, stay free`,
      next: "Free some space, or put `images.archive` on another file system; the old archive stays",
    });
  }
}

function unique(images: readonly CollectedImage[]): readonly Descriptor[] {
  const all = images.flatMap(({ blobs }) => blobs);
  return [...new Map(all.map((blob) => [blob.digest, blob])).values()];
}

function sum(blobs: readonly Descriptor[]): number {
  return blobs.reduce((bytes, { size }) => bytes + size, 0);
}
