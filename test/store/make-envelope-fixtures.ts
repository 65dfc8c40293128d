/*
 * Made test/fixtures/envelope/v1-*.jwe and their throw-away keys, once. Do not run it again: golden files of a
 * released format stay as they are for ever. A new format gets files of its own.
 */
import { generateKeyPairSync } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { StoreKey } from "../../src/model/store-key.ts";
import { parseRecipients } from "../../src/store/recipients.ts";
import { seal } from "../../src/store/seal.ts";

const dir = new URL("../fixtures/envelope/", import.meta.url);
if (existsSync(new URL("v1-alone.jwe", dir))) {
  throw new Error("the golden files of format 1 are there already");
}
const key = StoreKey.generate();
const k = Buffer.from(key.expose()).toString("base64url");
const pairs = {
  ec: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  x25519: generateKeyPairSync("x25519"),
};
write("v1-node.jwk", { kty: "oct", k, alg: "A256GCMKW", kid: key.kid });
const recipients = Object.entries(pairs).flatMap(([name, { privateKey, publicKey }]) => {
  write(`v1-${name}.jwk`, { ...privateKey.export({ format: "jwk" }), kid: `break-glass-${name}` });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: `break-glass-${name}` };
  return parseRecipients(JSON.stringify(jwk), name);
});
const document = {
  apiVersion: "blackstart.dev/v1",
  kind: "Checkpoint",
  metadata: { node: "cp-1", capturedAt: "2026-01-02T03:04:05Z", source: "files" },
  pods: [],
  unprojectable: [],
  tokens: [],
  items: [{ apiVersion: "v1", kind: "Secret", metadata: { name: "größe" }, data: { a: "AAEC" } }],
};
const plaintext = Buffer.from(JSON.stringify(document));
const facts = {
  storeId: "3f2f8c1e-0a7b-4b0e-9d43-6d7c1f5f0a11",
  node: "cp-1",
  capturedAt: "2026-01-02T03:04:05Z",
};
const alone = await seal(plaintext, { ...facts, generation: 1, previousTag: "" }, key, []);
writeFileSync(new URL("v1-alone.jwe", dir), alone);
const previousTag = Buffer.from(alone).toString().slice(-24, -2);
const many = await seal(plaintext, { ...facts, generation: 2, previousTag }, key, recipients);
writeFileSync(new URL("v1-break-glass.jwe", dir), many);
writeFileSync(new URL("v1-document.json", dir), plaintext);

function write(name: string, value: object): void {
  writeFileSync(new URL(name, dir), `${JSON.stringify(value)}\n`);
}
