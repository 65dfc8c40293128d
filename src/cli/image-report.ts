import { under } from "../config.ts";
import { runtimeSocket } from "../host/runtime-socket.ts";
import type { PodPlan } from "../model/plan.ts";
import { type ImageFinding, imageStatus, runtimeVersion } from "../runtime/cri.ts";
import { openGrpcSocket } from "../runtime/grpc.ts";

/** An image of a pod, as a cold boot would find it now. */
export interface ReportedImage {
  /** `containers/NAME`, `initContainers/NAME` or `volumes/NAME`. */
  readonly place: string;
  /** As in the pod's spec. */
  readonly name: string;
  /** `registry/repository@sha256:…` that the copy's manifest names; null where it names the tag. */
  readonly digest: string | null;
  /** The runtime's; null where neither it nor the checkpoint knows one. */
  readonly id: string | null;
  /** null where the runtime does not tell. */
  readonly present: boolean | null;
  /** Kept from garbage collection; null where the runtime does not tell. */
  readonly pinned: boolean | null;
  /** "usable", or why a static copy may not use it though it is there; null where that is not known. */
  readonly use: string | null;
}

/** The images of one pod. */
export interface ReportedPod {
  readonly namespace: string;
  readonly name: string;
  readonly images: readonly ReportedImage[];
}

/** What the runtime says of itself, and of the images that manifests name. */
export interface RuntimeReport {
  /** Absolute on the node; null where none is known. */
  readonly socket: string | null;
  /** `containerd`, `cri-o`, …; null where it does not tell. */
  readonly name: string | null;
  readonly version: string | null;
  /** Why it does not tell; null when it does. */
  readonly problem: string | null;
  readonly findings: ReadonlyMap<string, ImageFinding>;
}

/** How long the runtime has for all answers together, ms. */
const deadlineMs = 2_000;

/**
 * Asks the runtime of the node for the images that the copies would run. Bounded in time; never rejects.
 */
export async function askForImages(root: string, pods: readonly PodPlan[]): Promise<RuntimeReport> {
  const silent = { name: null, version: null, findings: new Map<string, ImageFinding>() };
  const found = await runtimeSocket(root);
  if (found.kind === "none") {
    return { ...silent, socket: null, problem: found.problem };
  }
  using runtime = openGrpcSocket(under(root, found.path));
  const references = pods.flatMap(({ images }) => images.map(({ reference }) => reference));
  const [version, ...findings] = await Promise.all([
    runtimeVersion(runtime, deadlineMs),
    ...[...new Set(references)].map(
      async (reference) => [reference, await imageStatus(runtime, reference, deadlineMs)] as const,
    ),
  ]);
  const silence = findings.flatMap(([, one]) => (one.kind === "unknown" ? [one.problem] : []));
  const problem = silence[0] ?? (version === undefined ? "it does not tell its version" : null);
  return {
    socket: found.path,
    name: version?.name ?? null,
    version: version?.version ?? null,
    problem,
    findings: new Map(findings),
  };
}

/** Pure. One line: which runtime was asked, and what it cannot do. */
export function describeRuntime(
  { socket, name, version, problem }: Omit<RuntimeReport, "findings">,
  pin: boolean,
): string {
  if (name === null || problem !== null) {
    const place = socket === null ? "" : ` (${socket})`;
    return `does not tell of images: ${problem}${place}`;
  }
  const said = `${name} ${version} at ${socket}`;
  if (!pin) {
    return `${said}; images are not pinned (\`images: {pin: false}\`)`;
  }
  return name === "containerd" || name === "cri-o"
    ? said
    : `${said}; it has no way to keep images from garbage collection`;
}

/**
 * Pure. What a cold boot would find of each pod's images.
 *
 * @param use  why a static copy may not use an image of a pod, "usable" where it may; undefined where that is not known
 */
export function reportImages(
  pods: readonly PodPlan[],
  findings: RuntimeReport["findings"],
  use: (pod: PodPlan, place: string) => string | undefined,
): readonly ReportedPod[] {
  return pods.map((pod) => ({
    namespace: pod.namespace,
    name: pod.name,
    images: pod.images.map(({ place, name, reference, id }): ReportedImage => {
      const finding = findings.get(reference);
      const image = finding?.kind === "present" ? finding.image : undefined;
      const isKnown = finding !== undefined && finding.kind !== "unknown";
      return {
        place,
        name,
        digest: reference.includes("@") ? reference : null,
        id: image?.id ?? id ?? null,
        present: isKnown ? image !== undefined : null,
        pinned: isKnown ? (image?.pinned ?? false) : null,
        use: use(pod, place) ?? null,
      };
    }),
  }));
}

/** Pure. A row for each image: its name, the start of its digest, what is known of it. */
export function describeImages({ images }: ReportedPod): readonly (readonly string[])[] {
  const seen = new Set<string>();
  return images.flatMap((image) => {
    const row = [image.name.split("@")[0] ?? "", shortDigest(image.digest), describeState(image)];
    const text = row.join(" ");
    const isNew = !seen.has(text);
    seen.add(text);
    return isNew ? [row] : []; // containers of a pod often share one
  });
}

function shortDigest(digest: string | null): string {
  const hex = /@sha256:([0-9a-f]{12})/.exec(digest ?? "")?.[1];
  return hex === undefined ? "no digest" : `sha256:${hex}`;
}

function describeState({ present, pinned, use }: ReportedImage): string {
  if (present === null) {
    return use === null || use === "usable" ? "not known" : `not known, ${use}`;
  }
  if (!present) {
    return "MISSING";
  }
  const kept = pinned === true ? "pinned" : "not pinned";
  return use === null || use === "usable" ? `present, ${kept}` : `present, ${kept}, ${use}`;
}
