import { posix } from "node:path";
import { under } from "../config.ts";
import { removeEntry } from "../host/anchored-dir.ts";
import { type OwnedLink, temporaryPrefix } from "../host/manifest-dir.ts";
import { fits, freeSpace, noSpace, spaceOf } from "../host/space.ts";
import { hasErrno } from "../host/system-error.ts";
import { writeFailure } from "../host/write-failure.ts";
import type { Outcome } from "../model/outcome.ts";
import type { PodPlan } from "../model/plan.ts";
import { removeHidden, removePodDir } from "./leftovers.ts";
import { hasManifest, linkManifest, removeLink, requireLink, writeManifest } from "./manifest.ts";
import { podDirName, type Site } from "./site.ts";
import { commitVolume, stageVolume } from "./volume.ts";

/** A pod whose volumes are in place. */
export interface StagedPod {
  readonly kind: "staged";
  readonly pod: PodPlan;
  readonly link: OwnedLink | undefined;
  /** True when the kubelet could see the pod before. */
  readonly stood: boolean;
  /** Volumes that were written, absolute on this machine. */
  readonly writtenDirs: readonly string[];
}

type FailedPod = Extract<Outcome, { kind: "failed" }>;

/**
 * Puts a pod's volumes in place: (1) everything is written under hidden names, (2) and renamed.
 *
 * A pod that stood before and fails in (1) stays as it was. Any other that fails is removed.
 */
export function stagePod(site: Site, pod: PodPlan): StagedPod | FailedPod {
  let stood = false;
  let untouched = true;
  try {
    const link = site.place && requireLink(site.place, pod.manifest.linkName);
    const fileName = posix.basename(pod.manifest.file);
    stood =
      site.place === undefined ? hasManifest(site.manifests, fileName) : link?.marks !== undefined;
    const dirName = podDirName(site.runDir, pod);
    if (dirName === undefined) {
      return { kind: "staged", pod, link, stood, writtenDirs: [] };
    }
    const { dir: opened, found } = site.pods.ensureChild(dirName);
    using dir = opened;
    if (!found) {
      spend(site, pod);
    }
    const volumes = pod.volumes.map(({ dir: path, entries }, index) =>
      stageVolume(dir, posix.basename(path), entries, `${temporaryPrefix}${index}`, site.owner),
    ); // (1)
    untouched = false;
    for (const volume of volumes) {
      commitVolume(dir, volume, site.owner); // (2)
    }
    const writtenDirs = pod.volumes
      .filter((_, index) => volumes[index]?.kind !== "equal")
      .map((volume) => under(site.root, volume.dir));
    return { kind: "staged", pod, link, stood, writtenDirs };
  } catch (error) {
    return fail(site, pod, full(site, pod, error), stood && untouched);
  }
}

/** Shows a pod whose volumes are in place: (1) the manifest, (2) the link. A pod that fails is removed. */
export function showPod(site: Site, staged: StagedPod): Outcome {
  const { pod, link, stood, writtenDirs } = staged;
  const { namespace, name, manifest } = pod;
  const fileName = posix.basename(manifest.file);
  let written: boolean;
  try {
    written = writeManifest(site.manifests, fileName, manifest.text, site.owner); // (1)
  } catch (error) {
    return fail(site, pod, full(site, pod, error), false);
  }
  try {
    const linked = site.place && linkManifest(site.place, manifest.linkName, fileName, link); // (2)
    const changed = written || linked === true || writtenDirs.length > 0;
    return { kind: stood ? (changed ? "updated" : "unchanged") : "projected", namespace, name };
  } catch (error) {
    const where = posix.join(site.place?.path ?? "", manifest.linkName);
    return fail(site, pod, error, false, where);
  }
}

/**
 * Removes a pod: (1) the link, (2) the manifest, (3) the volumes, so that at no moment a kubelet sees a
 * pod that is not whole. Nothing happens for what is missing.
 */
export function removePod(site: Site, pod: PodPlan): void {
  if (site.place !== undefined) {
    removeLink(site.place, pod.manifest.linkName); // (1)
  }
  removeEntry(site.manifests, posix.basename(pod.manifest.file)); // (2)
  const dirName = podDirName(site.runDir, pod);
  if (dirName !== undefined) {
    removePodDir(site.pods, dirName); // (3)
  }
}

/** `kept`: the pod of an earlier run stays, only what this run wrote out of sight goes. */
function fail(
  site: Site,
  pod: PodPlan,
  error: unknown,
  kept: boolean,
  where: string = under(site.root, pod.manifest.file),
): FailedPod {
  const { namespace, name } = pod;
  const failure = writeFailure(error, `pod ${namespace}/${name} cannot be projected`, where);
  try {
    if (kept) {
      removeHiddenOf(site, pod);
    } else {
      removePod(site, pod);
    }
  } catch {
    // The first error is the one to tell. What could not be removed is left to the next run.
  }
  return { kind: "failed", namespace, name, failure, kept };
}

function removeHiddenOf(site: Site, pod: PodPlan): void {
  const dirName = podDirName(site.runDir, pod);
  if (dirName !== undefined) {
    using dir = site.pods.openChild(dirName);
    removeHidden(dir);
  }
}

/** @throws {Failure} E_NOSPACE_TMPFS only when the pod is known not to fit, before anything is written */
function spend(site: Site, pod: PodPlan): void {
  const needed = spaceOf(pod);
  const free = freeSpace(site.pods.self);
  const left = { bytes: Math.min(free.bytes, site.budgetBytes), inodes: free.inodes };
  if (!fits(needed, left)) {
    throw noSpace(describe(pod), under(site.root, site.runDir), needed, left);
  }
  site.budgetBytes -= needed.bytes;
}

/** A full tmpfs, told with the numbers. Asked before anything of the pod is removed again. */
function full(site: Site, pod: PodPlan, error: unknown): unknown {
  if (hasErrno(error, "ENOSPC", "EDQUOT")) {
    const free = freeSpace(site.pods.self);
    return noSpace(describe(pod), under(site.root, site.runDir), spaceOf(pod), free);
  }
  return error;
}

function describe(pod: PodPlan): string {
  return `pod ${pod.namespace}/${pod.name} does not fit into the memory for secrets`;
}
