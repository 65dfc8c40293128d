import { readFileSync } from "node:fs";
import { Failure } from "../errors.ts";
import { type KeyReading, readKey } from "../host/credential.ts";
import { logWarning } from "../host/log.ts";
import { failureOf, hasErrno } from "../host/system-error.ts";
import { type Checkpoint, parseCheckpoint } from "../model/checkpoint.ts";
import { parseJson } from "../model/json.ts";
import type { Warning } from "../model/plan.ts";
import {
  type OpenedGeneration,
  openFile,
  openGeneration,
  openNewest,
  requireGenerations,
} from "../store/store.ts";
import type { Session } from "./session.ts";

/** A checkpoint that was opened, and what was odd on the way. */
export interface OpenedCheckpoint {
  readonly checkpoint: Checkpoint;
  /** undefined for a document that is in no store. */
  readonly generation: number | undefined;
  readonly file: string;
  readonly warnings: readonly Warning[];
}

/**
 * The node's key, from wherever this process may have it.
 *
 * @throws {Failure} E_UNIT only when there is none and systemd started this process without credentials; what
 *   `readKey()` throws
 */
export function readNodeKey(session: Session): KeyReading {
  const credentialsDir = process.env["CREDENTIALS_DIRECTORY"];
  try {
    return readKey({ root: session.root, credentialsDir });
  } catch (error) {
    const isForeignUnit =
      credentialsDir === undefined && process.env["SYSTEMD_EXEC_PID"] === String(process.pid);
    if (!isForeignUnit || !(error instanceof Failure) || error.code !== "E_NO_KEY") {
      throw error;
    }
    throw new Failure(
      "E_UNIT",
      {
        ...error.text,
        what: "this unit was given no key, and there is none without it",
        next: "Start through blackstart-restore.service, or give the unit its LoadCredential= line",
      },
      { cause: error },
    );
  }
}

/**
 * Opens what restore uses: a file, a generation by number, or the newest that opens and has attempts left.
 *
 * Reads only. A generation that opens but whose document is malformed counts as not opening.
 *
 * @throws {Failure} E_BOOT_LOOP only when no generation has an attempt left; the newest one's own failure when
 *   none opens; what reading the key throws
 */
export function openForRestore(
  session: Session,
  wanted: {
    readonly generation: number | undefined;
    readonly from: string | undefined;
    /** undefined leaves the node unchecked. */
    readonly node: string | undefined;
  },
): OpenedCheckpoint {
  if (wanted.from !== undefined) {
    return openFromFile(session, wanted.from, wanted.node);
  }
  requireGenerations(session.storeDir); // an empty store needs no key: a first boot is no failure
  const { ring, warnings } = readNodeKey(session);
  if (wanted.generation !== undefined) {
    return {
      ...parsed(openGeneration(session.storeDir, wanted.generation, ring, wanted.node)),
      warnings,
    };
  }
  const reading = openNewest(session.storeDir, ring, wanted.node, "count");
  if (reading.kind === "boot-loop") {
    throw reading.failure;
  }
  const concerns = [...reading.listing.concerns, ...reading.opened.concerns].map(
    (failure): Warning => ({ code: "W_STORE", message: `${failure.code}: ${failure.message}` }),
  );
  return {
    ...parsed(reading.opened),
    warnings: [...warnings, ...reading.warnings, ...concerns],
  };
}

/**
 * Opens the generation that this boot has projected: it stays, for its attempt is taken and its pods run.
 *
 * undefined when there is none, or when it does not open any more, which is said.
 */
export function openShown(
  session: Session,
  wanted: Parameters<typeof openForRestore>[1],
  generation: number | undefined,
): OpenedCheckpoint | undefined {
  if (generation === undefined) {
    return undefined;
  }
  try {
    return openForRestore(session, { ...wanted, generation });
  } catch (error) {
    if (!(error instanceof Failure)) {
      throw error;
    }
    const what = `generation ${generation}, which is projected, does not open`;
    logWarning({ code: "W_STORE", message: `${what}: ${error.code}: ${error.message}` });
    return undefined;
  }
}

/**
 * Opens one generation's document.
 *
 * @throws {Failure} as `openGeneration()` and `parseCheckpoint()`
 */
export function parsed({
  plaintext,
  generation,
  file,
}: OpenedGeneration): Omit<OpenedCheckpoint, "warnings"> {
  const checkpoint = parseDocument(plaintext, file);
  plaintext.fill(0); // strings cannot be wiped, this can
  return { checkpoint, generation, file };
}

/** A sealed checkpoint, or the document that any JOSE tool gives with a break-glass key. */
function openFromFile(session: Session, file: string, node: string | undefined): OpenedCheckpoint {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file === "-" ? 0 : file);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR", "EISDIR")) {
      const isDirectory = hasErrno(error, "EISDIR");
      throw new Failure(isDirectory ? "E_NOT_REGULAR" : "E_NO_INPUT", {
        what: "there is no such checkpoint",
        where: file,
        found: isDirectory ? "it is a directory" : "no such file",
        next: "Check the path given to --from",
      });
    }
    throw failureOf(error, { what: "the checkpoint cannot be read", where: file });
  }
  if (/^\s*\{\s*"apiVersion"/.test(bytes.toString("utf8", 0, 200))) {
    return { checkpoint: parseDocument(bytes, file), generation: undefined, file, warnings: [] };
  }
  if (file === "-") {
    throw new Failure("E_OBJECT", {
      what: "standard input is no checkpoint's document",
      where: "--from -",
      next: "Give a sealed checkpoint by its file name",
    });
  }
  const { ring, warnings } = readNodeKey(session);
  return { ...parsed(openFile(file, ring, node)), generation: undefined, warnings };
}

function parseDocument(bytes: Buffer, file: string): Checkpoint {
  let value: unknown;
  try {
    value = parseJson(bytes.toString("utf8"));
  } catch {
    throw new Failure("E_OBJECT", {
      what: "the checkpoint's document is not JSON",
      where: file,
      next: "Use another generation (`blackstart verify` shows which open)",
    });
  }
  return parseCheckpoint(value);
}
