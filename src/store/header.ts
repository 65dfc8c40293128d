import { Failure } from "../errors.ts";

/** The format that this program writes; it reads every format from 1 on. */
export const formatVersion = 1;

/** Media type of a checkpoint in the JWE `typ` parameter. */
export const envelopeType = "blackstart-checkpoint+json";

/** The protected header's own part: authenticated, but not encrypted. */
export interface GenerationHeader {
  readonly version: number;
  /** Key that wraps the content key for the node. */
  readonly kid: string;
  readonly storeId: string;
  readonly node: string;
  readonly generation: number;
  /** Tag of the generation before, base64url; "" for the first. */
  readonly previousTag: string;
  /** RFC 3339, UTC. For people; order is by generation, never by time. */
  readonly capturedAt: string;
}

/** The protected header with the key wrap's parameters, which stand here when there is one recipient. */
export interface ProtectedHeader {
  readonly header: GenerationHeader;
  readonly iv: string | undefined;
  readonly tag: string | undefined;
}

/** Pure. The protected header of a generation; ours are one private parameter (RFC 7516 §4.3). */
export function encodeHeader(header: GenerationHeader) {
  const { version, kid, storeId, node, generation, previousTag, capturedAt } = header;
  return {
    typ: envelopeType,
    enc: "A256GCM",
    blackstart: { version, kid, storeId, node, generation, previousTag, capturedAt },
  };
}

/**
 * Takes the decoded protected header. `file` names the envelope in messages.
 *
 * Pure. Canonical JSON only, so no member can occur twice.
 *
 * @throws {Failure} E_VERSION only when a newer program wrote it, E_HEADER_JSON when it is anything else
 */
export function parseHeader(bytes: Uint8Array, file: string): ProtectedHeader {
  const outer = parseCanonical(bytes, file);
  if (outer["typ"] !== envelopeType) {
    throw malformed(file, "it is not a checkpoint's (typ)");
  }
  const inner = outer["blackstart"];
  if (!isRecord(inner)) {
    throw malformed(file, "the member blackstart is missing");
  }
  const { version } = inner;
  if (!isCount(version)) {
    throw malformed(file, "the format version is not a number");
  }
  if (version > formatVersion) {
    throw new Failure("E_VERSION", {
      what: "the checkpoint was written by a newer blackstart",
      where: file,
      found: `format ${version}, this reads ≤ ${formatVersion}; file kept`,
      next: "Install the newer blackstart",
    });
  }
  if (outer["enc"] !== "A256GCM") {
    throw malformed(file, "the content encryption is not A256GCM");
  }
  const { iv, tag } = outer;
  if (!isOptionalText(iv) || !isOptionalText(tag)) {
    throw malformed(file, "the key wrap's parameters are no strings");
  }
  const expected = iv === undefined ? outerMembers : `${outerMembers},iv,tag`;
  if (Object.keys(outer).join() !== expected || Object.keys(inner).join() !== innerMembers) {
    throw malformed(file, "it has other members than a checkpoint's");
  }
  return { header: parseOwn(inner, version, file), iv, tag };
}

const outerMembers = "typ,enc,blackstart";
const innerMembers = "version,kid,storeId,node,generation,previousTag,capturedAt";

function parseOwn(inner: Readonly<Record<string, unknown>>, version: number, file: string) {
  const { kid, storeId, node, generation, previousTag, capturedAt } = inner;
  if (
    typeof kid !== "string" ||
    !/^[\w-]{16}$/.test(kid) ||
    typeof storeId !== "string" ||
    typeof node !== "string" ||
    !isCount(generation) ||
    typeof previousTag !== "string" ||
    typeof capturedAt !== "string"
  ) {
    throw malformed(file, "a member has another type than it should");
  }
  return { version, kid, storeId, node, generation, previousTag, capturedAt };
}

function parseCanonical(bytes: Uint8Array, file: string): Readonly<Record<string, unknown>> {
  const text = Buffer.from(bytes).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed(file, "it is not JSON");
  }
  // Also catches a member that stands twice: JSON.parse keeps the last one only.
  if (!isRecord(value) || JSON.stringify(value) !== text) {
    throw malformed(file, "it is not a canonical JSON object, or a member stands twice");
  }
  return value;
}

/** Pure. The failure of a header that is not a checkpoint's. */
export function malformed(file: string, found: string): Failure {
  return new Failure("E_HEADER_JSON", {
    what: "the checkpoint's header is damaged",
    where: file,
    found,
    next: "Use another generation (`blackstart verify` shows which open)",
  });
}

/** Pure. True for a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}
