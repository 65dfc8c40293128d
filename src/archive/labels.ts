import { type Descriptor, kindOf } from "./oci.ts";

/** How containerd's garbage collector learns what a blob refers to: a label for each, with its digest. */
const reference = "containerd.io/gc.ref.content";

/**
 * The labels that an index needs, so that its manifests stay.
 *
 * Pure. Only those that are there: containerd has no more of a multi-platform image either.
 * Source: containerd 2.3.7 `core/images/mediatypes.go: ChildGCLabels`, `core/images/handlers.go`.
 */
export function indexLabels(manifests: readonly Descriptor[]): ReadonlyMap<string, string> {
  return new Map(
    manifests.map(({ digest, ...one }, at) => {
      const key = kindOf(one) === "manifest" ? `${reference}.m.${at}` : `${reference}.${at}`;
      return [key, digest] as const;
    }),
  );
}

/** The labels that a manifest needs, so that its configuration and its layers stay. Pure. Source: as above. */
export function manifestLabels(
  config: Descriptor,
  layers: readonly Descriptor[],
): ReadonlyMap<string, string> {
  return new Map([
    [`${reference}.config`, config.digest],
    ...layers.map(({ digest }, at) => [`${reference}.l.${at}`, digest] as const),
  ]);
}

const snapshotReference = "containerd.io/gc.ref.snapshot.";

/**
 * Where an image is unpacked, as the labels of its configuration say: the snapshotter and the key of the topmost
 * layer. Pure. Source: containerd 2.3.7 `core/unpack/unpacker.go`.
 */
export function unpackedAs(
  labels: ReadonlyMap<string, string>,
): readonly { readonly snapshotter: string; readonly key: string }[] {
  return [...labels].flatMap(([label, key]) =>
    label.startsWith(snapshotReference)
      ? [{ snapshotter: label.slice(snapshotReference.length), key }]
      : [],
  );
}
