import { posix } from "node:path";
import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import { AnchoredDir } from "../host/anchored-dir.ts";
import { type ManifestDir, openManifestDir } from "../host/manifest-dir.ts";
import type { Owner } from "../host/ownership.ts";
import { freeSpace, noSpace } from "../host/space.ts";
import { hasErrno } from "../host/system-error.ts";
import { writeFailure } from "../host/write-failure.ts";
import type { PodPlan } from "../model/plan.ts";

/** The directories that one run writes to, open, and who it is. */
export interface Site extends Disposable {
  readonly root: string;
  /** Absolute on the node, without `root`. */
  readonly runDir: string;
  readonly pods: AnchoredDir;
  readonly manifests: AnchoredDir;
  /** undefined when nothing is shown to a kubelet. */
  readonly place: ManifestDir | undefined;
  readonly owner: Owner;
  /** What may still be written, besides what the file system itself allows. */
  budgetBytes: number;
}

/** What is needed to open a site; paths are absolute on the node, without `root`. */
export interface SiteOptions {
  readonly root: string;
  readonly runDir: string;
  readonly staticPodDir: string | undefined;
  readonly owner: Owner;
  readonly capBytes: number;
}

/**
 * Opens the directories, making `pods` and `manifests` (0700) in an existing `runDir`.
 *
 * @throws {Failure} E_MANIFEST_DIR, E_MANIFEST_DIR_UNSAFE as `openManifestDir`; E_PERMS only when others
 *   may write to `runDir`; E_RACE only when a directory of ours is a symlink; E_NOSPACE_TMPFS
 */
export function openSite(options: SiteOptions): Site {
  const { root, runDir, staticPodDir, owner } = options;
  // First, so that nothing secret is written when no pod can be shown.
  const place =
    staticPodDir === undefined
      ? undefined
      : openManifestDir(root, staticPodDir, `${runDir}/manifests`);
  const path = under(root, runDir);
  const opened: Disposable[] = place === undefined ? [] : [place];
  const keep = <T extends Disposable>(resource: T): T => {
    opened.push(resource);
    return resource;
  };
  const close = (): void => {
    for (const resource of opened.splice(0).reverse()) {
      resource[Symbol.dispose]();
    }
  };
  try {
    const run = keep(AnchoredDir.open(path));
    requirePrivate(run, path, owner);
    const pods = keep(run.ensureChild("pods").dir);
    const manifests = keep(run.ensureChild("manifests").dir);
    const budgetBytes = options.capBytes;
    return { root, runDir, pods, manifests, place, owner, budgetBytes, [Symbol.dispose]: close };
  } catch (error) {
    close();
    if (hasErrno(error, "ENOSPC", "EDQUOT")) {
      const what = "the memory for secrets is full";
      throw noSpace(what, path, { bytes: 0, inodes: 2 }, freeSpace(path));
    }
    throw writeFailure(error, "the directory for secrets cannot be opened", path);
  }
}

/**
 * Pure. The name of a pod's directory in `pods`; undefined for a pod without volumes.
 *
 * @throws {Failure} E_PATH_ITEM only when a plan puts a volume or manifest elsewhere: a mistake of ours
 */
export function podDirName(runDir: string, pod: PodPlan): string | undefined {
  const parents = new Set(pod.volumes.map((volume) => posix.dirname(volume.dir)));
  const [parent] = parents;
  const { file } = pod.manifest;
  const misplaced =
    parents.size > 1 ||
    (parent !== undefined && posix.dirname(parent) !== `${runDir}/pods`) ||
    posix.dirname(file) !== `${runDir}/manifests` ||
    pod.manifest.linkName.startsWith(".");
  if (misplaced) {
    throw new Failure("E_PATH_ITEM", {
      what: `the plan of pod ${pod.namespace}/${pod.name} names a place that is not its own`,
      where: parent ?? file,
      next: "Report this as a bug",
    });
  }
  return parent === undefined ? undefined : posix.basename(parent);
}

function requirePrivate(run: AnchoredDir, path: string, owner: Owner): void {
  const { mode, uid } = run.stat();
  if ((mode & 0o022) !== 0 || (uid !== owner.uid && uid !== 0)) {
    throw new Failure("E_PERMS", {
      what: "others could exchange what is written for the pods",
      where: path,
      found: `mode ${(mode & 0o7777).toString(8).padStart(4, "0")}, uid ${uid}`,
      next: `chown ${owner.uid} ${path} && chmod 0700 ${path}`,
    });
  }
}
