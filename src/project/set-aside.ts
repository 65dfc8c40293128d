import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  type Stats,
  statSync,
} from "node:fs";
import { Failure, isSystemError } from "../errors.ts";
import { publishFile, removeFile, replaceFile, syncDirectory } from "../host/atomic-file.ts";
import { ensureDurableDirectory } from "../host/directory.ts";
import { removeUnfinished } from "../host/lock.ts";
import { expectedFailure } from "../host/system-error.ts";
import type { RecordFile } from "../model/pull-record.ts";
import { asideFile, asideName, keptFile, type RecordDirs, readOwn } from "./pull-records.ts";

/*
 * The two places may be mounts of their own, so that no rename leads from one to the other: a record is copied, and
 * the copy is durable before the original goes. Killed at any instant, each record is whole in one of the places, or
 * in both; a second run finishes. Where both have one, the kubelet's counts.
 */

/** What has become of the records that were to be moved. */
export interface Moved {
  /** Those that are where they should be now, and were not before. */
  readonly moved: readonly RecordFile[];
  readonly failures: readonly { readonly record: RecordFile; readonly failure: Failure }[];
}

/**
 * Takes records out of the kubelet's sight.
 *
 * For each: (1) read it (2) write the copy under a hidden name, fsync (3) rename it into place: **the commit point**
 * (4) fsync our directory (5) unlink the original; at last (6) fsync the kubelet's directories. One that is not there
 * is left out.
 */
export function setAside(dirs: RecordDirs, records: readonly RecordFile[]): Moved {
  if (records.length === 0) {
    return { moved: [], failures: [] };
  }
  let isMade = false;
  const lists = [...new Set(records.map(({ list }) => dirs[list]))];
  return moveEach(dirs, records, "a pull record cannot be set aside", lists, (record) => {
    const from = keptFile(dirs, record);
    const own = readOwn(from); // (1)
    if (own === undefined) {
      return false;
    }
    if (!isMade) {
      ensureDurableDirectory(dirs.aside);
      isMade = true;
    }
    replaceFile(dirs.aside, asideName(record), own.bytes, own.stats.mode & 0o777); // (2) (3) (4)
    try {
      refuseChanged(from, own.stats);
      removeFile(from); // (5)
    } catch (error) {
      leaveAlone(dirs, record);
      throw error;
    }
    return true;
  });
}

function refuseChanged(from: string, before: Stats): void {
  const { ino, mtimeMs, size } = lstatSync(from);
  if (ino !== before.ino || mtimeMs !== before.mtimeMs || size !== before.size) {
    throw new Failure("E_RACE", {
      what: "a pull record cannot be set aside",
      where: from,
      found: "the kubelet has written it at this moment",
      next: "Stop the kubelet, run the command again, and start it",
    });
  }
}

/** The copy of a record that stays where it is goes again, so that it is in one place. */
function leaveAlone(dirs: RecordDirs, record: RecordFile): void {
  attempt(() => {
    if (lstatSync(keptFile(dirs, record), { throwIfNoEntry: false }) !== undefined) {
      removeFile(asideFile(dirs, record));
      syncDirectory(dirs.aside);
    }
  });
}

/**
 * Gives records back to the kubelet, as they were; one that it has written anew stays as it wrote it.
 *
 * For each: (1) read ours (2) write a copy under a hidden name, fsync (3) link it into place, which never overwrites:
 * **the commit point** (4) fsync the kubelet's directory (5) unlink ours; at last (6) fsync our directory.
 *
 * Hidden names are `.tmp-…`, which a kubelet takes for no record. Source: Kubernetes v1.37.2
 * `pkg/kubelet/images/pullmanager/fs_pullrecords.go: processDirFiles`.
 */
export function putBack(dirs: RecordDirs, records: readonly RecordFile[]): Moved {
  return moveEach(dirs, records, "a pull record cannot be put back", [dirs.aside], (record) => {
    const from = asideFile(dirs, record);
    const to = dirs[record.list];
    const own = readOwn(from); // (1)
    if (own === undefined) {
      return false;
    }
    if (!isDirectory(to)) {
      throw new Failure("E_CANNOT_CREATE", {
        what: "a pull record cannot be put back",
        where: to,
        found: "the kubelet has no such directory",
        next: "Start the kubelet once and run the command again, or remove the record if the kubelet was reset",
      });
    }
    const mode = own.stats.mode & 0o777;
    const place = keptFile(dirs, record);
    const isThere = lstatSync(place, { throwIfNoEntry: false }) !== undefined;
    const result = isThere ? "exists" : publishFile(to, record.file, own.bytes, mode); // (2) (3) (4)
    if (result === "exists") {
      // Perhaps that of a run that was killed before (4): durable before ours goes.
      syncFile(place);
      syncDirectory(to);
    }
    removeFile(from); // (5)
    return true;
  });
}

function moveEach(
  dirs: RecordDirs,
  records: readonly RecordFile[],
  what: string,
  left: readonly string[],
  move: (record: RecordFile) => boolean,
): Moved {
  for (const dir of new Set([dirs.aside, ...records.map(({ list }) => dirs[list])])) {
    attempt(() => removeUnfinished(dir, ".tmp-"));
  }
  const moved: RecordFile[] = [];
  const failures: { record: RecordFile; failure: Failure }[] = [];
  for (const record of records) {
    try {
      if (move(record)) {
        moved.push(record);
      }
    } catch (error) {
      const where = keptFile(dirs, record);
      failures.push({ record, failure: expectedFailure(error, { what, where }) });
    }
  }
  if (moved.length > 0) {
    for (const dir of left) {
      attempt(() => syncDirectory(dir)); // (6) without it a power cut leaves some in both places
    }
  }
  return { moved, failures };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function syncFile(file: string): void {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** For what only tidies up: left undone, the next run does it. */
function attempt(tidy: () => void): void {
  try {
    tidy();
  } catch (error) {
    if (!isSystemError(error)) {
      throw error;
    }
  }
}
