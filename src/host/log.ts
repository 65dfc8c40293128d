import { writeSync } from "node:fs";
import { isSystemError } from "../errors.ts";
import type { Warning } from "../model/plan.ts";

/** Priorities of the journal. Source: sd-daemon(3), systemd 252. */
const priority = { warning: "<4>", info: "<6>" } as const;

/**
 * Says one event on stderr, in one line.
 *
 * The journal's priority goes before it only where the journal reads: on a console it is noise.
 */
export function log(line: string, level: keyof typeof priority = "info"): void {
  const prefix = process.env["JOURNAL_STREAM"] === undefined ? "" : priority[level];
  try {
    writeAll(2, `${prefix}${line.replaceAll(/[\r\n]+/g, " ")}\n`);
  } catch (error) {
    // The journal or the terminal is gone: nobody can be told, and the work is to be done all the same.
    if (!isSystemError(error)) {
      throw error;
    }
  }
}

/** Says a warning on stderr: code, pod, message. */
export function logWarning(warning: Warning): void {
  log(describeWarning(warning), warning.code.startsWith("I_") ? "info" : "warning");
}

/** Pure. `W_CODE namespace/name: message`. */
export function describeWarning({ code, namespace, name, message }: Warning): string {
  const pod = name === undefined ? "" : ` ${namespace ?? "default"}/${name}`;
  return `${code}${pod}: ${message}`;
}

/** Prints data on stdout. */
export function print(text: string): void {
  writeAll(1, text);
}

/** Descriptors that others have made non-blocking refuse what does not fit; the rest is written again. */
function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text, "utf8");
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      if (!isSystemError(error) || error.code !== "EAGAIN") {
        throw error;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
