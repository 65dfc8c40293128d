import { Failure } from "../errors.ts";
import type { StoreKey } from "../model/store-key.ts";
import { encodeHeader, formatVersion, type GenerationHeader } from "./header.ts";
import type { Recipient } from "./recipients.ts";
import { layout, maxEnvelopeBytes, maxHeadBytes } from "./serialization.ts";

/** Largest document, bytes: what fits a file after base64url and the largest head. */
export const maxContentBytes = ((maxEnvelopeBytes - maxHeadBytes) / 4) * 3 - 1024;

/** What the caller states about a generation; the rest follows from the key and the format. */
export type SealedFacts = Omit<GenerationHeader, "version" | "kid">;

/**
 * Seals a document for the node's key and any break-glass recipients (the layout: serialization.ts).
 *
 * Pure but for randomness. A new content key each time, so no key meets two nonces.
 *
 * @throws {Failure} E_TOO_BIG only when the document exceeds `maxContentBytes`, E_RECIPIENT only when there are
 *   too many recipients
 */
export async function seal(
  plaintext: Uint8Array,
  facts: SealedFacts,
  key: StoreKey,
  recipients: readonly Recipient[],
): Promise<Uint8Array> {
  if (plaintext.byteLength > maxContentBytes) {
    throw new Failure("E_TOO_BIG", {
      what: "the checkpoint is too large",
      found: `${plaintext.byteLength} bytes, at most ${maxContentBytes}`,
      next: "Select fewer pods",
    });
  }
  // Only this side needs the library: the boot path opens with node:crypto alone.
  const { GeneralEncrypt } = await import("jose");
  const header = encodeHeader({ version: formatVersion, kid: key.kid, ...facts });
  const jwe = new GeneralEncrypt(plaintext).setProtectedHeader(header);
  jwe.addRecipient(key.expose()).setUnprotectedHeader({ alg: "A256GCMKW", kid: key.kid });
  for (const recipient of recipients) {
    const { alg, kid } = recipient;
    jwe.addRecipient(recipient.key).setUnprotectedHeader({ alg, kid });
  }
  return encodeEnvelope(await jwe.encrypt(), key);
}

/** The members of a general JWE that `seal` fills. */
interface GeneralMembers {
  readonly protected?: string;
  readonly recipients: readonly { readonly encrypted_key?: string; readonly header?: object }[];
  readonly iv?: string;
  readonly ciphertext: string;
  readonly tag?: string;
}

function encodeEnvelope(jwe: GeneralMembers, key: StoreKey): Uint8Array {
  const recipients = JSON.stringify(
    jwe.recipients.map(({ encrypted_key, header }) => ({ encrypted_key, header })),
  );
  const mac = key.mac("recipients", recipients).toString("base64url");
  const head = `${layout.start}${jwe.protected}${layout.mac}${mac}${layout.recipients}${recipients}${layout.iv}${jwe.iv}${layout.ciphertext}`;
  if (head.length > maxHeadBytes) {
    throw new Failure("E_RECIPIENT", {
      what: "there are too many recipients",
      found: `${recipients.length} bytes, at most about ${maxHeadBytes}`,
      next: "Name fewer or smaller keys in `recipients`",
    });
  }
  return Buffer.from(`${head}${jwe.ciphertext}${layout.tag}${jwe.tag}${layout.end}`, "latin1");
}

/**
 * A keyed digest of a document, to tell whether it equals another without keeping it.
 *
 * Pure. Give it the document as it would be without its capture time, which changes each time.
 */
export function contentTag(plaintext: Uint8Array, key: StoreKey): string {
  return key.mac("content", plaintext).toString("base64url");
}
