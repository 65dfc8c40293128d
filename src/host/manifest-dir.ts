import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  unlinkSync,
} from "node:fs";
import { posix } from "node:path";
import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import { type ManifestMarks, parseMarks } from "../model/marks.ts";
import { AnchoredDir } from "./anchored-dir.ts";
import { hasErrno } from "./system-error.ts";
import { writeFailure } from "./write-failure.ts";

/** Names that only we give: no kubelet reads a file whose name starts with a dot. */
export const temporaryPrefix = ".blackstart-";

/** The kubelet's manifest directory, open, and what our links in it look like. */
export interface ManifestDir extends Disposable {
  readonly dir: AnchoredDir;
  /** Absolute on the node, without `root`. */
  readonly staticPodDir: string;
  /** Absolute on this machine, with `root`. */
  readonly path: string;
  /** The text of a link of ours to a manifest file. */
  targetOf(fileName: string): string;
  /** Pure. The manifest file that a link's text names, when it lies in our directory. */
  ownedFile(target: string): string | undefined;
  /** Where our manifests lie, absolute on this machine. */
  readonly manifests: string;
}

/** A link of ours in the manifest directory. */
export interface OwnedLink {
  readonly linkName: string;
  /** The link's text. */
  readonly target: string;
  /** Its manifest's file name in `/run/blackstart/manifests`. */
  readonly fileName: string;
  /** What the manifest says; undefined when the link dangles, as every link does after a power cut. */
  readonly marks: ManifestMarks | undefined;
}

/**
 * Opens the kubelet's manifest directory.
 *
 * Links are absolute on a node; under another root they are relative, so that they lead to the same
 * file from inside of a chroot and from outside.
 *
 * @param staticPodDir absolute on the node, without `root`
 * @param manifestsPath where our manifests lie, absolute on the node, without `root`
 * @throws {Failure} E_MANIFEST_DIR only when it is missing or no directory, E_MANIFEST_DIR_UNSAFE only
 *   when it is a symlink, or others than root and this user may write to it
 */
export function openManifestDir(
  root: string,
  staticPodDir: string,
  manifestsPath: string,
): ManifestDir {
  const path = under(root, staticPodDir);
  const dir = openSafe(path);
  const { manifests, here } = resolvePlaces(dir, root, manifestsPath, path);
  return {
    dir,
    staticPodDir,
    path,
    manifests,
    targetOf: (fileName) =>
      root === "/"
        ? `${manifestsPath}/${fileName}`
        : posix.relative(here, posix.join(manifests, fileName)),
    ownedFile: (target) => {
      const place = target.startsWith("/") ? posix.normalize(target) : posix.resolve(here, target);
      const lexical = target.startsWith("/") ? manifestsPath : manifests;
      return posix.dirname(place) === lexical ? posix.basename(place) : undefined;
    },
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

function resolvePlaces(dir: AnchoredDir, root: string, manifestsPath: string, path: string) {
  try {
    return {
      manifests: under(realpathSync.native(root), manifestsPath),
      here: realpathSync.native(path),
    };
  } catch (error) {
    dir[Symbol.dispose]();
    throw writeFailure(error, "the kubelet's manifest directory cannot be looked up", path);
  }
}

/** Our link of that name, "free" when nothing has the name, "foreign" when it is not ours. */
export function observeLink(place: ManifestDir, linkName: string): OwnedLink | "free" | "foreign" {
  let target: string;
  try {
    target = readlinkSync(place.dir.at(linkName));
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return "free";
    }
    if (hasErrno(error, "EINVAL")) {
      return "foreign";
    }
    throw error;
  }
  const fileName = place.ownedFile(target);
  if (fileName === undefined) {
    return "foreign";
  }
  const text = readManifest(posix.join(place.manifests, fileName));
  const marks = text === undefined ? undefined : parseMarks(text);
  return text !== undefined && marks === undefined
    ? "foreign"
    : { linkName, target, fileName, marks };
}

/**
 * All links of ours in the manifest directory, in the order of their names.
 *
 * @throws {Failure} E_IO, E_PERMS, … only when the directory, a link or a manifest cannot be read
 */
export function observeOwnedLinks(place: ManifestDir): OwnedLink[] {
  try {
    return place.dir
      .names()
      .filter((name) => !name.startsWith("."))
      .sort()
      .map((name) => observeLink(place, name))
      .filter((link) => typeof link !== "string");
  } catch (error) {
    throw writeFailure(error, "the kubelet's manifest directory cannot be read", place.path);
  }
}

/**
 * Removes what a power cut left: links of ours whose manifest is gone. Nothing else is touched.
 *
 * @returns the names of the removed links
 * @throws {Failure} E_READONLY, E_IO, … only when one cannot be removed
 */
export function removeDanglingLinks(place: ManifestDir): string[] {
  const dangling = observeOwnedLinks(place).filter((link) => link.marks === undefined);
  for (const { linkName } of dangling) {
    try {
      unlinkSync(place.dir.at(linkName));
    } catch (error) {
      throw writeFailure(
        error,
        "a link without a manifest cannot be removed",
        `${place.path}/${linkName}`,
      );
    }
  }
  return dangling.map((link) => link.linkName);
}

/** Removes links of ours under temporary names: a run was killed between making and renaming one. */
export function removeTemporaryLinks(place: ManifestDir): void {
  for (const name of place.dir.names()) {
    if (name.startsWith(temporaryPrefix) && typeof observeLink(place, name) !== "string") {
      unlinkSync(place.dir.at(name));
    }
  }
}

function openSafe(path: string): AnchoredDir {
  const kind = kindOf(path);
  if (kind === "link") {
    throw unsafe(path, "it is a symlink", `Point staticPodPath to the directory itself`);
  }
  if (kind !== "directory") {
    throw new Failure("E_MANIFEST_DIR", {
      what: "the kubelet's manifest directory cannot be used",
      where: path,
      found: kind === "missing" ? "it does not exist" : "it is a file",
      next: "Check staticPodPath in the kubelet's configuration, or set staticPodPath in ours",
    });
  }
  const dir = openDir(path);
  const { mode, uid } = dir.stat();
  const found =
    (mode & 0o022) !== 0
      ? `mode ${(mode & 0o7777).toString(8).padStart(4, "0")}`
      : uid !== 0 && uid !== process.geteuid?.()
        ? `it belongs to uid ${uid}`
        : undefined;
  if (found !== undefined) {
    dir[Symbol.dispose]();
    throw unsafe(path, found, `chown root: ${path} && chmod go-w ${path}`);
  }
  return dir;
}

function openDir(path: string): AnchoredDir {
  try {
    return AnchoredDir.open(path);
  } catch (error) {
    throw writeFailure(error, "the kubelet's manifest directory cannot be opened", path);
  }
}

function kindOf(path: string): "missing" | "link" | "directory" | "other" {
  try {
    const stat = lstatSync(path);
    return stat.isSymbolicLink() ? "link" : stat.isDirectory() ? "directory" : "other";
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) {
      return "missing";
    }
    throw writeFailure(error, "the kubelet's manifest directory cannot be used", path);
  }
}

function unsafe(path: string, found: string, next: string): Failure {
  const what = "others could start pods of their own through the kubelet's manifest directory";
  return new Failure("E_MANIFEST_DIR_UNSAFE", { what, where: path, found, next });
}

/** undefined when there is no such file. */
function readManifest(path: string): string | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      return readFileSync(fd, "utf8");
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) {
      return undefined;
    }
    throw error;
  }
}
