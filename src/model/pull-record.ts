import { hash } from "node:crypto";

/*
 * A kubelet keeps, where KubeletEnsureSecretPulledImages is on, one file for each image that it has pulled and one
 * for each pull that has begun:
 *
 *   <root-dir>/image_manager/pulled/sha256-<hex of the image's id>       ImagePulledRecord: who may use it
 *   <root-dir>/image_manager/pulling/sha256-<hex of the name in the pod> ImagePullIntent: who knows what came of it
 *
 * Source: Kubernetes v1.37.2 `pkg/kubelet/images/pullmanager/fs_pullrecords.go`.
 */

/** The two lists. */
export type RecordList = "pulled" | "pulling";

/** A record's place: its list, and the name of its file there. */
export interface RecordFile {
  readonly list: RecordList;
  readonly file: string;
}

/** What a file holds. */
export type PullRecord =
  | (RecordFile & {
      readonly kind: "pulled";
      /** The runtime's id of the image, as CRI tells it. */
      readonly id: string;
      /** By repository: true where any pod of the node may use it, false where it has to show credentials. */
      readonly open: ReadonlyMap<string, boolean>;
    })
  | (RecordFile & { readonly kind: "pulling"; readonly image: string })
  /** Not a record, as when the power failed before its bytes were on the disk: a kubelet takes it for an error. */
  | (RecordFile & { readonly kind: "damaged" });

/** All records that can be seen, wherever they are. */
export interface PullRecords {
  /** Where the kubelet has them. */
  readonly kept: readonly PullRecord[];
  /** Where we have put them; one that the kubelet has written anew counts there no more. */
  readonly aside: readonly PullRecord[];
}

/** What a kubelet's configuration says of images that are there. */
export interface PullSettings {
  /** imagePullCredentialsVerificationPolicy. */
  readonly policy: string | undefined;
  /** preloadedImagesVerificationAllowlist. */
  readonly allowlist: readonly string[];
  readonly featureGates: ReadonlyMap<string, boolean>;
}

/** Pure. The name of the record of an image's id, or of a begun pull of a name. */
export function recordName(text: string): string {
  return `sha256-${hash("sha256", text, "hex")}`;
}

/** Pure. True for a name that a kubelet takes for a record's: not for one of its temporary files. */
export function isRecordName(name: string): boolean {
  return /^sha256-[0-9a-f]{64}$/.test(name);
}

/** Pure. Takes the text of a record's file. Never throws. */
export function parseRecord(list: RecordList, file: string, text: string): PullRecord {
  const value = parseObject(text);
  if (list === "pulling") {
    const image = value?.["image"];
    return value?.["kind"] === "ImagePullIntent" && typeof image === "string"
      ? { kind: "pulling", list, file, image }
      : { kind: "damaged", list, file };
  }
  const id = value?.["imageRef"];
  const open = parseMapping(value?.["credentialMapping"]);
  return value?.["kind"] === "ImagePulledRecord" && typeof id === "string" && open !== undefined
    ? { kind: "pulled", list, file, id, open }
    : { kind: "damaged", list, file };
}

function parseMapping(value: unknown): ReadonlyMap<string, boolean> | undefined {
  if (value === undefined || value === null) {
    return new Map();
  }
  if (!isObject(value)) {
    return undefined;
  }
  const open = new Map<string, boolean>();
  for (const [repository, credentials] of Object.entries(value)) {
    if (!isObject(credentials)) {
      return undefined;
    }
    open.set(repository, credentials["nodePodsAccessible"] === true);
  }
  return open;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
