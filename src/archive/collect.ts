import { createHash } from "node:crypto";
import { Failure } from "../errors.ts";
import { contentInfo, readContent } from "../runtime/content.ts";
import { imageStatus } from "../runtime/cri.ts";
import { imageTarget } from "../runtime/image-records.ts";
import { answerMs, type Runtime } from "../runtime/runtime.ts";
import { checkBlob, limitDocument } from "./blob.ts";
import type { CatalogEntry, WantedImage } from "./catalog.ts";
import { type Descriptor, kindOf, parseIndex, parseManifest } from "./oci.ts";

/** An image as the runtime has it: its names, and all blobs that it needs on this node. */
export interface CollectedImage {
  readonly entries: readonly CatalogEntry[];
  /** Indexes, manifests, configurations, layers; each once. */
  readonly blobs: readonly Descriptor[];
}

/**
 * Asks the runtime what an image consists of. Only the manifest of this node's platform is taken of an index.
 *
 * @throws {Failure} E_RUNTIME only when it does not answer; E_IMAGE only when it does not have the image, or not whole
 */
export async function collectImage(runtime: Runtime, wanted: WantedImage): Promise<CollectedImage> {
  const { reference, name, id } = wanted;
  const found = await imageStatus(runtime.socket, reference, answerMs);
  if (found.kind === "unknown") {
    throw new Failure("E_RUNTIME", {
      what: "the container runtime does not tell of an image",
      where: reference,
      found: found.problem,
    });
  }
  if (found.kind === "absent") {
    throw notWhole(name, `the runtime has no ${reference}`);
  }
  const { image } = found;
  if (id !== undefined && image.id !== id) {
    throw notWhole(name, `${reference} is ${image.id} now, and ${id} has run`);
  }
  // The runtime's own name, the id, comes first, as in a pull.
  const named = [image.id, ...image.repoTags, ...image.repoDigests];
  const entries: CatalogEntry[] = [];
  const blobs = new Map<string, Descriptor>();
  for (const one of named) {
    const target = await imageTarget(runtime, one);
    if (target === undefined) {
      continue; // only known by its content, or gone since
    }
    const tree = await walk(runtime, target, image.id, one);
    for (const blob of tree.blobs) {
      blobs.set(blob.digest, blob);
    }
    entries.push({ name: one, target, manifest: tree.manifest, reference });
  }
  if (entries.length === 0) {
    throw notWhole(name, `the runtime has no name for ${image.id}`);
  }
  return { entries, blobs: [...blobs.values()] };
}

interface Tree {
  /** Digest of the manifest that is this node's. */
  readonly manifest: string;
  readonly blobs: readonly Descriptor[];
}

/** From a name's target down to the layers. */
async function walk(runtime: Runtime, target: Descriptor, id: string, name: string): Promise<Tree> {
  const kind = kindOf(target);
  if (kind === "other") {
    throw notWhole(name, `its target is a ${target.mediaType}`);
  }
  const bytes = await readWhole(runtime, target, name);
  if (kind === "manifest") {
    const { config, layers } = parseManifest(bytes, name);
    if (config.digest !== id) {
      throw notWhole(name, `its configuration is ${config.digest}, and ${id} was expected`);
    }
    return { manifest: target.digest, blobs: [target, config, ...layers] };
  }
  for (const one of parseIndex(bytes, name).manifests) {
    // Of the other platforms the runtime has the names only.
    if (kindOf(one) === "manifest" && (await contentInfo(runtime, one.digest)) !== undefined) {
      const { config, layers } = parseManifest(await readWhole(runtime, one, name), name);
      if (config.digest === id) {
        return { manifest: one.digest, blobs: [target, one, config, ...layers] };
      }
    }
  }
  throw notWhole(name, `none of the manifests in its index has the configuration ${id}`);
}

/** A document, checked. */
async function readWhole(runtime: Runtime, blob: Descriptor, name: string): Promise<Buffer> {
  limitDocument(blob, name);
  const pieces: Buffer[] = [];
  const isThere = await readContent(runtime, blob, async (piece) => {
    pieces.push(Buffer.from(piece));
  });
  if (!isThere) {
    throw notWhole(name, `the runtime has no blob ${blob.digest}`);
  }
  const bytes = Buffer.concat(pieces);
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  checkBlob(blob, { length: bytes.length, digest }, `${name} in the container runtime`);
  return bytes;
}

/** The runtime has an image not at all, or not whole. Pure. */
export function notWhole(name: string, found: string): Failure {
  return new Failure("E_IMAGE", {
    what: "an image cannot be archived",
    where: name,
    found,
    next: "Pull it again, where that can be done",
  });
}
