import { unlinkSync } from "node:fs";
import { posix } from "node:path";
import { removeEntry } from "../host/anchored-dir.ts";
import { observeOwnedLinks } from "../host/manifest-dir.ts";
import { writeFailure } from "../host/write-failure.ts";
import type { RestorePlan } from "../model/plan.ts";
import { removePodDir } from "./leftovers.ts";
import { podDirName, type Site } from "./site.ts";

/**
 * Removes what is left of our pods that a plan does not have: (1) links, (2) manifests, (3) volumes.
 *
 * Foreign files in the manifest directory are not looked into. Everything under `runDir` is ours.
 *
 * @returns the removed paths, absolute on the node
 * @throws {Failure} E_READONLY, E_IO, … only when something cannot be removed
 */
export function prunePods(site: Site, plan: RestorePlan): string[] {
  const links = new Set(plan.pods.map((pod) => pod.manifest.linkName));
  const files = new Set(plan.pods.map((pod) => posix.basename(pod.manifest.file)));
  const dirs = new Map<string, Set<string>>();
  for (const pod of plan.pods) {
    const dirName = podDirName(site.runDir, pod);
    if (dirName !== undefined) {
      dirs.set(dirName, new Set(pod.volumes.map((volume) => posix.basename(volume.dir))));
    }
  }
  try {
    return [
      ...pruneLinks(site, links), // (1)
      ...pruneManifests(site, files), // (2)
      ...pruneVolumes(site, dirs), // (3)
    ];
  } catch (error) {
    throw writeFailure(error, unremovable, site.runDir);
  }
}

const unremovable = "a pod that is no longer wanted cannot be removed";

function pruneLinks(site: Site, planned: ReadonlySet<string>): string[] {
  const { place } = site;
  if (place === undefined) {
    return [];
  }
  const stale = observeOwnedLinks(place).filter((link) => !planned.has(link.linkName));
  return stale.map(({ linkName }) => {
    const link = posix.join(place.staticPodDir, linkName);
    try {
      unlinkSync(place.dir.at(linkName));
    } catch (error) {
      throw writeFailure(error, unremovable, link);
    }
    return link;
  });
}

function pruneManifests(site: Site, planned: ReadonlySet<string>): string[] {
  const stale = site.manifests.names().filter((name) => !planned.has(name));
  return stale.map((name) => {
    removeEntry(site.manifests, name);
    return `${site.runDir}/manifests/${name}`;
  });
}

function pruneVolumes(site: Site, planned: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  return site.pods.directories().flatMap((dirName) => {
    const path = `${site.runDir}/pods/${dirName}`;
    const volumes = planned.get(dirName);
    if (volumes === undefined) {
      removePodDir(site.pods, dirName);
      return [path];
    }
    using dir = site.pods.openChild(dirName);
    const stale = dir.names().filter((name) => !volumes.has(name));
    for (const name of stale) {
      removeEntry(dir, name);
    }
    return stale.map((name) => `${path}/${name}`);
  });
}
