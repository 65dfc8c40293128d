import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { Failure, isSystemError } from "../errors.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { KubernetesObject } from "../model/kubernetes.ts";
import { mergeObjects } from "./merge.ts";
import { type ObjectSet, parseObjects } from "./objects.ts";

/** What `--from` gave. */
export interface ReadObjects {
  /** Each object once, in the order of the inputs; only kinds that a checkpoint can hold. */
  readonly objects: readonly KubernetesObject[];
  readonly checkpoints: readonly Checkpoint[];
  /** The files that were read, in order; `-` is standard input. */
  readonly files: readonly string[];
}

/** All inputs together; more than the store takes. */
const maxBytes = 64 * 1_048_576;

/**
 * Reads Kubernetes objects from files, directories and standard input (`-`).
 *
 * Reads only. Of a directory the files `*.yaml`, `*.yml` and `*.json` directly inside are read, in the
 * order of their names, hidden ones left out, as `kubectl apply -f` does. Pipes are read to their end.
 *
 * @throws {Failure} E_NO_INPUT only when a path or everything in it is absent; E_PERMS, E_IO, E_NOT_REGULAR
 *   only when it cannot be read; E_TOO_BIG only when there are more than 64 MiB; and what
 *   `parseObjects` and `mergeObjects` throw
 */
export async function readObjects(
  paths: readonly string[],
  { stdin }: { readonly stdin: AsyncIterable<Uint8Array> },
): Promise<ReadObjects> {
  const files: string[] = [];
  const sets: ObjectSet[] = [];
  let left = maxBytes;
  for (const path of paths) {
    const before = countOf(sets);
    const found = path === "-" ? ["-"] : filesOf(path);
    for (const file of found) {
      const bytes = file === "-" ? await readStream(stdin, left) : readFile(file, left);
      left -= bytes.length;
      files.push(file);
      const source = file === "-" ? "standard input" : file;
      sets.push(await parseObjects(decodeText(bytes, source), source));
    }
    // One file of many may hold an empty list; a directory without an object is a wrong directory.
    if (found[0] !== path && countOf(sets) === before) {
      throw nothingIn(path);
    }
  }
  if (countOf(sets) === 0) {
    throw nothingIn(paths.join(", "));
  }
  return {
    objects: mergeObjects(sets.flatMap(({ objects }) => objects)),
    checkpoints: sets.flatMap(({ checkpoints }) => checkpoints),
    files,
  };
}

function countOf(sets: readonly ObjectSet[]): number {
  return sets.reduce((sum, set) => sum + set.objects.length + set.checkpoints.length, 0);
}

function nothingIn(where: string): Failure {
  return new Failure("E_NO_INPUT", {
    what: "there is no object that a checkpoint can hold",
    where: where.slice(0, 300),
    next: "Pass files with Pods, Secrets, ConfigMaps and so on, or directories of such files",
  });
}

function filesOf(path: string): readonly string[] {
  return attempt(path, () => {
    if (!statSync(path).isDirectory()) {
      return [path];
    }
    return readdirSync(path)
      .filter((name) => /^[^.].*\.(yaml|yml|json)$/.test(name))
      .sort()
      .map((name) => join(path, name))
      .filter((file) => !statSync(file).isDirectory());
  });
}

function readFile(file: string, limit: number): Buffer {
  return attempt(file, () => {
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NOCTTY);
    try {
      const stats = fstatSync(descriptor);
      if (!stats.isFile() && !stats.isFIFO() && !stats.isCharacterDevice()) {
        throw notRegular(file);
      }
      if (stats.size > limit) {
        throw tooBig(file, `${stats.size} bytes`);
      }
      return readToEnd(descriptor, file, limit);
    } finally {
      closeSync(descriptor);
    }
  });
}

function readToEnd(descriptor: number, file: string, limit: number): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(65_536);
    const length = readSync(descriptor, chunk);
    if (length === 0) {
      return Buffer.concat(chunks);
    }
    total += length;
    if (total > limit) {
      throw tooBig(file, `more than ${limit} bytes`);
    }
    chunks.push(chunk.subarray(0, length));
  }
}

async function readStream(stream: AsyncIterable<Uint8Array>, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of stream) {
    total += chunk.length;
    if (total > limit) {
      throw tooBig("standard input", `more than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decodeText(bytes: Buffer, source: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Failure("E_PARSE", {
      what: "this is not text",
      where: source,
      found: "bytes that are not UTF-8",
      next: "Pass JSON or YAML in UTF-8",
    });
  }
}

function notRegular(where: string): Failure {
  return new Failure("E_NOT_REGULAR", {
    what: "this cannot be read as a file",
    where,
    next: "Pass a file, a directory or a pipe",
  });
}

function tooBig(where: string, found: string): Failure {
  return new Failure("E_TOO_BIG", {
    what: `the inputs together exceed ${maxBytes} bytes`,
    where,
    found,
    next: "Pass only the objects of this node",
  });
}

function attempt<Result>(path: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (!isSystemError(error)) {
      throw error;
    }
    const where = error.path ?? path;
    switch (error.code) {
      case "ENOENT":
      case "ENOTDIR":
      case "ELOOP":
      case "ENAMETOOLONG":
        throw new Failure("E_NO_INPUT", {
          what: "an input does not exist",
          where,
          found: error.code,
          next: "Check the path given to --from",
        });
      case "ENXIO":
        throw notRegular(where);
      case "EACCES":
      case "EPERM":
        throw new Failure("E_PERMS", {
          what: "an input may not be read",
          where,
          found: error.code,
          next: "Run as root, or make it readable",
        });
      default:
        throw new Failure("E_IO", { what: "reading an input failed", where, found: error.code });
    }
  }
}
