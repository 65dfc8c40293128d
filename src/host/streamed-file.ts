import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { temporaryPrefix } from "./atomic-file.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

/**
 * Puts a file together from pieces, in place of another or of none. Durable when it is done.
 *
 * (1) create a temporary name (2) write the pieces (3) fsync (4) close (5) rename: **the commit point**
 * (6) fsync the directory. What `pieces` throws, its check of the whole perhaps, leaves nothing behind.
 *
 * Asynchronous, for files of a gigabyte: the process does its other work meanwhile.
 * Errors are the kernel's own.
 *
 * @returns its size, bytes
 */
export async function writeStreamed(
  dir: string,
  name: string,
  pieces: AsyncIterable<Uint8Array>,
  mode: number,
): Promise<number> {
  const temporary = join(dir, `${temporaryPrefix}${process.pid}-${randomBytes(6).toString("hex")}`);
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode); // (1)
  let sizeBytes = 0;
  try {
    try {
      for await (const piece of pieces) {
        await writeAll(file, piece); // (2)
        sizeBytes += piece.length;
      }
      await file.sync(); // (3)
    } finally {
      await file.close(); // (4)
    }
    await rename(temporary, join(dir, name)); // (5)
  } catch (error) {
    await unlink(temporary).catch(() => undefined); // the first error is the one to tell
    throw error;
  }
  const directory = await open(dir, O_RDONLY | O_DIRECTORY);
  try {
    await directory.sync(); // (6)
  } finally {
    await directory.close();
  }
  return sizeBytes;
}

async function writeAll(file: Awaited<ReturnType<typeof open>>, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at)).bytesWritten;
  }
}
