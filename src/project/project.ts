import { posix } from "node:path";
import { paths, under } from "../config.ts";
import { Failure } from "../errors.ts";
import { ensureDirectory } from "../host/directory.ts";
import { openManifestDir } from "../host/manifest-dir.ts";
import { type Owner, ownerOfProcess, staysOurs } from "../host/ownership.ts";
import { labelTrees } from "../host/selinux.ts";
import type { Memory } from "../host/tmpfs.ts";
import { writeFailure } from "../host/write-failure.ts";
import type { Applied, UnappliedOwner } from "../model/outcome.ts";
import type { PodPlan, RestorePlan, Warning } from "../model/plan.ts";
import { removeLeftovers } from "./leftovers.ts";
import { showPod, stagePod } from "./pod.ts";
import { prunePods } from "./prune.ts";
import { openSite, type Site } from "./site.ts";

/** Where a plan is applied, and what this process may do there. */
export interface ApplyOptions {
  /** Prefix for every path: "/" on a node. */
  readonly root: string;
  /** The kubelet's manifest directory, absolute on the node, without `root`. */
  readonly staticPodDir: string;
  /** `/run/blackstart`, without `root`. */
  readonly runDir: string;
  /** Proof that `runDir` is memory. */
  readonly memory: Memory;
  readonly canOwn: boolean;
  readonly seLinux: boolean;
  /** True removes what is left of our pods that the plan does not have. */
  readonly prune: boolean;
}

/**
 * Makes a plan's pods visible to the kubelet.
 *
 * Per pod: (1) all volumes are built under hidden names, (2) and put in place, (3) labelled, (4) the
 * manifest is written, (5) one symlink in the manifest directory commits the pod. A pod that fails is
 * removed again and the next one goes on; one that stood before and failed in (1) stays as it was.
 * Steps 1 to 3 are done for all pods, then 4 and 5, so that labelling is one process.
 *
 * Touches `runDir` and, in the manifest directory, links of ours. Killed at any instant, no link
 * leads to a manifest whose volumes are not complete; the next run removes what was left.
 *
 * @throws {Failure} E_MANIFEST_DIR, E_MANIFEST_DIR_UNSAFE only when there can be no pod at all;
 *   E_PERMS only on "/" without CAP_CHOWN, or when others may write to `runDir`
 */
export function applyPlan(plan: RestorePlan, options: ApplyOptions): Applied {
  const { root, runDir, canOwn } = options;
  checkPlace(options);
  using site = openSite({
    root,
    runDir,
    staticPodDir: options.staticPodDir,
    owner: ownerOfProcess(canOwn),
    capBytes: options.memory.capBytes,
  });
  removeLeftovers(site);
  const pruned = options.prune ? prune(site, plan) : { removed: [], warnings: [] };
  const applied = applyPods(site, plan, options.seLinux);
  return {
    ...applied,
    removed: pruned.removed,
    warnings: [...pruned.warnings, ...applied.warnings],
  };
}

/** What cannot be removed, as on a disk that came up read-only, must not keep the plan's pods from coming up. */
function prune(site: Site, plan: RestorePlan): Pick<Applied, "removed" | "warnings"> {
  try {
    return { removed: prunePods(site, plan), warnings: [] };
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    const message = `${error.code}: ${error.message}`;
    return { removed: [], warnings: [{ code: "W_LEFTOVER", message }] };
  }
}

/**
 * Proves that pods can be made here at all, before a boot counts as an attempt of what it projects.
 *
 * @throws {Failure} E_MANIFEST_DIR, E_MANIFEST_DIR_UNSAFE only when that directory cannot be used; E_PERMS only on
 *   "/" without CAP_CHOWN
 */
export function checkPlace({
  root,
  staticPodDir,
  canOwn,
}: Pick<ApplyOptions, "root" | "staticPodDir" | "canOwn">): void {
  if (!canOwn && root === "/") {
    throw new Failure("E_PERMS", {
      what: "files cannot be given to the users of the pods",
      found: "CAP_CHOWN is missing",
      next: "Run as root",
    });
  }
  openManifestDir(root, staticPodDir, paths.manifests)[Symbol.dispose]();
}

/**
 * Writes manifests and volumes under a directory as if it were "/", for people to read.
 *
 * No link is made, nothing has to be memory: the caller says that `outDir` holds secrets. New
 * directories are 0700.
 *
 * @throws {Failure} E_CANNOT_CREATE, E_PERMS, … only when the directories cannot be made
 */
export function writeTree(
  plan: RestorePlan,
  outDir: string,
  runDir: string,
  canOwn: boolean,
): Applied {
  const path = under(outDir, runDir);
  try {
    ensureDirectory(path, 0o700);
  } catch (error) {
    throw writeFailure(error, "the output directory cannot be made", path);
  }
  using site = openSite({
    root: outDir,
    runDir,
    staticPodDir: undefined,
    owner: ownerOfProcess(canOwn),
    capBytes: Number.POSITIVE_INFINITY,
  });
  removeLeftovers(site);
  return { ...applyPods(site, plan, false), removed: [] };
}

function applyPods(site: Site, plan: RestorePlan, seLinux: boolean): Omit<Applied, "removed"> {
  const umask = process.umask(0); // each mode is given exactly, and a directory's counts from its birth
  const staged = plan.pods.map((pod) => stagePod(site, pod)); // (1) (2)
  process.umask(umask);
  const written = staged.flatMap((pod) => (pod.kind === "staged" ? pod.writtenDirs : []));
  const warnings = seLinux ? labelTrees(written) : []; // (3)
  const outcomes = staged.map((pod) => (pod.kind === "staged" ? showPod(site, pod) : pod)); // (4) (5)
  const unapplied = plan.pods.flatMap((pod, index) =>
    outcomes[index]?.kind === "failed" ? [] : unappliedOf(site.owner, pod),
  );
  return { outcomes, warnings: [...warnings, ...ownerWarnings(unapplied)], unapplied };
}

function unappliedOf(owner: Owner, pod: PodPlan): UnappliedOwner[] {
  const { namespace, name } = pod;
  return pod.volumes.flatMap(({ dir, entries }) =>
    entries
      .filter((entry) => staysOurs(entry, owner))
      .map(({ path, uid, gid }) => ({ namespace, name, path: posix.join(dir, path), uid, gid })),
  );
}

/** One warning for each pod, in the order of the list. */
function ownerWarnings(unapplied: readonly UnappliedOwner[]): Warning[] {
  const byPod = Map.groupBy(unapplied, ({ namespace, name }) => `${namespace}/${name}`);
  return [...byPod.values()].flatMap(([first, ...others]) => {
    if (first === undefined) {
      return [];
    }
    const { namespace, name } = first;
    const count = others.length + 1;
    const message = `${count} entries of volumes belong to this user instead of the planned owner (no CAP_CHOWN)`;
    return [{ code: "W_OWNER", namespace, name, message } as const];
  });
}
