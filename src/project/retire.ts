import { readdirSync } from "node:fs";
import { paths, under } from "../config.ts";
import { observeOwnedLinks, openManifestDir } from "../host/manifest-dir.ts";
import { ownerOfProcess } from "../host/ownership.ts";
import { hasErrno } from "../host/system-error.ts";
import { writeFailure } from "../host/write-failure.ts";
import { removeLeftovers } from "./leftovers.ts";
import { prunePods } from "./prune.ts";
import { openSite } from "./site.ts";

/** Where a restore has projected to; paths are absolute on the node, without `root`. */
export interface RetireOptions {
  readonly root: string;
  /** undefined where there is no manifest directory that can be used. */
  readonly staticPodDir: string | undefined;
  readonly runDir: string;
  readonly canOwn: boolean;
}

/**
 * Takes all of our pods away: links, then manifests, then volumes. Nothing of others is touched.
 *
 * @returns the removed paths, absolute on the node
 * @throws {Failure} E_READONLY, E_IO, … only when something cannot be removed
 */
export function retireAll({ canOwn, ...place }: RetireOptions): readonly string[] {
  const owner = ownerOfProcess(canOwn);
  using site = openSite({ ...place, owner, capBytes: 0 });
  removeLeftovers(site);
  return prunePods(site, {
    node: "",
    generation: undefined,
    pods: [],
    skipped: [],
    warnings: [],
  });
}

/** What `retireAll` would remove. Touches nothing. */
export function observeAll({ root, staticPodDir, runDir }: RetireOptions): readonly string[] {
  return [
    ...linksIn(root, staticPodDir),
    ...["manifests", "pods"].flatMap((name) =>
      namesIn(under(root, `${runDir}/${name}`)).map((one) => `${runDir}/${name}/${one}`),
    ),
  ];
}

function linksIn(root: string, staticPodDir: string | undefined): readonly string[] {
  if (staticPodDir === undefined) {
    return [];
  }
  using place = openManifestDir(root, staticPodDir, paths.manifests);
  return observeOwnedLinks(place).map(({ linkName }) => `${staticPodDir}/${linkName}`);
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
      .filter((name) => !name.startsWith("."))
      .sort();
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return [];
    }
    throw writeFailure(error, "what is projected cannot be listed", dir);
  }
}
