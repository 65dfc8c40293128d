import { randomBytes } from "node:crypto";
import { Failure } from "../errors.ts";
import type { Warning } from "../model/plan.ts";
import { deleteContent, writeContent } from "../runtime/content.ts";
import { imageStatus } from "../runtime/cri.ts";
import { createImage, createLease, deleteLease } from "../runtime/image-records.ts";
import { answerMs, type Runtime } from "../runtime/runtime.ts";
import { readBlob } from "./blob.ts";
import type { CatalogEntry } from "./catalog.ts";
import { type ArchivedBlobs, archivedBlobs } from "./contents.ts";
import { indexLabels, manifestLabels } from "./labels.ts";
import { readCatalog } from "./layout.ts";
import type { Descriptor } from "./oci.ts";
import { type Lack, lackOf } from "./present.ts";

/** What an import did; names as the runtime has them. */
export interface ImportReport {
  readonly imported: readonly string[];
  readonly present: readonly string[];
  /** Lost by the runtime, and not whole in the archive. */
  readonly failed: readonly string[];
  readonly importedBytes: number;
  readonly warnings: readonly Warning[];
}

/** containerd gives a lease up after so long, should nobody end it. */
const leaseMs = 3_600_000;

/**
 * Gives the runtime back what it has lost of the archived images: blobs that are missing, then the names.
 *
 * (1) per name: see what is lacking (2) a lease, which keeps what has no name yet (3) let go of blobs whose files are
 * gone (4) write the blobs, each checked before it is committed (5) create the name, **the commit point** of the image
 * (6) end the lease. A blob that is not whole in the archive costs the images that need it and no others.
 *
 * @throws {Failure} E_OBJECT only when the archive's index is malformed; E_RUNTIME, E_IO, …
 */
export async function importImages(runtime: Runtime, dir: string): Promise<ImportReport> {
  const { entries } = readCatalog(dir);
  const present: string[] = [];
  const damaged: Warning[] = [];
  const broken = new Map<string, Failure>();
  const lost: Lost[] = [];
  for (const entry of entries) {
    try {
      const blobs = await archivedBlobs(dir, entry);
      const lack = await lackOf(runtime, entry, blobs); // (1)
      if (lack.name || lack.blobs.length > 0) {
        lost.push({ entry, blobs, lack });
      } else {
        present.push(entry.name);
      }
    } catch (error) {
      const failure = ofOneImage(error);
      const known = await imageStatus(runtime.socket, entry.name, answerMs);
      if (known.kind === "present") {
        present.push(entry.name);
        const message = `${entry.name} is not whole in the archive, and the runtime has it: ${failure.message}`;
        damaged.push({ code: "W_IMAGE_ARCHIVE", message });
      } else {
        broken.set(entry.name, failure);
      }
    }
  }
  const { imported, importedBytes } =
    lost.length === 0
      ? { imported: [], importedBytes: 0 }
      : await underLease(runtime, (lease) => restoreEach({ runtime, dir, lease }, lost, broken));
  return {
    imported,
    present,
    failed: [...broken.keys()],
    importedBytes,
    warnings: [...damaged, ...describeBroken(broken)],
  };
}

interface Lost {
  readonly entry: CatalogEntry;
  readonly blobs: ArchivedBlobs;
  readonly lack: Lack;
}

interface Import {
  readonly runtime: Runtime;
  readonly dir: string;
  readonly lease: string;
}

async function underLease<Result>(
  runtime: Runtime,
  run: (lease: string) => Promise<Result>,
): Promise<Result> {
  const lease = `blackstart-${randomBytes(8).toString("hex")}`;
  await createLease(runtime, lease, new Date(Date.now() + leaseMs)); // (2)
  try {
    return await run(lease);
  } finally {
    if (!runtime.signal.aborted) {
      await deleteLease(runtime, lease, "later"); // (6)
    }
  }
}

async function restoreEach(
  work: Import,
  lost: readonly Lost[],
  broken: Map<string, Failure>,
): Promise<{ readonly imported: readonly string[]; readonly importedBytes: number }> {
  await letGo(work.runtime, lost);
  const imported: string[] = [];
  /** Blobs of this run: those that are done, and those that the archive has not whole. */
  const tried = new Map<string, Failure | undefined>();
  let importedBytes = 0;
  for (const { entry, blobs, lack } of lost) {
    try {
      for (const { blob } of lack.blobs) {
        if (!tried.has(blob.digest)) {
          tried.set(blob.digest, await attempt(() => send(work, blobs, blob))); // (4)
          importedBytes += tried.get(blob.digest) === undefined ? blob.size : 0;
        }
        const failure = tried.get(blob.digest);
        if (failure !== undefined) {
          throw failure;
        }
      }
      await createImage(work.runtime, {
        name: entry.name,
        target: entry.target,
        labels: managed,
      }); // (5)
      imported.push(entry.name);
    } catch (error) {
      broken.set(entry.name, ofOneImage(error));
    }
  }
  return { imported, importedBytes };
}

/** A blob in the database whose file is gone would keep its own copy out: the file's name goes at a collection. */
async function letGo(runtime: Runtime, lost: readonly Lost[]): Promise<void> {
  const gone = lost
    .flatMap(({ lack }) => lack.blobs)
    .flatMap(({ blob, state }) => (state === "lost" ? [blob.digest] : []));
  for (const digest of new Set(gone)) {
    await deleteContent(runtime, digest); // (3)
  }
  if (gone.length > 0) {
    const lease = `blackstart-${randomBytes(8).toString("hex")}`;
    await createLease(runtime, lease, new Date(Date.now() + leaseMs));
    await deleteLease(runtime, lease, "collect");
  }
}

async function send(work: Import, blobs: ArchivedBlobs, blob: Descriptor): Promise<void> {
  const { digest, size } = blob;
  const labels = labelsOf(blobs, blob);
  const { lease } = work;
  await writeContent(work.runtime, { digest, size, labels, lease }, readBlob(work.dir, blob));
}

function labelsOf(
  { index, manifest, config, layers }: ArchivedBlobs,
  blob: Descriptor,
): ReadonlyMap<string, string> {
  switch (blob) {
    case index:
      return indexLabels([manifest]);
    case manifest:
      return manifestLabels(config, layers);
    default:
      return new Map();
  }
}

/** CRI takes an image for its own by this. Source: containerd 2.3.7 `internal/cri/labels/labels.go`. */
const managed = new Map([["io.cri-containerd.image", "managed"]]);

async function attempt(run: () => Promise<void>): Promise<Failure | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return ofOneImage(error);
  }
}

/** What concerns one image only; other trouble ends the import. */
function ofOneImage(error: unknown): Failure {
  if (error instanceof Failure && (error.code === "E_DIGEST" || error.code === "E_OBJECT")) {
    return error;
  }
  throw error;
}

function describeBroken(broken: ReadonlyMap<string, Failure>): readonly Warning[] {
  return [...broken].map(([name, { code, message }]) => ({
    code: "W_IMAGE_ARCHIVE",
    message: `${name} is not imported: ${code}: ${message}`,
  }));
}
