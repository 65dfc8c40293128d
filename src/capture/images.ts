import type { CheckpointImage } from "../model/checkpoint.ts";
import { canonicalRepository, repositoryOf } from "../model/image-name.ts";
import type { Warning } from "../model/plan.ts";
import type { ImageUse } from "./image-uses.ts";

/** What the runtime says of a name, a digest or an id. */
export type ImageAnswer =
  | { readonly kind: "present"; readonly image: KnownImage }
  | { readonly kind: "absent" }
  | { readonly kind: "unknown" };

/** An image of the runtime. */
export interface KnownImage {
  readonly id: string;
  /** In any order. */
  readonly repoDigests: readonly string[];
}

/** What is known of the images, and what is wrong with them. */
export interface ImageFacts {
  /** One for each use; undefined where nobody has ever told anything. */
  readonly images: readonly CheckpointImage[] | undefined;
  /** W_IMAGE_MISSING, in the order of the uses. */
  readonly warnings: readonly Warning[];
}

/**
 * What the next generation says of each image.
 *
 * What ran counts, not what its name means now; only where it has no name of its own a copy has to run what the name
 * means now. Where the runtime is silent the newest generation's facts go on, so that silence makes no generation.
 *
 * Pure. Equal facts give equal entries, in whatever order the runtime tells them.
 *
 * @param answers  to `imageQuestions(uses)`; what is not among them is unknown
 * @param former   the newest generation's
 */
export function imageFacts(
  uses: readonly ImageUse[],
  answers: ReadonlyMap<string, ImageAnswer>,
  former: readonly CheckpointImage[] | undefined,
): ImageFacts {
  const found = uses.map((use) => ({ use, finding: findingOf(use, answers) }));
  const isSilent = found.every(({ finding }) => finding.kind === "unknown");
  return {
    images:
      isSilent && former === undefined
        ? undefined
        : found.map(({ use, finding }) => entryOf(use, finding, former ?? [])),
    warnings: found.flatMap(({ use, finding }) => warningsOf(use, finding)),
  };
}

type Finding =
  | { readonly kind: "unknown" }
  /** `id`: of the image that a copy runs, unless it is missing. */
  | {
      readonly kind: "known";
      readonly digest?: string;
      readonly id?: string;
      readonly flaw?: Flaw;
    };

/** `missing`: no image has the name that a copy uses. `moved`: one has, but it is not what ran. */
type Flaw = "missing" | "moved";

function findingOf(
  { name, ran = name }: ImageUse,
  answers: ReadonlyMap<string, ImageAnswer>,
): Finding {
  const named = answers.get(name) ?? { kind: "unknown" };
  const what = isWhatRan(named, ran) ? named : (answers.get(ran) ?? { kind: "unknown" });
  if (what.kind === "unknown") {
    return what;
  }
  const digest = what.kind === "present" ? digestOf(what.image, name, ran) : undefined;
  const id = what.kind === "present" ? { id: what.image.id } : {};
  if (digest !== undefined) {
    return { kind: "known", digest, ...id };
  }
  switch (named.kind) {
    case "unknown":
      return named;
    case "absent":
      return { kind: "known", ...id, flaw: "missing" };
    case "present":
      return named.image.id === id.id
        ? { kind: "known", ...id }
        : { kind: "known", id: named.image.id, flaw: "moved" };
  }
}

/** True where the name still means what ran, in whatever way the status says what that was. */
function isWhatRan(named: ImageAnswer, ran: string): boolean {
  const digest = namesDigest(ran);
  return (
    named.kind === "present" &&
    (named.image.id === ran ||
      named.image.repoDigests.some((one) => digest !== undefined && namesDigest(one) === digest))
  );
}

/** By what digest a copy names the image that ran; undefined where none would surely find it. */
function digestOf({ repoDigests }: KnownImage, name: string, ran: string): string | undefined {
  const repository = fullRepository(name);
  const own = repoDigests.filter((digest) => fullRepository(digest) === repository).sort();
  // A tag can have several digests: of the index, and of this machine's part of it.
  const preferred = [name, ran].map(namesDigest).filter((digest) => digest !== undefined);
  const best = preferred
    .map((digest) => own.find((one) => namesDigest(one) === digest))
    .find((one) => one !== undefined);
  return best ?? own[0] ?? repoDigests.find((one) => one === ran);
}

function entryOf(
  use: ImageUse,
  finding: Finding,
  former: readonly CheckpointImage[],
): CheckpointImage {
  const { ran: _ran, ...place } = use;
  const known = finding.kind === "known" ? finding : carriedOf(use, former);
  return {
    ...place,
    ...(known?.digest === undefined ? {} : { digest: known.digest }),
    ...(known?.id === undefined ? {} : { id: known.id }),
  };
}

/** What the newest generation knew, unless the pod's status tells that something else has run since. */
function carriedOf(
  { namespace, pod, place, name, ran }: ImageUse,
  former: readonly CheckpointImage[],
): CheckpointImage | undefined {
  const entry = former.find(
    (one) => one.namespace === namespace && one.pod === pod && one.place === place,
  );
  if (entry === undefined || entry.name !== name) {
    return undefined;
  }
  if (ran === undefined) {
    return entry;
  }
  const digest = namesDigest(ran);
  const isOther =
    digest === undefined
      ? entry.id !== undefined && entry.id !== ran
      : entry.digest !== undefined &&
        namesDigest(name) === undefined &&
        fullRepository(entry.digest) === fullRepository(ran) &&
        namesDigest(entry.digest) !== digest;
  return isOther ? undefined : entry;
}

function warningsOf(
  { namespace, pod, place, name }: ImageUse,
  finding: Finding,
): readonly Warning[] {
  if (finding.kind === "unknown" || finding.flaw === undefined) {
    return [];
  }
  const where = describePlace(place);
  const message =
    finding.flaw === "missing"
      ? `${where}: the image ${name} is not on this node; pull it (\`crictl pull ${name}\`), or a cold boot needs its registry`
      : `${where}: the image that ran has no name of its own any more, and ${name} means another one, which a copy would run; delete the pod, so that it runs that one too`;
  return [{ code: "W_IMAGE_MISSING", namespace, name: pod, message }];
}

function describePlace(place: string): string {
  const [list, name] = place.split("/");
  switch (list) {
    case "initContainers":
      return `init container ${name}`;
    case "volumes":
      return `image volume ${name}`;
    default:
      return `container ${name}`;
  }
}

function fullRepository(name: string): string {
  return canonicalRepository(repositoryOf(name));
}

/** The `sha256:…` of `repository@sha256:…`; undefined for a tag, a bare name or an id. */
function namesDigest(name: string): string | undefined {
  return /@(sha\d+:[0-9a-f]+)$/.exec(name)?.[1];
}
