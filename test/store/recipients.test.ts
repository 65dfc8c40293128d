import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { suite } from "uvu";
import { parseRecipients } from "../../src/store/recipients.ts";
import { rejects } from "../rejects.ts";

const test = suite("store/recipients");

const ec = generateKeyPairSync("ec", { namedCurve: "P-384" });
const publicEc = ec.publicKey.export({ format: "jwk" });
const publicRsa = rsa(2048);

const accepted: readonly {
  readonly name: string;
  readonly value: unknown;
  readonly algs: string;
}[] = [
  { name: "an EC key", value: publicEc, algs: "ECDH-ES+A256KW" },
  { name: "an RSA key", value: publicRsa, algs: "RSA-OAEP-256" },
  {
    name: "an X25519 key",
    value: generateKeyPairSync("x25519").publicKey.export({ format: "jwk" }),
    algs: "ECDH-ES+A256KW",
  },
  { name: "a set", value: { keys: [publicEc, publicRsa] }, algs: "ECDH-ES+A256KW,RSA-OAEP-256" },
  {
    name: "a key as José marks it for exchange",
    value: { ...publicEc, alg: "ECMR", key_ops: ["deriveKey"] },
    algs: "ECDH-ES+A256KW",
  },
];

for (const { name, value, algs } of accepted) {
  test(`${name} is a recipient`, () => {
    const recipients = parseRecipients(JSON.stringify(value), "k.jwk");
    assert.equal(recipients.map(({ alg }) => alg).join(), algs);
  });
}

const refused: readonly { readonly name: string; readonly text: string }[] = [
  { name: "a private EC key", text: text(ec.privateKey.export({ format: "jwk" })) },
  {
    name: "a private key within a set",
    text: text({ keys: [publicEc, { ...publicEc, d: "AA" }] }),
  },
  { name: "a symmetric key", text: text({ kty: "oct", k: "AAAA" }) },
  { name: "an RSA key of 1024 bits", text: text(rsa(1024)) },
  { name: "a signing key by use", text: text({ ...publicEc, use: "sig" }) },
  { name: "a signing key by alg", text: text({ ...publicEc, alg: "ES384" }) },
  { name: "an RSA key for RSA1_5", text: text({ ...publicRsa, alg: "RSA1_5" }) },
  {
    name: "an Ed25519 key",
    text: text(generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" })),
  },
  {
    name: "a curve that JOSE libraries lack",
    text: text(
      generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey.export({ format: "jwk" }),
    ),
  },
  { name: "a point that is not on the curve", text: text({ ...publicEc, x: "AAAA" }) },
  { name: "an empty set", text: text({ keys: [] }) },
  { name: "a set of text", text: text({ keys: ["x"] }) },
  { name: "a PEM file", text: "-----BEGIN PUBLIC KEY-----" },
  { name: "an empty file", text: "" },
];

for (const one of refused) {
  test(`${one.name} is refused, and the file is named`, async () => {
    const failure = await rejects(() => parseRecipients(one.text, "/etc/k.jwk"), "E_RECIPIENT");
    assert.equal(failure.text.where, "/etc/k.jwk");
    assert.equal(failure.exit, 78);
  });
}

test("a key keeps its own name; one without gets its thumbprint", () => {
  const [named] = parseRecipients(text({ ...publicEc, kid: "safe-2" }), "k");
  assert.equal(named?.kid, "safe-2");
  // Source: RFC 7638 §3.1, the thumbprint of its example key.
  const [example] = parseRecipients(
    text({
      kty: "RSA",
      n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
      e: "AQAB",
    }),
    "k",
  );
  assert.equal(example?.kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
});

function rsa(modulusLength: number) {
  return generateKeyPairSync("rsa", { modulusLength }).publicKey.export({ format: "jwk" });
}

function text(value: unknown): string {
  return JSON.stringify(value);
}

test.run();
