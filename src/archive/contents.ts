import { Failure } from "../errors.ts";
import { blobFile, readDocument } from "./blob.ts";
import type { CatalogEntry } from "./catalog.ts";
import { type Descriptor, kindOf, parseIndex, parseManifest } from "./oci.ts";

/** The blobs of one archived image, for this node's platform. */
export interface ArchivedBlobs {
  /** Set where the name stands for several platforms. */
  readonly index: Descriptor | undefined;
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/**
 * Reads what an archived image consists of: its index and its manifest, whose digests are checked.
 *
 * @throws {Failure} E_DIGEST only when one of the two is missing, truncated or altered; E_OBJECT when it is malformed
 */
export async function archivedBlobs(
  dir: string,
  { target, manifest }: Pick<CatalogEntry, "target" | "manifest">,
): Promise<ArchivedBlobs> {
  const where = blobFile(dir, target.digest);
  if (kindOf(target) !== "index") {
    const { config, layers } = parseManifest(await readDocument(dir, target), where);
    return { index: undefined, manifest: target, config, layers };
  }
  const { manifests } = parseIndex(await readDocument(dir, target), where);
  const chosen = manifests.find(({ digest }) => digest === manifest);
  if (chosen === undefined) {
    throw new Failure("E_OBJECT", {
      what: "the image index does not name the manifest that is archived",
      where,
      found: manifest,
      next: "Run `blackstart images archive` while the image is whole",
    });
  }
  const document = await readDocument(dir, chosen);
  const { config, layers } = parseManifest(document, blobFile(dir, chosen.digest));
  return { index: target, manifest: chosen, config, layers };
}

/** Every blob, in the order in which they are imported: what is referred to comes first. Pure. */
export function inOrder({ index, manifest, config, layers }: ArchivedBlobs): readonly Descriptor[] {
  return [...layers, config, manifest, ...(index === undefined ? [] : [index])];
}
