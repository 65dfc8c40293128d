import { Failure } from "../errors.ts";
import type { CheckpointImage } from "../model/checkpoint.ts";
import { parseJson } from "../model/json.ts";
import { array, maybe, number, object, text } from "../model/shape.ts";
import { type Descriptor, isDigest } from "./oci.ts";

/*
 * `index.json` of the archive, an OCI image layout: one entry for each name of an image.
 *
 *   {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",
 *    "manifests":[{"mediaType":…,"digest":"sha256:…","size":…,
 *      "annotations":{"io.containerd.image.name":"registry/repository:tag",
 *                     "org.opencontainers.image.ref.name":"tag",
 *                     "dev.blackstart.manifest":"sha256:…"}}],
 *    "annotations":{"dev.blackstart.images":"…"}}
 *
 * Source: OCI image-spec v1.1.1 `image-layout.md`, `annotations.md`; containerd 2.3.7
 * `core/images/annotations.go`.
 */

/** A name of an image in the archive, and what it stands for. */
export interface CatalogEntry {
  /** As the runtime has it. */
  readonly name: string;
  readonly target: Descriptor;
  /** The manifest of this node's platform; the target itself where that is one. */
  readonly manifest: string;
  /** Which of the wanted images it belongs to. */
  readonly reference: string;
}

/** What an archive holds. */
export interface Catalog {
  readonly entries: readonly CatalogEntry[];
  /** Of the wanted images that it was made for, `tagOfWanted`; undefined where some of them are missing. */
  readonly tag: string | undefined;
}

export const catalogName = "index.json";
export const layoutName = "oci-layout";
/** Pure. The text of the file that says what this is. */
export const layoutText = '{"imageLayoutVersion":"1.0.0"}\n';
/** For thousands of names. */
export const catalogLimitBytes = 4 << 20;

const nameKey = "io.containerd.image.name";
const refKey = "org.opencontainers.image.ref.name";
const manifestKey = "dev.blackstart.manifest";
const referenceKey = "dev.blackstart.reference";
const tagKey = "dev.blackstart.images";

/** Pure. */
export function encodeCatalog({ entries, tag }: Catalog): string {
  const manifests = entries.map(({ name, target, manifest, reference }) => {
    const label = /:([^/:@]+)$/.exec(name.includes("/") && !name.includes("@") ? name : "")?.[1];
    return {
      mediaType: target.mediaType,
      digest: target.digest,
      size: target.size,
      annotations: {
        [nameKey]: name,
        ...(label === undefined ? {} : { [refKey]: label }),
        [manifestKey]: manifest,
        [referenceKey]: reference,
      },
    };
  });
  const document = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests,
    ...(tag === undefined ? {} : { annotations: { [tagKey]: tag } }),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

const annotations = (keys: readonly string[]) =>
  object(Object.fromEntries(keys.map((key) => [key, text])));
const shape = object({
  manifests: array(
    object({
      mediaType: text,
      digest: text,
      size: number,
      annotations: annotations([nameKey, manifestKey, referenceKey]),
    }),
  ),
  annotations: maybe(object({ [tagKey]: maybe(text) })),
});

/**
 * Takes the text of an archive's `index.json`.
 *
 * Pure.
 *
 * @throws {Failure} E_OBJECT only when it is none of ours
 */
export function parseCatalog(content: string, where: string): Catalog {
  let value: unknown;
  try {
    value = parseJson(content);
  } catch {
    throw malformed(where, "it is not JSON");
  }
  const mismatch = shape(value);
  if (mismatch !== undefined) {
    throw malformed(where, `${mismatch.path}: expected ${mismatch.expected}`);
  }
  const document = value as {
    readonly manifests: readonly (Descriptor & {
      readonly annotations: Readonly<Record<string, string>>;
    })[];
    readonly annotations?: Readonly<Record<string, string>>;
  };
  const entries = document.manifests.map(({ mediaType, digest, size, annotations: notes }) => ({
    name: notes[nameKey] ?? "",
    target: { mediaType, digest, size },
    manifest: notes[manifestKey] ?? "",
    reference: notes[referenceKey] ?? "",
  }));
  for (const { name, target, manifest } of entries) {
    if (name === "" || !isDigest(target.digest) || !isDigest(manifest)) {
      throw malformed(where, `the entry of ${JSON.stringify(name)} names no digest`);
    }
    const own = /@(sha256:[0-9a-f]+)$/.exec(name)?.[1];
    if (own !== undefined && own !== target.digest) {
      throw malformed(where, `the entry of ${name} names ${target.digest}`);
    }
  }
  return { entries, tag: document.annotations?.[tagKey] };
}

/** An image that an archive should hold. */
export interface WantedImage {
  /** What the runtime is asked for: the digest that ran, else its id, else the name. */
  readonly reference: string;
  /** As in the pod's spec. */
  readonly name: string;
  /** The runtime's `sha256:…`, where the capture has it. */
  readonly id: string | undefined;
}

/** The images of a checkpoint, each once, sorted. Pure. */
export function wantedImages(images: readonly CheckpointImage[]): readonly WantedImage[] {
  const wanted = new Map<string, WantedImage>();
  for (const { name, digest, id } of images) {
    const reference = digest ?? id ?? name;
    wanted.set(reference, wanted.get(reference) ?? { reference, name, id });
  }
  return [...wanted.values()].sort((a, b) => (a.reference < b.reference ? -1 : 1));
}

function malformed(where: string, found: string): Failure {
  return new Failure("E_OBJECT", {
    what: "the index of the image archive is malformed",
    where,
    found,
    next: "Run `blackstart images archive` while the images are whole: it makes the archive anew",
  });
}
