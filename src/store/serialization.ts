import { Failure } from "../errors.ts";
import { malformed, parseHeader } from "./header.ts";

/*
 * The file of one generation: a JWE in General JSON Serialization (RFC 7516 §7.2.1), without any
 * white space, its members in this order:
 *
 *   {"protected":"…","unprotected":{"recipientsMac":"…"},"recipients":[…],"iv":"…","ciphertext":"…","tag":"…"}
 *
 * protected      base64url of {"typ","enc","blackstart":{…}} (header.ts): the cipher's additional data
 * recipientsMac  HMAC of the text of `recipients` under a key derived from the node's: JWE itself
 *                leaves the recipients unauthenticated, and rot in a break-glass one would go unseen
 * recipients     [0] the node: A256GCMKW. Others: break-glass keys, which only `verify` by MAC and
 *                people with the private key look at
 *
 * Every byte is thus authenticated or fixed by the layout.
 */

/** Largest file of a generation, bytes. */
export const maxEnvelopeBytes = 64 * 1024 * 1024;
/** Largest part of the file before the ciphertext, bytes. */
export const maxHeadBytes = 128 * 1024;

export const layout = {
  start: '{"protected":"',
  mac: '","unprotected":{"recipientsMac":"',
  recipients: '"},"recipients":',
  iv: ',"iv":"',
  ciphertext: '","ciphertext":"',
  tag: '","tag":"',
  end: '"}',
} as const;

const ivChars = 16;
const tagChars = 22;
const macChars = 43;
/** The members of one file. */
export interface Parts {
  readonly mac: Buffer;
  /** The JSON text of the array. */
  readonly recipients: string;
  readonly iv: Buffer;
  readonly tag: string;
  /** Where the ciphertext's base64url text starts and ends in the file. */
  readonly start: number;
  readonly end: number;
}

/**
 * Reads the protected header and where it ends. Nothing in it is proved yet.
 *
 * Pure.
 *
 * @throws {Failure} E_TRUNCATED, E_MAGIC, E_HEADER_JSON, E_VERSION only when the file's start is damaged or newer
 */
export function readProtected(all: Buffer, file: string) {
  if (all.length === 0) {
    throw truncated(file, "the file is empty");
  }
  const begin = all.toString("latin1", 0, layout.start.length);
  if (!layout.start.startsWith(begin)) {
    throw altered(file, "it does not begin as a checkpoint does");
  }
  const end = all.subarray(0, maxHeadBytes).indexOf('"', layout.start.length);
  if (end === -1) {
    throw all.length > maxHeadBytes
      ? malformed(file, "it does not end where it should")
      : truncated(file, "it ends within the header");
  }
  const protectedText = all.toString("latin1", layout.start.length, end);
  const decoded = decode(protectedText);
  if (decoded === undefined) {
    throw malformed(file, "it is not base64url");
  }
  return { ...parseHeader(decoded, file), protectedText, next: end };
}

/**
 * Finds the members that follow the protected header, which ends at `from`.
 *
 * Pure.
 *
 * @throws {Failure} E_TRUNCATED, E_HEADER_JSON, E_TRAILING, E_MAGIC only when the layout is broken, E_MAC only
 *   when an iv, tag or MAC is not base64url
 */
export function readParts(all: Buffer, from: number, file: string): Parts {
  const head = all.subarray(0, maxHeadBytes);
  const macStart = expectText(all, from, layout.mac, file);
  const recipientsStart = expectText(all, macStart + macChars, layout.recipients, file);
  // No JSON text of the recipients holds `],"iv":"`: they have no arrays, and quotes in strings are escaped.
  const recipientsEnd = head.indexOf(`]${layout.iv}`, recipientsStart) + 1;
  if (recipientsEnd === 0) {
    throw head.includes(layout.ciphertext, recipientsStart)
      ? malformed(file, "the recipients do not end where they should")
      : truncated(file, "it ends within the recipients");
  }
  const ivStart = recipientsEnd + layout.iv.length;
  const start = expectText(all, ivStart + ivChars, layout.ciphertext, file);
  const end = all.indexOf('"', start);
  if (end === -1) {
    throw truncated(file, "it ends within the ciphertext");
  }
  const tagStart = expectText(all, end, layout.tag, file);
  const after = expectText(all, tagStart + tagChars, layout.end, file);
  if (after !== all.length) {
    throw trailing(all.subarray(after), file);
  }
  const tag = all.toString("latin1", tagStart, tagStart + tagChars);
  const mac = decode(all.toString("latin1", macStart, macStart + macChars));
  const iv = decode(all.toString("latin1", ivStart, ivStart + ivChars));
  if (mac === undefined || iv === undefined || decode(tag) === undefined) {
    throw unauthentic(file, "a tag is damaged");
  }
  return {
    mac,
    recipients: all.toString("latin1", recipientsStart, recipientsEnd),
    iv,
    tag,
    start,
    end,
  };
}

/** Pure. The failure of a file that is larger than any generation. */
export function tooBig(sizeBytes: number, file: string): Failure {
  return new Failure("E_TOO_BIG", {
    what: "the checkpoint's file is too large",
    where: file,
    found: `${sizeBytes} bytes, at most ${maxEnvelopeBytes}`,
    next: "Use another generation",
  });
}

/** Pure. The bytes of canonical base64url text, or undefined: the decoder alone would skip what it does not know. */
export function decode(text: unknown): Buffer | undefined {
  if (typeof text !== "string") {
    return undefined;
  }
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

function expectText(all: Buffer, at: number, text: string, file: string): number {
  const end = at + text.length;
  const found = all.toString("latin1", at, end);
  if (found !== text) {
    throw text.startsWith(found) && end > all.length
      ? truncated(file, "it ends too early")
      : malformed(file, "the file is not laid out as a checkpoint is");
  }
  return end;
}

function trailing(rest: Buffer, file: string): Failure {
  const text = rest.toString("latin1", 0, 16);
  return text.includes("\r")
    ? altered(file, "a line end was added or changed")
    : new Failure("E_TRAILING", {
        what: "the checkpoint's file has bytes after its end",
        where: file,
        found: `${rest.length} bytes too many`,
        next: "Use another generation",
      });
}

function altered(file: string, found: string): Failure {
  return new Failure("E_MAGIC", {
    what: "the file was altered in transfer, or is no checkpoint",
    where: file,
    found,
    next: "Copy it again as binary",
  });
}

function truncated(file: string, found: string): Failure {
  return new Failure("E_TRUNCATED", {
    what: "the checkpoint's file is incomplete",
    where: file,
    found,
    next: "Use another generation",
  });
}

/** Pure. The failure of a tag or MAC that does not verify. */
export function unauthentic(file: string, found: string): Failure {
  return new Failure("E_MAC", {
    what: "the checkpoint does not authenticate",
    where: file,
    found,
    next: "Use another generation; if this repeats, check the disk",
  });
}

/** Pure. The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
