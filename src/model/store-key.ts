import { createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { Failure } from "../errors.ts";
import { SecretBytes } from "./secret-bytes.ts";

/** Length of a key. Source: RFC 7518 §4.7 (A256GCMKW takes a 256-bit key). */
export const keyBytes = 32;

/** What `SetCredential=` delivers when blackstart-key.service could publish no key. */
export const noKeyText = "NOKEY";

/** What a derived key is for; two purposes never share one. */
export type KeyPurpose = "recipients" | "high-water-mark" | "content";

/** One node key. Shows its `kid` and never its bytes. */
export class StoreKey {
  /** First 16 characters of the RFC 7638 thumbprint of the key as an `oct` JWK: follows from the key. */
  readonly kid: string;
  readonly #secret: SecretBytes;

  private constructor(bytes: Uint8Array) {
    this.#secret = new SecretBytes(bytes);
    this.kid = thumbprint(bytes);
  }

  /** A new random key. */
  static generate(): StoreKey {
    const bytes = randomBytes(keyBytes);
    const key = new StoreKey(bytes);
    bytes.fill(0);
    return key;
  }

  /**
   * Takes raw bytes as a key; copies them.
   *
   * @throws {Failure} E_KEY_LENGTH only when they are not 32 bytes, E_KEY_WEAK only when all are equal
   */
  static parse(bytes: Uint8Array, where: string): StoreKey {
    if (bytes.byteLength !== keyBytes) {
      throw new Failure("E_KEY_LENGTH", {
        what: "the key is not a key",
        where,
        found: `expected ${keyBytes} raw bytes, got ${bytes.byteLength}${describeShape(bytes)}`,
        next: "Write the raw bytes, nothing else",
      });
    }
    if (bytes.every((byte) => byte === bytes[0])) {
      throw new Failure("E_KEY_WEAK", {
        what: "the key is not random",
        where,
        found: "all of its bytes are equal",
        next: "Make a key with `blackstart key init`",
      });
    }
    return new StoreKey(bytes);
  }

  /** The raw bytes, not a copy. Only for a cipher or a key slot. */
  expose(): Uint8Array {
    return this.#secret.expose();
  }

  /** Pure. HMAC-SHA-256 under a key derived (HKDF-SHA-256) for `purpose`. */
  mac(purpose: KeyPurpose, message: string | Uint8Array): Buffer {
    const info = `blackstart ${purpose} v1`;
    const derived = Buffer.from(hkdfSync("sha256", this.expose(), "", info, keyBytes));
    const mac = createHmac("sha256", derived).update(message).digest();
    derived.fill(0);
    return mac;
  }

  wipe(): void {
    this.#secret.wipe();
  }

  toJSON(): { readonly kid: string } {
    return { kid: this.kid };
  }
}

/** The keys of this node. Several while a rotation is under way. */
export interface KeyRing {
  /** The key that new generations are sealed with. */
  readonly primary: StoreKey;
  /** The key of that `kid`, looked for in every slot; slots that cost a process are tried last. */
  find(kid: string): StoreKey | undefined;
  /** The kids known so far, for messages. */
  kids(): readonly string[];
}

/** Pure. A ring of one key. */
export function ringOf(primary: StoreKey, ...others: readonly StoreKey[]): KeyRing {
  const keys = [primary, ...others];
  return {
    primary,
    find: (kid) => keys.find((key) => key.kid === kid),
    kids: () => keys.map((key) => key.kid),
  };
}

/** Source: RFC 7638 §3.2 (members in lexicographic order), RFC 7518 §6.4 (`oct`). */
function thumbprint(bytes: Uint8Array): string {
  const k = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
  const digest = createHash("sha256").update(`{"k":"${k}","kty":"oct"}`).digest("base64url");
  return digest.slice(0, 16);
}

function describeShape(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("latin1");
  if (/^[0-9a-fA-F]{64}\s*$/.test(text)) {
    return " (looks like hex)";
  }
  if (/^[A-Za-z0-9+/_-]{43}=?\s*$/.test(text)) {
    return " (looks like base64)";
  }
  return /[\r\n]$/.test(text) ? " (ends with a newline)" : "";
}
