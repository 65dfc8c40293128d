import { createHash } from "node:crypto";
import { constants, lstatSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../errors.ts";
import { writeStreamed } from "../host/streamed-file.ts";
import { failureOf, hasErrno } from "../host/system-error.ts";
import { type Descriptor, documentLimitBytes } from "./oci.ts";

/*
 * The blobs of an archive: blobs/sha256/<64 hexadecimal digits>, each named by its own digest, read-only.
 */

/** Of a file at a time; a layer may be a gigabyte. */
const pieceBytes = 1 << 20;

/** What of a descriptor a blob is checked against. */
export type BlobName = Pick<Descriptor, "digest" | "size">;

/** The directory of blobs, absolute, when `dir` is the archive. Pure. */
export function blobsDir(dir: string): string {
  return join(dir, "blobs/sha256");
}

/** Pure. Absolute path of a blob. */
export function blobFile(dir: string, digest: string): string {
  return join(blobsDir(dir), digest.slice("sha256:".length));
}

/** True when there is a file of that name and size. Its bytes were checked when they were written. */
export function hasBlob(dir: string, { digest, size }: BlobName): boolean {
  try {
    const stats = lstatSync(blobFile(dir, digest));
    return stats.isFile() && stats.size === size;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) {
      return false;
    }
    throw failureOf(error, { what: "the image archive cannot be read", where: dir });
  }
}

/**
 * Reads a blob piece by piece; the end is reached only when its size and its digest are right.
 *
 * A piece is valid until the next one is asked for.
 *
 * @throws {Failure} E_DIGEST only when it is missing, truncated or altered: with what was expected and found
 */
export async function* readBlob(dir: string, blob: BlobName): AsyncGenerator<Uint8Array> {
  const where = blobFile(dir, blob.digest);
  const hash = createHash("sha256");
  let length = 0;
  const file = await openBlob(where, blob);
  try {
    const buffer = Buffer.allocUnsafeSlow(pieceBytes);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, pieceBytes, length);
      if (bytesRead === 0) {
        break;
      }
      const piece = buffer.subarray(0, bytesRead);
      hash.update(piece);
      length += bytesRead;
      if (length > blob.size) {
        break; // longer than it should be: what follows is of no interest
      }
      yield piece;
    }
  } catch (error) {
    throw failureOf(error, { what: "a blob of the image archive cannot be read", where });
  } finally {
    await file.close();
  }
  checkBlob(blob, { length, digest: `sha256:${hash.digest("hex")}` }, where);
}

/** True when all bytes of a blob are right: reads the whole. @throws {Failure} E_IO, E_PERMS, … */
export async function isIntact(dir: string, blob: BlobName): Promise<boolean> {
  try {
    for await (const _ of readBlob(dir, blob)) {
      // Only its end tells.
    }
    return true;
  } catch (error) {
    if (error instanceof Failure && error.code === "E_DIGEST") {
      return false;
    }
    throw error;
  }
}

/** Reads a small blob whole. @throws {Failure} E_DIGEST as `readBlob`; E_OBJECT only when it is too large */
export async function readDocument(dir: string, blob: BlobName): Promise<Buffer> {
  limitDocument(blob, blobFile(dir, blob.digest));
  const pieces: Buffer[] = [];
  for await (const piece of readBlob(dir, blob)) {
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

/** Pure. @throws {Failure} E_OBJECT only when a document is larger than any is */
export function limitDocument({ size }: BlobName, where: string): void {
  if (size > documentLimitBytes) {
    throw new Failure("E_OBJECT", {
      what: "a document of an image is too large",
      where,
      found: `${size} bytes, at most ${documentLimitBytes} are read`,
      next: "See what image this is",
    });
  }
}

/**
 * Writes a blob; it has its name only when its size and its digest are right. Durable when it returns.
 *
 * @param source  where the pieces come from, for messages
 * @throws {Failure} E_DIGEST only when the pieces are other bytes; E_NOSPACE, E_READONLY, E_IO, …; what `pieces` throws
 */
export async function writeBlob(
  dir: string,
  blob: BlobName,
  pieces: AsyncIterable<Uint8Array>,
  source: string,
): Promise<void> {
  async function* checked() {
    const hash = createHash("sha256");
    let length = 0;
    for await (const piece of pieces) {
      hash.update(piece);
      length += piece.length;
      yield piece;
    }
    checkBlob(blob, { length, digest: `sha256:${hash.digest("hex")}` }, source);
  }
  const name = blob.digest.slice("sha256:".length);
  try {
    await writeStreamed(blobsDir(dir), name, checked(), 0o400);
  } catch (error) {
    const where = blobFile(dir, blob.digest);
    throw failureOf(error, { what: "a blob of the image archive cannot be written", where });
  }
}

/** Pure. @throws {Failure} E_DIGEST only when size or digest are others */
export function checkBlob(
  blob: BlobName,
  found: { readonly length: number; readonly digest: string },
  where: string,
): void {
  if (found.length !== blob.size) {
    const isLonger = found.length > blob.size;
    const word = isLonger ? "is longer than it should be" : "is truncated";
    throw broken(
      `the blob ${word}`,
      where,
      `expected ${blob.size} bytes of ${blob.digest}, found ${isLonger ? "more" : `${found.length} bytes`}`,
    );
  }
  if (found.digest !== blob.digest) {
    throw broken("the blob is altered", where, `expected ${blob.digest}, found ${found.digest}`);
  }
}

async function openBlob(where: string, blob: BlobName): Promise<FileHandle> {
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    return await open(where, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) {
      throw broken("the blob is missing", where, `expected ${blob.size} bytes of ${blob.digest}`);
    }
    throw failureOf(error, { what: "a blob of the image archive cannot be read", where });
  }
}

function broken(what: string, where: string, found: string): Failure {
  const next = "Run `blackstart images archive` while the image is whole: it writes the blob anew";
  return new Failure("E_DIGEST", { what, where, found, next });
}
