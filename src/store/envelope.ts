import { createDecipheriv, timingSafeEqual } from "node:crypto";
import { Failure } from "../errors.ts";
import { type KeyRing, keyBytes, type StoreKey } from "../model/store-key.ts";
import { type GenerationHeader, isRecord, malformed, type ProtectedHeader } from "./header.ts";
import {
  asBuffer,
  decode,
  maxEnvelopeBytes,
  type Parts,
  readParts,
  readProtected,
  tooBig,
  unauthentic,
} from "./serialization.ts";

/** Multiple of 4, so that each chunk of base64url decodes on its own. */
const chunkChars = 256 * 1024;

export interface OpenedEnvelope {
  readonly header: GenerationHeader;
  /** The document. Owned by the caller. */
  readonly plaintext: Buffer;
  /** Content tag, base64url: what the next generation's `previousTag` names. */
  readonly tag: string;
}

/**
 * Reads the header without proving it: nothing in it may be believed before `openEnvelope`.
 *
 * Pure. `bytes` may be just the first `maxHeadBytes` of the file.
 *
 * @throws {Failure} E_TRUNCATED, E_MAGIC, E_HEADER_JSON, E_VERSION as `openEnvelope`
 */
export function readHeader(bytes: Uint8Array, file = "envelope"): GenerationHeader {
  return readProtected(asBuffer(bytes), file).header;
}

/**
 * Opens one generation: checks size, layout, version, algorithms, key and tags, in this order.
 *
 * Pure. Uses only the node's recipient. `file` names the envelope in messages.
 *
 * @throws {Failure} E_TOO_BIG, E_TRUNCATED, E_MAGIC, E_TRAILING, E_HEADER_JSON, E_VERSION before any key is
 *   used; E_NO_KEY only when `keys` lacks the kid; E_MAC only when a tag or MAC does not verify
 */
export function openEnvelope(
  bytes: Uint8Array,
  keys: Pick<KeyRing, "find" | "kids">,
  file = "envelope",
): OpenedEnvelope {
  const all = asBuffer(bytes);
  if (all.length > maxEnvelopeBytes) {
    throw tooBig(all.length, file);
  }
  const { header, iv, tag, protectedText, next } = readProtected(all, file);
  const parts = readParts(all, next, file);
  const node = parseNodeRecipient(parts.recipients, { header, iv, tag }, file);
  const key = keys.find(header.kid);
  if (key === undefined) {
    throw new Failure("E_NO_KEY", {
      what: `the checkpoint needs key ${header.kid}`,
      where: file,
      found: `have ${keys.kids().join(", ") || "none"}`,
      next: "Restore that key's slot in /etc/blackstart/keys, or open the file with a break-glass key",
    });
  }
  checkRecipients(parts, key, file);
  const contentKey = unwrap(node, key, file);
  const plaintext = decrypt(all, parts, contentKey, protectedText, file);
  contentKey.fill(0);
  return { header, plaintext, tag: parts.tag };
}

interface WrappedKey {
  readonly encryptedKey: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
}

function parseNodeRecipient(
  text: string,
  { header, iv, tag }: ProtectedHeader,
  file: string,
): WrappedKey {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw malformed(file, "the recipients are not JSON");
  }
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  if (!isRecord(first) || !isRecord(first["header"])) {
    throw malformed(file, "it has no recipient");
  }
  const own = first["header"];
  // One algorithm, stated here and nowhere negotiated: whatever else the file asks for is refused.
  if (own["alg"] !== "A256GCMKW" || own["kid"] !== header.kid) {
    throw malformed(file, "the first recipient is not the node's key with A256GCMKW");
  }
  const members = iv === undefined ? "alg,kid,iv,tag" : "alg,kid";
  if (Object.keys(own).join() !== members || Object.keys(first).join() !== "encrypted_key,header") {
    throw malformed(file, "the node's recipient has other members than it should");
  }
  const wrapped = {
    encryptedKey: decode(first["encrypted_key"]),
    iv: decode(iv ?? own["iv"]),
    tag: decode(tag ?? own["tag"]),
  };
  if (wrapped.encryptedKey?.length !== keyBytes) {
    throw malformed(file, "the wrapped key has another length than it should");
  }
  if (wrapped.iv?.length !== 12 || wrapped.tag?.length !== 16) {
    throw malformed(file, "the key wrap's iv or tag has another length than it should");
  }
  return { encryptedKey: wrapped.encryptedKey, iv: wrapped.iv, tag: wrapped.tag };
}

function checkRecipients({ mac, recipients }: Parts, key: StoreKey, file: string): void {
  if (!timingSafeEqual(mac, key.mac("recipients", Buffer.from(recipients, "latin1")))) {
    throw unauthentic(file, "the recipients do not verify");
  }
}

function unwrap({ encryptedKey, iv, tag }: WrappedKey, key: StoreKey, file: string): Buffer {
  const cipher = createDecipheriv("aes-256-gcm", key.expose(), iv, { authTagLength: 16 });
  cipher.setAuthTag(tag);
  const contentKey = cipher.update(encryptedKey);
  try {
    cipher.final();
  } catch {
    throw unauthentic(file, "the wrapped key does not verify");
  }
  return contentKey;
}

function decrypt(
  all: Buffer,
  { iv, tag, start, end }: Parts,
  contentKey: Buffer,
  protectedText: string,
  file: string,
): Buffer {
  const cipher = createDecipheriv("aes-256-gcm", contentKey, iv, { authTagLength: 16 });
  cipher.setAuthTag(Buffer.from(tag, "base64url"));
  cipher.setAAD(Buffer.from(protectedText, "latin1"));
  const plaintext = Buffer.allocUnsafeSlow(Math.floor(((end - start) * 3) / 4));
  let length = 0;
  for (let at = start; at < end; at += chunkChars) {
    const chunk = decode(all.toString("latin1", at, Math.min(at + chunkChars, end)));
    if (chunk === undefined) {
      throw unauthentic(file, "the ciphertext is damaged");
    }
    length += cipher.update(chunk).copy(plaintext, length);
  }
  try {
    cipher.final();
  } catch {
    plaintext.fill(0);
    throw unauthentic(file, "the content does not verify");
  }
  return plaintext.subarray(0, length);
}
