import { Failure } from "../errors.ts";
import { parseJson } from "../model/json.ts";
import { array, number, object, text } from "../model/shape.ts";

/*
 * The documents of an image. Source: OCI image-spec v1.1.1 `image-index.md`, `manifest.md`, `descriptor.md`,
 * and Docker's schema 2, which has the same fields.
 */

/** What one blob is. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:…`. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A list of one image for several platforms. */
export interface ImageIndex {
  readonly manifests: readonly Descriptor[];
}

/** One image for one platform. */
export interface ImageManifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** What can be larger is no document: containerd itself refuses those above 8 MiB. */
export const documentLimitBytes = 8 << 20;

/** Pure. `sha256:` and 64 digits; others are no name of a file. */
export function isDigest(digest: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(digest);
}

/** Pure. What a descriptor's media type says. */
export function kindOf({
  mediaType,
}: Pick<Descriptor, "mediaType">): "index" | "manifest" | "other" {
  switch (mediaType) {
    case "application/vnd.oci.image.index.v1+json":
    case "application/vnd.docker.distribution.manifest.list.v2+json":
      return "index";
    case "application/vnd.oci.image.manifest.v1+json":
    case "application/vnd.docker.distribution.manifest.v2+json":
      return "manifest";
    default:
      return "other";
  }
}

const descriptor = object({ mediaType: text, digest: text, size: number });
const indexShape = object({ manifests: array(descriptor) });
const manifestShape = object({ config: descriptor, layers: array(descriptor) });

/**
 * Takes the text of an index.
 *
 * Pure.
 *
 * @param where  how the failure names it
 * @throws {Failure} E_OBJECT only when it is none
 */
export function parseIndex(bytes: Uint8Array, where: string): ImageIndex {
  const value = parse(bytes, where, "image index", indexShape) as ImageIndex;
  check(value.manifests, where);
  return value;
}

/** Takes the text of a manifest. Pure. @throws {Failure} E_OBJECT only when it is none */
export function parseManifest(bytes: Uint8Array, where: string): ImageManifest {
  const value = parse(bytes, where, "image manifest", manifestShape) as ImageManifest;
  check([value.config, ...value.layers], where);
  return value;
}

function parse(
  bytes: Uint8Array,
  where: string,
  what: string,
  shape: (value: unknown) => { readonly path: string; readonly expected: string } | undefined,
): unknown {
  let value: unknown;
  try {
    value = parseJson(Buffer.from(bytes).toString("utf8"));
  } catch {
    throw malformed(where, what, "it is not JSON");
  }
  const mismatch = shape(value);
  if (mismatch !== undefined) {
    throw malformed(where, what, `${mismatch.path}: expected ${mismatch.expected}`);
  }
  return value;
}

function check(descriptors: readonly Descriptor[], where: string): void {
  for (const { digest, size } of descriptors) {
    if (!isDigest(digest) || !Number.isSafeInteger(size) || size < 0) {
      throw malformed(where, "descriptor", "a digest that is not sha256, or a size that is none");
    }
  }
}

function malformed(where: string, what: string, found: string): Failure {
  return new Failure("E_OBJECT", {
    what: `the ${what} is malformed`,
    where,
    found,
    next: "Run `blackstart images archive` while the image is whole",
  });
}
