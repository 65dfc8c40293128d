import { importImages } from "../archive/import.ts";
import { readCatalog } from "../archive/layout.ts";
import { under } from "../config.ts";
import { Exit, type ExitStatus, Failure } from "../errors.ts";
import { log, logWarning } from "../host/log.ts";
import { archiveBlessed, describeArchiving } from "./archive-images.ts";
import { readNodeKey } from "./open-checkpoint.ts";
import { openContainerd } from "./open-containerd.ts";
import type { GlobalOptions, OutputFormat } from "./options.ts";
import { output } from "./output.ts";
import { openSession, type Session } from "./session.ts";
import { count, size } from "./table.ts";

export interface ImagesOptions extends GlobalOptions {
  readonly output: OutputFormat;
}

/** At boot the kubelet waits for this as well. */
const runtimePatienceMs = 30_000;

/**
 * Archives the images of the blessed generation now.
 *
 * @throws {Failure} E_NO_CHECKPOINT only when no generation is blessed, or it does not know its images; what
 *   `archiveBlessed` and reading the key throw
 */
export async function imagesArchive(options: ImagesOptions): Promise<ExitStatus> {
  const session = await openSession(options);
  if (isOff(session)) {
    return say(options, { archive: "off" }, Exit.ok);
  }
  const { ring } = readNodeKey(session);
  const { signal } = new AbortController();
  const archiving = await archiveBlessed(session, ring, {
    node: undefined,
    when: "always",
    signal,
  });
  if (archiving.kind !== "made") {
    throw new Failure("E_NO_CHECKPOINT", {
      what: "there are no images to archive",
      where: session.storeDir,
      found: describeArchiving(archiving),
      next: "A capture blesses a generation when its pods have been Ready for the settle period",
    });
  }
  const { generation, report } = archiving;
  report.warnings.forEach(logWarning);
  log(`images archive: ${describeArchiving(archiving)}`);
  const archive = session.config.images.archive;
  const status = report.warnings.length === 0 ? Exit.ok : Exit.cantCreat;
  return say(options, { archive, generation, ...report }, status);
}

/**
 * Gives the runtime back what it has lost of the archived images.
 *
 * @throws {Failure} E_RUNTIME only when containerd does not answer in half a minute; what `importImages` throws
 */
export async function imagesImport(options: ImagesOptions): Promise<ExitStatus> {
  const session = await openSession(options);
  if (isOff(session)) {
    return say(options, { archive: "off" }, Exit.ok);
  }
  const { archive } = session.config.images;
  // First, for the kubelet waits for this unit, and it may be waiting for containerd in vain.
  if (readCatalog(under(session.root, archive)).entries.length === 0) {
    const message = `the archive ${archive} holds no image: if it is on a file system of its own, see whether that is mounted; else \`blackstart images archive\` makes it`;
    logWarning({ code: "W_IMAGE_ARCHIVE", message });
    return say(options, { archive, imported: [], present: [], failed: [] }, Exit.ok);
  }
  const { signal } = new AbortController();
  using runtime = await openContainerd(session.root, runtimePatienceMs, signal);
  const report = await importImages(runtime, under(session.root, archive));
  const { imported, importedBytes, present, failed } = report;
  report.warnings.forEach(logWarning);
  const lost = failed.length === 0 ? "" : `, ${failed.length} not whole in the archive`;
  log(
    `images import: ${count(imported.length, "name")} imported (${size(importedBytes)}), ${present.length} present${lost}`,
  );
  return say(options, { archive, ...report }, failed.length === 0 ? Exit.ok : Exit.cantCreat);
}

function isOff({ config }: Session): boolean {
  const isSo = config.images.archive === "off";
  if (isSo) {
    log("images: the archive is off (`images: {archive: DIR}` in the configuration)");
  }
  return isSo;
}

async function say(
  options: ImagesOptions,
  result: object,
  status: ExitStatus,
): Promise<ExitStatus> {
  await output(options.output, result, () => "");
  return status;
}
