import { readdirSync } from "node:fs";
import { join } from "node:path";
import { paths, under } from "../config.ts";
import { Failure } from "../errors.ts";
import { readRegularFile } from "../host/atomic-file.ts";
import { expectedFailure, hasErrno } from "../host/system-error.ts";
import type { Warning } from "../model/plan.ts";
import {
  isRecordName,
  type PullRecord,
  type PullRecords,
  parseRecord,
  type RecordFile,
  type RecordList,
} from "../model/pull-record.ts";

/** Where records are; absolute on this machine. */
export interface RecordDirs {
  readonly pulled: string;
  readonly pulling: string;
  /** Ours. The record of a begun pull has `pulling-` before its name there. */
  readonly aside: string;
}

/** Pure. @param kubeletDir  the kubelet's `--root-dir`, absolute on the node */
export function recordDirs(root: string, kubeletDir: string = "/var/lib/kubelet"): RecordDirs {
  const place = (list: RecordList) => under(root, join(kubeletDir, "image_manager", list));
  return {
    pulled: place("pulled"),
    pulling: place("pulling"),
    aside: under(root, paths.pullRecords),
  };
}

/** More than a kubelet writes of one image; bytes. */
const limitBytes = 1_048_576;
/** More than a node has images. */
const limitFiles = 10_000;

/**
 * Reads the kubelet's pull records, and those of them that are set aside.
 *
 * Touches nothing. A file that is none of the kubelet's own is left out, and told where it could matter.
 *
 * @param interest  names of files that matter; undefined for all
 */
export function readPullRecords(
  dirs: RecordDirs,
  interest?: ReadonlySet<string>,
): PullRecords & { readonly warnings: readonly Warning[] } {
  const warnings: Warning[] = [];
  const read = (records: readonly RecordFile[], placeOf: (record: RecordFile) => string) =>
    records.flatMap((record): readonly PullRecord[] => {
      if (interest !== undefined && !interest.has(record.file)) {
        return [];
      }
      const bytes = quietly(() => readOwn(placeOf(record)), warnings);
      return bytes === undefined
        ? []
        : [parseRecord(record.list, record.file, bytes.bytes.toString("utf8"))];
    });
  const kept = [...listKept(dirs, "pulled", warnings), ...listKept(dirs, "pulling", warnings)];
  const isKept = new Set(kept.map(({ list, file }) => `${list}/${file}`));
  const aside = listAside(dirs, warnings).filter(
    ({ list, file }) => !isKept.has(`${list}/${file}`),
  );
  return {
    kept: read(kept, (record) => keptFile(dirs, record)),
    aside: read(aside, (record) => asideFile(dirs, record)),
    warnings,
  };
}

/** The records that are set aside, whether or not the kubelet has written them anew. */
export function listAside({ aside }: RecordDirs, warnings: Warning[]): readonly RecordFile[] {
  return namesIn(aside, warnings).flatMap((name) => {
    const file = name.replace(/^pulling-/, "");
    return isRecordName(file) ? [{ list: file === name ? "pulled" : "pulling", file }] : [];
  });
}

/** Pure. Where the kubelet has a record. */
export function keptFile(dirs: RecordDirs, { list, file }: RecordFile): string {
  return join(dirs[list], file);
}

/** Pure. Where we put it. */
export function asideFile({ aside }: RecordDirs, record: RecordFile): string {
  return join(aside, asideName(record));
}

/** Pure. Its name there. */
export function asideName({ list, file }: RecordFile): string {
  return list === "pulled" ? file : `${list}-${file}`;
}

/**
 * Reads a record's file, which is as a kubelet makes it: a small regular file of the user that it runs as.
 *
 * @throws {Failure} E_NOT_REGULAR, E_TOO_BIG, E_PERMS only when it is not; E_IO, … when it cannot be read
 */
export function readOwn(place: string) {
  const text = { what: "a pull record cannot be read", where: place };
  let read: ReturnType<typeof readRegularFile>;
  try {
    read = readRegularFile(place, limitBytes);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) {
      return undefined;
    }
    throw expectedFailure(error, text);
  }
  switch (read.kind) {
    case "not-regular":
      throw new Failure("E_NOT_REGULAR", { ...text, found: "it is not a regular file" });
    case "too-large":
      throw new Failure("E_TOO_BIG", { ...text, found: `${read.sizeBytes} bytes` });
    case "read": {
      const { uid, gid } = read.stats;
      if (uid !== process.geteuid?.() || gid !== process.getegid?.()) {
        throw new Failure("E_PERMS", { ...text, found: `it belongs to user ${uid}, group ${gid}` });
      }
      return read;
    }
  }
}

function listKept(dirs: RecordDirs, list: RecordList, warnings: Warning[]): readonly RecordFile[] {
  return namesIn(dirs[list], warnings)
    .filter(isRecordName)
    .map((file) => ({ list, file }));
}

/** Empty where there is no such directory: a kubelet makes it as soon as it checks credentials. */
function namesIn(dir: string, warnings: Warning[]): readonly string[] {
  const names = quietly(() => {
    try {
      return readdirSync(dir).sort();
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR")) {
        return [];
      }
      throw expectedFailure(error, { what: "pull records cannot be listed", where: dir });
    }
  }, warnings);
  if (names !== undefined && names.length > limitFiles) {
    const message = `${dir} holds ${names.length} files; only ${limitFiles} are looked at`;
    warnings.push({ code: "W_PULL_RECORDS", message });
  }
  return names?.slice(0, limitFiles) ?? [];
}

function quietly<T>(look: () => T, warnings: Warning[]): T | undefined {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    const message = `${error.code}: ${error.message}`;
    warnings.push({ code: "W_PULL_RECORDS", message });
    return undefined;
  }
}
