import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { Failure } from "../errors.ts";
import { isRecord } from "./header.ts";

/** A break-glass public key: whoever holds the private one can open every generation sealed for it. */
export interface Recipient {
  readonly kid: string;
  readonly alg: "ECDH-ES+A256KW" | "RSA-OAEP-256";
  readonly key: KeyObject;
}

/** Source: RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2; `priv`: draft-ietf-jose-pq-composite-keys. */
const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const curves = ["P-256", "P-384", "P-521", "X25519"];
const smallestModulusBits = 2048;

/**
 * Takes the text of one recipient file, a JWK or a JWK Set, as public keys.
 *
 * Pure. `file` is for messages.
 *
 * @throws {Failure} E_RECIPIENT only when a key is private, symmetric, too small, for signing, or no key
 */
export function parseRecipients(text: string, file: string): readonly Recipient[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused(file, "it is not JSON", "Write the public key as a JWK (RFC 7517)");
  }
  const keys: unknown = isRecord(value) && "keys" in value ? value["keys"] : [value];
  if (!Array.isArray(keys) || keys.length === 0) {
    throw refused(file, "it holds no key", "Write a JWK or a JWK Set (RFC 7517)");
  }
  return keys.map((key: unknown) => parseRecipient(key, file));
}

function parseRecipient(value: unknown, file: string): Recipient {
  if (!isRecord(value)) {
    throw refused(file, "a key is not a JSON object", "Write a JWK or a JWK Set (RFC 7517)");
  }
  if (privateMembers.some((member) => member in value)) {
    const next =
      "Keep the private key offline; put only the public one here (`jose jwk pub -i KEY`)";
    throw refused(file, "it holds a private or symmetric key", next);
  }
  const { kty, crv } = value;
  if (value["use"] !== undefined && value["use"] !== "enc") {
    throw refused(file, "the key is not for encryption (use)", "Use a key made for encryption");
  }
  if (kty === "RSA") {
    return parseRsa(value, file);
  }
  if ((kty === "EC" || kty === "OKP") && typeof crv === "string" && curves.includes(crv)) {
    checkAlgorithm(value, "ECDH-ES", file);
    const { x, y } = value;
    const key = parseKey(kty === "EC" ? { kty, crv, x, y } : { kty, crv, x }, file);
    return {
      kid: kidOf(value, { crv, kty, x, ...(kty === "EC" ? { y } : {}) }),
      alg: "ECDH-ES+A256KW",
      key,
    };
  }
  throw refused(
    file,
    "the key type is not supported",
    "Use RSA, EC (P-256, P-384, P-521) or X25519",
  );
}

function parseRsa(value: Readonly<Record<string, unknown>>, file: string): Recipient {
  checkAlgorithm(value, "RSA-OAEP", file);
  const { n, e } = value;
  const key = parseKey({ kty: "RSA", n, e }, file);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < smallestModulusBits) {
    throw refused(
      file,
      `an RSA key of ${bits} bits, at least ${smallestModulusBits}`,
      "Use a larger key",
    );
  }
  return { kid: kidOf(value, { e, kty: "RSA", n }), alg: "RSA-OAEP-256", key };
}

function checkAlgorithm(
  value: Readonly<Record<string, unknown>>,
  family: string,
  file: string,
): void {
  const { alg } = value;
  // José's own tool marks keys for key exchange with ECMR, its extension; they do ECDH all the same.
  if (alg !== undefined && alg !== "ECMR" && !String(alg).startsWith(family)) {
    throw refused(file, "the key is for another algorithm (alg)", `Use a key for ${family}`);
  }
}

function parseKey(jwk: Readonly<Record<string, unknown>>, file: string): KeyObject {
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
  } catch {
    throw refused(file, "a key's numbers are not a public key", "Export the key again");
  }
}

/** The key's own name, so that its owner's tools find it, else its thumbprint (RFC 7638). */
function kidOf(value: Readonly<Record<string, unknown>>, members: object): string {
  const { kid } = value;
  return typeof kid === "string" && /^[\x21-\x7e]{1,128}$/.test(kid)
    ? kid
    : createHash("sha256").update(JSON.stringify(members)).digest("base64url");
}

function refused(file: string, found: string, next: string): Failure {
  return new Failure("E_RECIPIENT", {
    what: "the break-glass recipient is not usable",
    where: file,
    found,
    next,
  });
}
