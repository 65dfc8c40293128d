import { createCipheriv, randomBytes } from "node:crypto";
import type { StoreKey } from "../../src/model/store-key.ts";
import { encodeHeader } from "../../src/store/header.ts";

export const facts = {
  version: 1,
  storeId: "store-a",
  node: "n1",
  generation: 1,
  previousTag: "",
  capturedAt: "2026-01-02T03:04:05Z",
};

/** What of an envelope is forged: the holder of the key can authenticate anything. */
export interface Forgery {
  /** The protected header's text. */
  readonly header?: string;
  readonly recipientHeader?: object;
  readonly recipients?: string;
  readonly plaintext?: string;
  readonly contentKey?: Buffer;
}

/** Makes an envelope with node:crypto alone, wrong in just one thing and authentic in all others. */
export function forge(key: StoreKey, forgery: Forgery = {}): Buffer {
  const contentKey = forgery.contentKey ?? randomBytes(32);
  const wrapIv = randomBytes(12);
  const wrap = createCipheriv("aes-256-gcm", key.expose(), wrapIv);
  const wrapped = Buffer.concat([wrap.update(contentKey), wrap.final()]);
  const header = forgery.recipientHeader ?? {
    alg: "A256GCMKW",
    kid: key.kid,
    iv: text(wrapIv),
    tag: text(wrap.getAuthTag()),
  };
  const recipients =
    forgery.recipients ?? JSON.stringify([{ encrypted_key: text(wrapped), header }]);
  const protectedText = text(
    Buffer.from(forgery.header ?? JSON.stringify(encodeHeader({ ...facts, kid: key.kid }))),
  );
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", contentKey.subarray(0, 32), iv);
  cipher.setAAD(Buffer.from(protectedText));
  const ciphertext = Buffer.concat([cipher.update(forgery.plaintext ?? "{}"), cipher.final()]);
  const mac = text(key.mac("recipients", recipients));
  return Buffer.from(
    `{"protected":"${protectedText}","unprotected":{"recipientsMac":"${mac}"},"recipients":${recipients},` +
      `"iv":"${text(iv)}","ciphertext":"${text(ciphertext)}","tag":"${text(cipher.getAuthTag())}"}`,
  );
}

function text(bytes: Buffer): string {
  return bytes.toString("base64url");
}
