import { isUtf8 } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { isSystemError } from "../errors.ts";

/** The largest settings file of this or another program, bytes. */
export const settingsLimitBytes = 1_048_576;

/** A settings file as it was found; `problem` is a few words that name no content. */
export type SettingsFile =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "absent" }
  | { readonly kind: "unreadable"; readonly problem: string };

/**
 * Reads a whole UTF-8 file of at most 1 MiB; links are followed, as the program that owns it does.
 *
 * Never throws, and never waits: a pipe or device in the file's place does not hold up a boot.
 */
export function readSettings(file: string): SettingsFile {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const facts = fstatSync(descriptor);
    if (!facts.isFile()) {
      return { kind: "unreadable", problem: "not a regular file" };
    }
    if (facts.size > settingsLimitBytes) {
      return { kind: "unreadable", problem: `${facts.size} bytes, at most ${settingsLimitBytes}` };
    }
    const bytes = readFileSync(descriptor);
    return isUtf8(bytes) // a fatal TextDecoder would load ICU, which shows at each boot
      ? { kind: "text", text: bytes.toString("utf8").replace(/^\ufeff/, "") }
      : { kind: "unreadable", problem: "not UTF-8" };
  } catch (error) {
    const code = isSystemError(error) ? error.code : "unreadable";
    return code === "ENOENT" || code === "ENOTDIR"
      ? { kind: "absent" }
      : { kind: "unreadable", problem: code };
  } finally {
    if (descriptor !== undefined) {
      closeSync(descriptor);
    }
  }
}
