import { readPullSettings } from "../host/pull-settings.ts";
import type { PodPlan, Warning } from "../model/plan.ts";
import type { RecordFile } from "../model/pull-record.ts";
import { pullCheckOf } from "../plan/pull-check.ts";
import {
  describeUse,
  type JudgedPod,
  judgeImages,
  recordsOfInterest,
  warnOfCredentials,
} from "../plan/pull-records.ts";
import { readPullRecords, recordDirs } from "../project/pull-records.ts";
import type { Session } from "./session.ts";

/** The parts of a plan's pods that images are judged by. */
export type PodImages = Pick<PodPlan, "namespace" | "name" | "images">;

/** Which images static copies could use, were they to start now without a registry. */
export interface ImageUses {
  readonly pods: readonly JudgedPod[];
  /** Pure. "usable", or why not; undefined for an image that is not in the plan. */
  readonly use: (pod: PodImages, place: string) => string | undefined;
  /** W_IMAGE_CREDENTIALS for each pod that a cold boot could not bring back; W_PULL_RECORDS. */
  readonly warnings: readonly Warning[];
  /** Pure. The same, if these records were in the way. */
  readonly warningsFor: (isInTheWay: (record: RecordFile) => boolean) => readonly Warning[];
}

/**
 * Judges the images of a plan by the pull records, the settings and the version of this node's kubelet. With
 * `images: {pullRecords: set-aside}` a record that a restore would set aside is in nobody's way.
 *
 * Reads the kubelet's files and nothing else. Never rejects.
 *
 * @param flags  of the running kubelet
 * @param version  the kubelet's, `v1.37.2`
 */
export async function judgeImageUse(
  { root, config }: Pick<Session, "root" | "config">,
  { flags }: { readonly flags: ReadonlyMap<string, string> },
  version: string | undefined,
  pods: readonly PodImages[],
): Promise<ImageUses> {
  const dirs = recordDirs(root, flags.get("root-dir"));
  const images = pods.flatMap((pod) => pod.images);
  const records = readPullRecords(dirs, recordsOfInterest(images));
  const check = pullCheckOf(await readPullSettings(root, flags), version);
  const judged = judgeImages(pods, records, check);
  const isInTheWay = (_: RecordFile) => config.images.pullRecords === "keep";
  const warningsFor: ImageUses["warningsFor"] = (inTheWay) => [
    ...records.warnings,
    ...warnOfCredentials(judged, inTheWay, config.images.pullRecords),
  ];
  return {
    pods: judged,
    use: (pod, place) => {
      const found = judged
        .find(({ namespace, name }) => namespace === pod.namespace && name === pod.name)
        ?.images.find(({ image }) => image.place === place)?.use;
      return found === undefined
        ? undefined
        : found.kind === "records" && !found.records.some(isInTheWay)
          ? "usable"
          : describeUse(found);
    },
    warnings: warningsFor(isInTheWay),
    warningsFor,
  };
}
