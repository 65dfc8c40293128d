import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { isIPv4 } from "node:net";

/** A certificate and its key, made while the test runs. */
export interface Identity {
  readonly name: string;
  readonly certPem: string;
  readonly keyPem: string;
  readonly key: KeyObject;
}

export interface CertificateWish {
  readonly name: string;
  /** Undefined: signed by its own key. */
  readonly issuer?: Identity;
  readonly ca?: boolean;
  readonly sans?: readonly string[];
  readonly from?: Date;
  readonly to?: Date;
  /** True leaves the key usage out: nothing then forbids that it signs, save that it is no CA. */
  readonly anyUse?: boolean;
  /** Extended key usage; "none" leaves the extension out. */
  readonly usage?: "server" | "client" | "none";
}

const day = 86_400_000;

/** A moment `days` from now. */
export function inDays(days: number): Date {
  return new Date(Date.now() + days * day);
}

/** Makes an X.509 v3 certificate with an ECDSA P-256 key. Source: RFC 5280 §4.1. */
export function makeCertificate(wish: CertificateWish): Identity {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { issuer, usage = wish.ca === true ? "none" : "server" } = wish;
  const extensions = [
    extension("551d13", wish.ca === true ? sequence(Buffer.from("0101ff", "hex")) : sequence()),
  ];
  if (wish.anyUse !== true) {
    extensions.push(extension("551d0f", bits(wish.ca === true ? 0x06 : 0x80)));
  }
  if (usage !== "none") {
    const purpose = usage === "server" ? "2b06010505070301" : "2b06010505070302";
    extensions.push(extension("551d25", sequence(der(0x06, Buffer.from(purpose, "hex")))));
  }
  if (wish.sans !== undefined) {
    extensions.push(extension("551d11", sequence(...wish.sans.map(generalName))));
  }
  // As Go's and OpenSSL's own: without key identifiers two CAs of one name cannot be told apart.
  extensions.push(extension("551d0e", der(0x04, keyId(privateKey))));
  if (issuer !== undefined) {
    extensions.push(extension("551d23", sequence(der(0x80, keyId(issuer.key)))));
  }
  const algorithm = sequence(der(0x06, Buffer.from("2a8648ce3d040302", "hex")));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    nameOf(issuer?.name ?? wish.name),
    sequence(time(wish.from ?? inDays(-1)), time(wish.to ?? inDays(365))),
    nameOf(wish.name),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", body, issuer?.key ?? privateKey);
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    name: wish.name,
    certPem: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    key: privateKey,
  };
}

function keyId(privateKey: KeyObject): Buffer {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return createHash("sha1").update(spki).digest();
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function extension(oid: string, value: Buffer): Buffer {
  return sequence(der(0x06, Buffer.from(oid, "hex")), der(0x04, value));
}

function bits(byte: number): Buffer {
  return der(0x03, Buffer.from([byte === 0x80 ? 7 : 1, byte]));
}

function nameOf(commonName: string): Buffer {
  const attribute = sequence(
    der(0x06, Buffer.from("550403", "hex")),
    der(0x0c, Buffer.from(commonName)),
  );
  return sequence(der(0x31, attribute));
}

function generalName(name: string): Buffer {
  return isIPv4(name)
    ? der(0x87, Buffer.from(name.split(".").map(Number)))
    : der(0x82, Buffer.from(name));
}

function time(at: Date): Buffer {
  return der(0x18, Buffer.from(`${at.toISOString().slice(0, 19).replaceAll(/[-T:]/g, "")}Z`));
}
