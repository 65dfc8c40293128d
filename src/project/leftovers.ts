import { renameSync } from "node:fs";
import { isSystemError } from "../errors.ts";
import { type AnchoredDir, removeEntry } from "../host/anchored-dir.ts";
import { removeTemporaryLinks, temporaryPrefix } from "../host/manifest-dir.ts";
import { hasErrno } from "../host/system-error.ts";
import type { Site } from "./site.ts";

/**
 * Removes what a run that was killed left under hidden names of ours, and nothing else.
 *
 * What cannot be removed stops nothing: a name that is still taken is told when it is needed.
 */
export function removeLeftovers(site: Site): void {
  const { place, pods, manifests } = site;
  if (place !== undefined) {
    quietly(() => removeTemporaryLinks(place));
  }
  quietly(() => removeHidden(manifests));
  quietly(() => removeHidden(pods));
  quietly(() => {
    for (const dirName of pods.directories()) {
      using dir = pods.openChild(dirName);
      removeHidden(dir);
    }
  });
}

function quietly(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isSystemError(error)) {
      throw error;
    }
  }
}

/** Removes the entries of a directory of ours that have a hidden name of ours. */
export function removeHidden(dir: AnchoredDir): void {
  for (const name of dir.names()) {
    if (name.startsWith(temporaryPrefix)) {
      removeEntry(dir, name);
    }
  }
}

/** Removes a pod's directory with all volumes: out of sight by one rename, then for good. */
export function removePodDir(pods: AnchoredDir, dirName: string): void {
  const hidden = `${temporaryPrefix}gone`;
  try {
    renameSync(pods.at(dirName), pods.at(hidden));
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return;
    }
    throw error;
  }
  removeEntry(pods, hidden);
}
