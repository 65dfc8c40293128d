import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../errors.ts";
import { readRegularFile, removeFile, replaceFile, temporaryPrefix } from "../host/atomic-file.ts";
import { ensureDurableDirectory } from "../host/directory.ts";
import { removeUnfinished } from "../host/lock.ts";
import { failureOf, hasErrno } from "../host/system-error.ts";
import { blobFile, blobsDir } from "./blob.ts";
import {
  type Catalog,
  catalogLimitBytes,
  catalogName,
  encodeCatalog,
  layoutName,
  layoutText,
  parseCatalog,
} from "./catalog.ts";
import { isDigest } from "./oci.ts";

const emptyCatalog: Catalog = { entries: [], tag: undefined };

/**
 * What an archive says that it holds; nothing where there is none yet.
 *
 * @throws {Failure} E_OBJECT only when its index is malformed; E_PERMS when others than root and this user may write
 *   to it; E_PERMS, E_IO, E_RESOURCES when it cannot be read
 */
export function readCatalog(dir: string): Catalog {
  const where = join(dir, catalogName);
  let found: ReturnType<typeof readRegularFile>;
  try {
    checkOwner(dir);
    found = readRegularFile(where, catalogLimitBytes);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return emptyCatalog;
    }
    throw failureOf(error, { what: "the image archive cannot be read", where });
  }
  return parseCatalog(found.kind === "read" ? found.bytes.toString("utf8") : "", where);
}

/**
 * Makes the directories of an archive where they are missing, and takes away what a killed run has left.
 *
 * @throws {Failure} E_PERMS only when others than root and this user may write to it; E_READONLY, E_NOSPACE, E_PERMS, E_IO only when it cannot be written
 */
export function prepareLayout(dir: string): void {
  try {
    ensureDurableDirectory(dir);
    checkOwner(dir);
    ensureDurableDirectory(join(dir, "blobs"));
    ensureDurableDirectory(blobsDir(dir));
    for (const one of [dir, blobsDir(dir)]) {
      removeUnfinished(one, temporaryPrefix);
    }
  } catch (error) {
    throw failureOf(error, { what: "the image archive cannot be written", where: dir });
  }
}

/**
 * Says what the archive holds from now on, **the commit point**: every blob of it has to be there.
 *
 * @throws {Failure} E_READONLY, E_NOSPACE, E_PERMS, E_IO, E_FSYNC only when it cannot be written
 */
export function writeCatalog(dir: string, catalog: Catalog): void {
  try {
    replaceFile(dir, layoutName, Buffer.from(layoutText), 0o600);
    replaceFile(dir, catalogName, Buffer.from(encodeCatalog(catalog)), 0o600);
  } catch (error) {
    throw failureOf(error, { what: "the image archive cannot be written", where: dir });
  }
}

/**
 * Removes the blobs that nothing in the catalog needs. What is no name of a blob stays.
 *
 * @param needed  digests
 * @returns how many were removed
 * @throws {Failure} E_READONLY, E_PERMS, E_IO only when one cannot be removed
 */
export function removeOthers(dir: string, needed: ReadonlySet<string>): number {
  try {
    const others = readdirSync(blobsDir(dir))
      .map((name) => `sha256:${name}`)
      .filter((digest) => isDigest(digest) && !needed.has(digest));
    for (const digest of others) {
      removeFile(blobFile(dir, digest));
    }
    return others.length;
  } catch (error) {
    throw failureOf(error, {
      what: "the image archive holds blobs that nothing needs, and they cannot be removed",
      where: dir,
    });
  }
}

/** The index is not signed: whoever may write it decides what the names of images stand for, and so what runs as root. */
function checkOwner(dir: string): void {
  const { mode, uid } = statSync(dir);
  const found =
    (mode & 0o022) !== 0
      ? `mode ${(mode & 0o7777).toString(8).padStart(4, "0")}`
      : uid !== 0 && uid !== process.geteuid?.()
        ? `it belongs to uid ${uid}`
        : undefined;
  if (found !== undefined) {
    throw new Failure("E_PERMS", {
      what: "others could put images of their own into the archive",
      where: dir,
      found,
      next: `See what it holds, then chown root: ${dir} && chmod go-w ${dir}`,
    });
  }
}
