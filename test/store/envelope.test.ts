import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { generalDecrypt, importJWK } from "jose";
import { suite } from "uvu";
import { Failure, type FailureCode } from "../../src/errors.ts";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { openEnvelope, readHeader } from "../../src/store/envelope.ts";
import { encodeHeader } from "../../src/store/header.ts";
import { parseRecipients } from "../../src/store/recipients.ts";
import { contentTag, maxContentBytes, seal } from "../../src/store/seal.ts";
import { rejects } from "../rejects.ts";
import { facts, forge } from "./forge.ts";
import { golden, goldenJwk, goldenKey, goldenRing } from "./golden.ts";

const test = suite("store/envelope");
const files = ["v1-alone.jwe", "v1-break-glass.jwe"];
const document = golden("v1-document.json");
const key = StoreKey.generate();
const ring = ringOf(key);

/** What a damaged file may be called; anything else, a bug's exception above all, fails the test. */
const named: ReadonlySet<FailureCode> = new Set<FailureCode>([
  "E_MAC",
  "E_HEADER_JSON",
  "E_MAGIC",
  "E_TRUNCATED",
  "E_TRAILING",
  "E_NO_KEY",
  "E_VERSION",
]);

for (const file of files) {
  test(`${file} of format 1 opens`, () => {
    const { header, plaintext } = openEnvelope(golden(file), goldenRing);
    assert.deepEqual(plaintext, document);
    assert.equal(header.node, "cp-1");
    assert.deepEqual(readHeader(golden(file).subarray(0, 1000)), header);
  });

  test(`${file} opens with the library and the node's key alone`, async () => {
    const jwe = JSON.parse(golden(file).toString());
    const { plaintext } = await generalDecrypt(jwe, goldenKey.expose());
    assert.deepEqual(Buffer.from(plaintext), document);
  });

  test(`${file} with any bit flipped is refused by name`, () => {
    const bytes = golden(file);
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        refused(flip(bytes, at, 1 << bit), goldenRing, `byte ${at} bit ${bit}`);
      }
    }
  });

  test(`${file} with any byte replaced is refused by name`, () => {
    const bytes = golden(file);
    for (let at = 0; at < bytes.length; at += 1) {
      for (const other of [0x00, 0x20, 0x22, 0x2b, 0x2f, 0x3d, 0x0d, 0x0a, 0x7d, 0xff]) {
        if (bytes[at] !== other) {
          refused(flip(bytes, at, (bytes[at] ?? 0) ^ other), goldenRing, `byte ${at} = ${other}`);
        }
      }
    }
  });

  test(`case 5: ${file} truncated at any byte is E_TRUNCATED`, () => {
    const bytes = golden(file);
    for (let length = 0; length < bytes.length; length += 1) {
      const code = refused(bytes.subarray(0, length), goldenRing, `${length} bytes`);
      assert.equal(code, "E_TRUNCATED", `${length} bytes`);
    }
  });
}

for (const name of ["ec", "rsa", "x25519"]) {
  test(`a break-glass ${name} key alone opens it with the library`, async () => {
    const jwk = goldenJwk(`v1-${name}.jwk`);
    const alg = name === "rsa" ? "RSA-OAEP-256" : "ECDH-ES+A256KW";
    const jwe = JSON.parse(golden("v1-break-glass.jwe").toString());
    const { plaintext } = await generalDecrypt(jwe, await importJWK(jwk, alg));
    assert.deepEqual(Buffer.from(plaintext), document);
  });
}

test("what is sealed opens, whatever its length", async () => {
  for (const length of [0, 1, 2, 3, 196_607, 196_608, 196_609, 1_000_000]) {
    const plaintext = randomBytes(length);
    const opened = openEnvelope(await seal(plaintext, sealed(), key, []), ring);
    assert.deepEqual(opened.plaintext, plaintext);
  }
});

test("header names are disjoint, and every recipient names its key", async () => {
  const jwk = { ...goldenJwk("v1-ec.jwk"), d: undefined };
  const recipients = parseRecipients(JSON.stringify(jwk), "ec");
  const jwe = JSON.parse(Buffer.from(await seal(document, sealed(), key, recipients)).toString());
  const shared = Object.keys(JSON.parse(Buffer.from(jwe.protected, "base64url").toString()));
  for (const { header } of jwe.recipients) {
    const names = [...shared, ...Object.keys(jwe.unprotected), ...Object.keys(header)];
    assert.equal(new Set(names).size, names.length);
  }
  assert.deepEqual(
    jwe.recipients.map(({ header }: { header: { kid: string } }) => header.kid),
    [key.kid, "break-glass-ec"],
  );
});

test("a document that is too large is E_TOO_BIG", async () => {
  await rejects(() => seal(new Uint8Array(maxContentBytes + 1), sealed(), key, []), "E_TOO_BIG");
});

test("a plain forgery opens, so that the cases below fail for their own reason", () => {
  assert.equal(openEnvelope(forge(key, { plaintext: "[1]" }), ring).plaintext.toString(), "[1]");
});

const own = { ...facts, kid: key.kid };
const header = encodeHeader(own);
const wrap = {
  alg: "A256GCMKW",
  kid: key.kid,
  iv: "AAAAAAAAAAAAAAAA",
  tag: "AAAAAAAAAAAAAAAAAAAAAA",
};
const cases: readonly {
  readonly name: string;
  readonly bytes: () => Buffer;
  readonly code: FailureCode;
}[] = [
  { name: "case 4: an empty file", bytes: () => Buffer.alloc(0), code: "E_TRUNCATED" },
  { name: "case 5: half a file", bytes: () => half(forge(key)), code: "E_TRUNCATED" },
  {
    name: "case 7: a bit flipped in the ciphertext",
    bytes: () => edit(forge(key, { plaintext: "abcdef" }), /(?<="ciphertext":".)./, other),
    code: "E_MAC",
  },
  {
    name: "case 8: the ciphertext's parts swapped",
    bytes: () =>
      edit(
        forge(key, { plaintext: "0123456789abcdef" }),
        /(?<="ciphertext":")(.{8})(.{8})/,
        (_, a, b) => `${b}${a}`,
      ),
    code: "E_MAC",
  },
  {
    name: "case 8: the ciphertext of another generation",
    bytes: () => splice(forge(key, { plaintext: "1" }), forge(key, { plaintext: "2" })),
    code: "E_MAC",
  },
  {
    name: "case 9: a tag of the right length, zeroed",
    bytes: () => edit(forge(key), /"tag":"[\w-]{22}"}$/, () => `"tag":"${"A".repeat(22)}"}`),
    code: "E_MAC",
  },
  {
    name: "case 10: bytes after the end",
    bytes: () => Buffer.concat([forge(key), Buffer.from("x")]),
    code: "E_TRAILING",
  },
  {
    name: "case 10: a newline after the end",
    bytes: () => Buffer.concat([forge(key), Buffer.from("\n")]),
    code: "E_TRAILING",
  },
  {
    name: "case 11: a header that never ends",
    bytes: () => Buffer.from(`{"protected":"${"A".repeat(300_000)}","unprotected":{}}`),
    code: "E_HEADER_JSON",
  },
  { name: "case 12: a header that is not JSON", bytes: () => bad("{"), code: "E_HEADER_JSON" },
  { name: "case 12: a header that is an array", bytes: () => bad("[]"), code: "E_HEADER_JSON" },
  {
    name: "case 12: a key that stands twice in the header",
    bytes: () => bad(JSON.stringify(header).replace('{"version":1', '{"version":1,"version":1')),
    code: "E_HEADER_JSON",
  },
  {
    name: "case 12: a generation that is text",
    bytes: () => bad(JSON.stringify(header).replace('"generation":1', '"generation":"1"')),
    code: "E_HEADER_JSON",
  },
  {
    name: "case 13: a negative generation",
    bytes: () => bad(JSON.stringify(encodeHeader({ ...own, generation: -1 }))),
    code: "E_HEADER_JSON",
  },
  {
    name: "case 13: a fractional generation",
    bytes: () => bad(JSON.stringify(encodeHeader({ ...own, generation: 1.5 }))),
    code: "E_HEADER_JSON",
  },
  {
    name: "case 14: an iv of another length",
    bytes: () =>
      edit(forge(key), /,"iv":"[\w-]{16}","ciphertext"/, () => ',"iv":"AAAA","ciphertext"'),
    code: "E_HEADER_JSON",
  },
  {
    name: "case 16: a newer format",
    bytes: () => bad(JSON.stringify(encodeHeader({ ...own, version: 3 }))),
    code: "E_VERSION",
  },
  {
    name: "case 16: a newer format with members and a layout of its own",
    bytes: () =>
      Buffer.from(
        `{"protected":"${Buffer.from('{"typ":"blackstart-checkpoint+json","blackstart":{"version":2}}').toString("base64url")}","new":1}`,
      ),
    code: "E_VERSION",
  },
  {
    name: "case 17: line ends changed in transfer",
    bytes: () => Buffer.concat([forge(key), Buffer.from("\r\n")]),
    code: "E_MAGIC",
  },
  {
    name: "case 17: a byte order mark added in transfer",
    bytes: () => Buffer.concat([Buffer.from("\ufeff"), forge(key)]),
    code: "E_MAGIC",
  },
  { name: "case 17: another file altogether", bytes: () => Buffer.from("hello"), code: "E_MAGIC" },
  { name: "zeros where a file was", bytes: () => Buffer.alloc(4096), code: "E_MAGIC" },
  {
    name: "case 40: a key of another kid",
    bytes: () => forge(StoreKey.generate()),
    code: "E_NO_KEY",
  },
  {
    name: "a content key wrapped by another algorithm",
    bytes: () => forge(key, { recipientHeader: { ...wrap, alg: "A256KW" } }),
    code: "E_HEADER_JSON",
  },
  {
    name: "a content key given directly",
    bytes: () => forge(key, { recipientHeader: { ...wrap, alg: "dir" } }),
    code: "E_HEADER_JSON",
  },
  {
    name: "another content encryption",
    bytes: () => bad(JSON.stringify({ ...header, enc: "A128GCM" })),
    code: "E_HEADER_JSON",
  },
  {
    name: "an unknown critical parameter",
    bytes: () => bad(JSON.stringify({ ...header, crit: ["x"], x: 1 })),
    code: "E_HEADER_JSON",
  },
  {
    name: "compressed content",
    bytes: () => bad(JSON.stringify({ ...header, zip: "DEF" })),
    code: "E_HEADER_JSON",
  },
  {
    name: "a key wrap tag of 4 bytes",
    bytes: () => forge(key, { recipientHeader: { ...wrap, tag: "AAAAAA" } }),
    code: "E_HEADER_JSON",
  },
  {
    name: "a content key of 16 bytes",
    bytes: () =>
      forge(key, { recipients: JSON.stringify([{ encrypted_key: "A".repeat(22), header: wrap }]) }),
    code: "E_HEADER_JSON",
  },
  { name: "no recipient", bytes: () => forge(key, { recipients: "[]" }), code: "E_HEADER_JSON" },
  {
    name: "a wrapped key that does not verify",
    bytes: () => forge(key, { recipientHeader: wrap }),
    code: "E_MAC",
  },
];

for (const { name, bytes, code } of cases) {
  test(`${name} → ${code}`, async () => {
    await rejects(() => openEnvelope(bytes(), ring), code);
  });
}

test("case 16: the message says both formats and that the file is kept", async () => {
  const bytes = bad(JSON.stringify(encodeHeader({ ...own, version: 3 })));
  const failure = await rejects(() => openEnvelope(bytes, ring), "E_VERSION");
  assert.match(failure.message, /format 3, this reads ≤ 1; file kept/);
});

test("case 40: the message says which key is needed and which there is", async () => {
  const foreign = StoreKey.generate();
  const failure = await rejects(() => openEnvelope(forge(foreign), ring), "E_NO_KEY");
  assert.match(failure.message, new RegExp(`needs key ${foreign.kid}.*have ${key.kid}`));
});

test("100,000 random damages are refused by name, seed 20260102", () => {
  const bytes = golden("v1-break-glass.jwe");
  const next = randomFrom(20260102);
  for (let run = 0; run < 100_000; run += 1) {
    const damaged = damage(bytes, next);
    if (!damaged.equals(bytes)) {
      refused(damaged, goldenRing, `run ${run}`);
    }
  }
});

test("the content tag is keyed and follows the content", () => {
  assert.equal(contentTag(document, key), contentTag(Buffer.from(document), key));
  assert.notEqual(contentTag(document, key), contentTag(document, goldenKey));
  assert.notEqual(contentTag(document, key), contentTag(Buffer.from("{}"), key));
});

function sealed() {
  const { version: _, ...rest } = facts;
  return rest;
}

function bad(headerText: string): Buffer {
  return forge(key, { header: headerText });
}

function half(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.length / 2);
}

function edit(bytes: Buffer, pattern: RegExp, by: (...found: string[]) => string): Buffer {
  const text = bytes.toString("latin1");
  assert.match(text, pattern);
  return Buffer.from(text.replace(pattern, by), "latin1");
}

function other(char: string): string {
  return char === "A" ? "B" : "A";
}

function splice(a: Buffer, b: Buffer): Buffer {
  const content = b.toString().slice(b.indexOf(',"iv":"', b.indexOf("}}]")));
  return Buffer.from(a.toString().slice(0, a.indexOf(',"iv":"', a.indexOf("}}]"))) + content);
}

function flip(bytes: Buffer, at: number, mask: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ mask;
  return copy;
}

function refused(bytes: Buffer, keys: typeof ring, what: string): FailureCode {
  try {
    openEnvelope(bytes, keys);
  } catch (error) {
    if (error instanceof Failure && named.has(error.code)) {
      return error.code;
    }
    throw new Error(`${what}: ${error}`);
  }
  throw new Error(`${what}: opened`);
}

function damage(bytes: Buffer, next: (below: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  const at = next(copy.length);
  const length = 1 + next(64);
  switch (next(5)) {
    case 0:
      return flip(copy, at, 1 + next(255));
    case 1:
      return copy.fill(next(256), at, Math.min(at + length, copy.length));
    case 2:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + length)]);
    case 3:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(next(copy.length)), copy]);
    default:
      copy.copyWithin(at, next(copy.length), copy.length);
      return copy;
  }
}

/** Mulberry32. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

test.run();
