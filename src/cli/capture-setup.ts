import { readFileSync } from "node:fs";
import { type Selection, under } from "../config.ts";
import { Failure } from "../errors.ts";
import { type KeyReading, readKey } from "../host/credential.ts";
import { failureOf, hasErrno } from "../host/system-error.ts";
import { parseRecipients, type Recipient } from "../store/recipients.ts";
import type { GlobalOptions } from "./options.ts";
import { openSession, type Session } from "./session.ts";

/** What every kind of capture is told. */
export interface CaptureSettings extends GlobalOptions {
  readonly node: string | undefined;
  readonly select: "annotated" | "all" | undefined;
  readonly allowEmpty: boolean;
}

/** What every kind of capture needs before it reads anything. */
export interface CaptureSetup {
  readonly session: Session;
  readonly selection: Selection;
  readonly key: KeyReading;
  readonly recipients: readonly Recipient[];
  /** As it was named; undefined where it is to be found out. */
  readonly node: string | undefined;
  readonly allowEmpty: boolean;
}

/**
 * Reads configuration, key and break-glass keys. Without a key there is no point in reading anything else.
 *
 * @throws {Failure} E_CONFIG, E_NO_KEY, E_KEY_…, E_RECIPIENT only when one of them is missing or malformed
 */
export async function openCapture(options: CaptureSettings): Promise<CaptureSetup> {
  const session = await openSession(options);
  const { config, root } = session;
  return {
    session,
    selection: options.select === undefined ? config.select : { kind: options.select },
    key: readKey({ root, credentialsDir: process.env["CREDENTIALS_DIRECTORY"] }),
    recipients: config.recipients.flatMap((file) => readRecipients(session, file)),
    node: options.node,
    allowEmpty: options.allowEmpty,
  };
}

function readRecipients(session: Session, file: string): readonly Recipient[] {
  const path = under(session.root, file);
  try {
    return parseRecipients(readFileSync(path, "utf8"), path);
  } catch (error) {
    const what = "a break-glass public key cannot be read";
    if (hasErrno(error, "ENOENT", "ENOTDIR", "EISDIR")) {
      throw new Failure("E_RECIPIENT", {
        what,
        where: path,
        found: hasErrno(error, "EISDIR") ? "it is a directory" : "no such file",
        next: "Correct `recipients` in the configuration, or put the public key there",
      });
    }
    throw failureOf(error, { what, where: path });
  }
}
