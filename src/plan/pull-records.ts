import type { Config } from "../config.ts";
import { canonicalName, canonicalRepository, repositoryOf } from "../model/image-name.ts";
import type { PlannedImage, PodPlan, Warning } from "../model/plan.ts";
import {
  type PullRecord,
  type PullRecords,
  type RecordFile,
  recordName,
} from "../model/pull-record.ts";
import type { PullCheck } from "./pull-check.ts";

/** Whether a static copy may use an image that is there. */
export type ImageUse =
  | { readonly kind: "usable" }
  /** It may when these records are out of the kubelet's sight as it starts. */
  | { readonly kind: "records"; readonly records: readonly RecordFile[] }
  /** It may not, whatever records there are. `policy` is the kubelet's. */
  | { readonly kind: "refused"; readonly policy: PullCheck["policy"] };

/** One image of a pod, and whether its copy may use it. */
export interface JudgedImage {
  readonly image: PlannedImage;
  readonly use: ImageUse;
}

/** One pod, image by image, in the plan's order. */
export interface JudgedPod {
  readonly namespace: string;
  readonly name: string;
  readonly images: readonly JudgedImage[];
}

/**
 * Judges for each image that a plan's pods run whether the kubelet would let a static copy use it, which presents no
 * credentials, or would rather pull it again.
 *
 * Pure.
 *
 * @param records  wherever they are now
 * Source: Kubernetes v1.37.2 `pkg/kubelet/images/pullmanager/image_pull_manager.go: MustAttemptImagePull, initialize`.
 */
export function judgeImages(
  pods: readonly Pick<PodPlan, "namespace" | "name" | "images">[],
  { kept, aside }: PullRecords,
  check: PullCheck,
): readonly JudgedPod[] {
  const records = [...kept, ...aside];
  return pods.map(({ namespace, name, images }) => ({
    namespace,
    name,
    images: images.map((image) => ({ image, use: judgeImage(image, records, check) })),
  }));
}

/** Pure. The records that have to be out of sight for all pods, each once. */
export function recordsInTheWay(pods: readonly JudgedPod[]): readonly RecordFile[] {
  const found = new Map<string, RecordFile>();
  for (const { use } of pods.flatMap(({ images }) => images)) {
    for (const record of use.kind === "records" ? use.records : []) {
      found.set(`${record.list}/${record.file}`, record);
    }
  }
  return [...found.values()];
}

/** Pure. The names of the files that can matter for these images; undefined where any of them can. */
export function recordsOfInterest(
  images: readonly PlannedImage[],
): ReadonlySet<string> | undefined {
  return images.some(({ id }) => id === undefined)
    ? undefined
    : new Set(
        images.flatMap((image) => [
          recordName(image.id ?? ""),
          ...pullNames(image).map(recordName),
        ]),
      );
}

/**
 * Pure. What a static copy may not use, one warning for each pod.
 *
 * @param isInTheWay  of a record: whether it stays in the kubelet's sight
 * @param pullRecords  of the configuration: what is set already is no way out
 */
export function warnOfCredentials(
  pods: readonly JudgedPod[],
  isInTheWay: (record: RecordFile) => boolean,
  pullRecords: Config["images"]["pullRecords"],
): readonly Warning[] {
  return pods.flatMap(({ namespace, name, images }) => {
    const refused = images.filter(({ use }) => use.kind === "refused");
    const held = images.filter(({ use }) => use.kind === "records" && use.records.some(isInTheWay));
    const [hit] = [...refused, ...held];
    if (hit === undefined) {
      return [];
    }
    const names = [...new Set([...refused, ...held].map(({ image }) => image.name))];
    const message = `${names.join(", ")} cannot be used without the registry: ${describeUse(hit.use)}. ${waysOut(hit.use, pullRecords)}`;
    return [{ code: "W_IMAGE_CREDENTIALS", namespace, name, message } as const];
  });
}

/** Pure. Why a copy may not use an image as things are; "usable" where it may. */
export function describeUse(use: ImageUse): string {
  switch (use.kind) {
    case "usable":
      return "usable";
    case "records":
      return "the kubelet's pull record asks for the credentials that it was pulled with, and a static pod presents none";
    case "refused":
      return `the kubelet's imagePullCredentialsVerificationPolicy ${use.policy} asks for credentials, and a static pod presents none`;
  }
}

function waysOut({ kind }: ImageUse, pullRecords: Config["images"]["pullRecords"]): string {
  const policy =
    "let the kubelet's imagePullCredentialsVerificationPolicy be NeverVerify, or NeverVerifyAllowlistedImages with the repository in preloadedImagesVerificationAllowlist";
  const pull =
    "pull the image with credentials of the node itself, so that its record says nodePodsAccessible";
  return kind === "records" && pullRecords === "keep"
    ? `Set \`images: {pullRecords: set-aside}\`; or ${policy}; or ${pull}`
    : `${policy[0]?.toUpperCase()}${policy.slice(1)}; or ${pull}`;
}

function judgeImage(
  image: PlannedImage,
  records: readonly PullRecord[],
  check: PullCheck,
): ImageUse {
  const { policy } = check;
  if (policy === "off") {
    return { kind: "usable" };
  }
  const repository = keyOf(image.reference, check);
  const pulled = pulledRecords(image, records, repository);
  if (isOpenToAll(pulled, repository)) {
    return { kind: "usable" }; // whatever the policy
  }
  const begun = records.filter((record) => isBegunPull(image, record));
  switch (policy) {
    case "AlwaysVerify":
      return { kind: "refused", policy };
    case "NeverVerifyAllowlistedImages":
      return isAllowlisted(repository, check.allowlist)
        ? withoutErrors(image, pulled, begun)
        : { kind: "refused", policy };
    case "NeverVerify":
      return withoutErrors(image, pulled, begun);
    case "NeverVerifyPreloadedImages":
      return needing([
        ...pulled.filter((one) => one.kind === "damaged" || one.open.get(repository) !== true),
        ...begun,
      ]);
  }
}

/** What a policy that asks for nothing stumbles over all the same: a file that cannot be read as a record. */
function withoutErrors(
  { reference }: PlannedImage,
  pulled: readonly PullRecord[],
  begun: readonly PullRecord[],
): ImageUse {
  const damaged = pulled.filter(({ kind }) => kind === "damaged");
  const isOnRecord = pulled.length > damaged.length;
  const unread = begun.filter(
    ({ kind, file }) => kind === "damaged" && file === recordName(reference),
  );
  return needing([...damaged, ...(isOnRecord ? [] : unread)]);
}

function needing(records: readonly PullRecord[]): ImageUse {
  return records.length === 0
    ? { kind: "usable" }
    : { kind: "records", records: records.map(({ list, file }) => ({ list, file })) };
}

type Pulled = Exclude<PullRecord, { readonly kind: "pulling" }>;

/**
 * The record of the image's id; where the checkpoint has no id, those that name its repository. A file that holds
 * the record of another id than its name says is none for the kubelet either.
 */
function pulledRecords(
  { id, name }: PlannedImage,
  records: readonly PullRecord[],
  repository: string,
): readonly Pulled[] {
  const pulled = records.filter((record): record is Pulled => record.list === "pulled");
  if (id !== undefined) {
    const file = recordName(id);
    return pulled.filter(
      (record) => record.file === file && (record.kind === "damaged" || record.id === id),
    );
  }
  const names = [repository, repositoryOf(name), canonicalRepository(repositoryOf(name))];
  return pulled.filter(
    (record) => record.kind === "pulled" && names.some((one) => record.open.has(one)),
  );
}

/** Without an id nobody knows which of the records is the image's: all of them have to be open. */
function isOpenToAll(pulled: readonly Pulled[], repository: string): boolean {
  return (
    pulled.length > 0 &&
    pulled.every((record) => record.kind === "pulled" && record.open.get(repository) === true)
  );
}

/**
 * A pull of this image that was begun and not ended. The kubelet takes what it may have brought for pulled by nobody
 * knows whom: by the name in the pod at once, by a name in full when it starts, where it makes a record of it.
 */
function isBegunPull(image: PlannedImage, record: PullRecord): boolean {
  if (record.list !== "pulling") {
    return false;
  }
  const names = pullNames(image);
  return record.kind === "pulling"
    ? names.includes(record.image)
    : record.file === recordName(image.reference);
}

function pullNames({ name, reference }: PlannedImage): readonly string[] {
  return [...new Set([reference, name, canonicalName(name), canonicalName(reference)])];
}

function keyOf(reference: string, { spelling }: PullCheck): string {
  const repository = repositoryOf(reference);
  return spelling === "in-full" ? canonicalRepository(repository) : repository;
}

/** Source: Kubernetes v1.37.2 `image_pull_policies.go: imageMatches`. */
function isAllowlisted(repository: string, allowlist: readonly string[]): boolean {
  return allowlist.some((pattern) =>
    pattern.endsWith("/*") ? repository.startsWith(pattern.slice(0, -1)) : repository === pattern,
  );
}
