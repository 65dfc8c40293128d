import { randomBytes } from "node:crypto";
import { closeSync, lstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

/** Letters that no hexadecimal number has. */
const letters = "ghijklmnopqrstuvwxyz";

/** The core of every secret value of one test run: found whatever stands around it. */
export const core = [...randomBytes(22)].map((byte) => letters[byte % 20]).join("");

/** The same where only digits can stand. */
export const digits = `48151623${[...randomBytes(8)].map((byte) => byte % 10).join("")}`;

/** A secret value whose bytes need escaping in URLs, JSON, YAML and shells. */
export function secretValue(name: string): string {
  return `"${core}-${name}&=/+ü'\n`;
}

/** The forms in which bytes could show up: as they are, hexadecimal, base64 at each offset. */
export function formsOf(bytes: Uint8Array): readonly Buffer[] {
  const whole = Buffer.from(bytes);
  const hex = whole.toString("hex");
  const offsets = [0, 1, 2].flatMap((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), whole]).toString("base64");
    // The first and last characters also depend on what stands beside.
    const inner = padded.slice(offset === 0 ? 0 : offset + 1, -4);
    return [inner, inner.replaceAll("+", "-").replaceAll("/", "_")];
  });
  const texts = [hex, hex.toUpperCase(), ...offsets].map((text) => Buffer.from(text));
  return [whole, ...texts];
}

const wanted = [core, digits].flatMap((text) => formsOf(Buffer.from(text)));
/** Messages that quote a few characters are leaks as well: JSON.parse shows ten. */
const pieces = [...windows(core, 6), ...windows(digits, 9)].map((text) => Buffer.from(text));

function windows(text: string, length: number): readonly string[] {
  return Array.from({ length: text.length - length + 1 }, (_, at) => text.slice(at, at + length));
}

/** Where a secret, or a piece of one, stands in what a program said; undefined when it does not. */
export function findPiece(said: string, more: readonly Buffer[] = []): string | undefined {
  return findSecret(Buffer.from(said), [...pieces, ...more]);
}

/** Where a secret stands in bytes, undefined when it does not. */
export function findSecret(bytes: Uint8Array, more: readonly Buffer[] = []): string | undefined {
  const hay = Buffer.from(bytes);
  for (const form of [...wanted, ...more]) {
    const at = hay.indexOf(form);
    if (at !== -1) {
      return `${form.toString("latin1")} at ${at}: …${hay.toString("latin1", Math.max(0, at - 80), at)}`;
    }
  }
  return undefined;
}

/** Files below a directory that hold a secret, links not followed; what `isAllowed` says is left out. */
export function filesWithSecrets(
  root: string,
  isAllowed: (path: string) => boolean,
  more: readonly Buffer[] = [],
): readonly string[] {
  return walk(root, "").filter((path) => {
    if (isAllowed(path)) {
      return false;
    }
    const bytes = readWhole(join(root, path));
    return findSecret(Buffer.concat([Buffer.from(path), bytes]), more) !== undefined;
  });
}

const largest = 64 * 1_048_576;

function walk(root: string, dir: string): readonly string[] {
  return namesIn(join(root, dir)).flatMap((name) => {
    const path = join(dir, name);
    try {
      const stats = lstatSync(join(root, path));
      return stats.isDirectory()
        ? walk(root, path)
        : stats.isFile() && stats.size <= largest
          ? [path]
          : [];
    } catch {
      return []; // gone meanwhile
    }
  });
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function readWhole(file: string): Buffer {
  const chunks: Buffer[] = [];
  try {
    const descriptor = openSync(file, "r");
    try {
      for (;;) {
        const chunk = Buffer.alloc(1_048_576);
        const length = readSync(descriptor, chunk);
        if (length === 0) {
          break;
        }
        chunks.push(chunk.subarray(0, length));
      }
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // gone meanwhile
  }
  return Buffer.concat(chunks);
}
