import { spawnSync } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** When a certificate is valid. Left out: from a day ago to a day from now. */
export interface Validity {
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/** A client as Kubernetes reads it from a certificate: CN is the user, each O a group. */
export interface Subject {
  readonly user: string;
  readonly group?: string;
}

/** PEM texts; the certificate is the leaf alone, the key is SEC 1 as a kubelet writes its own. */
export interface Credential {
  readonly certificate: string;
  readonly key: string;
}

/** A cluster's CA, in a folder of its own. */
export interface Pki {
  /** PEM. */
  readonly ca: string;
  readonly caFile: string;
  /** PEM, SEC 1. */
  readonly caKey: string;
  readonly issueClient: (subject: Subject, validity?: Validity) => Credential;
  /** For 127.0.0.1 and localhost, and the names that pods use. */
  readonly issueServer: (validity?: Validity) => Credential;
  /** The same, for one that is a client too, as an etcd is. */
  readonly issuePeer: (validity?: Validity) => Credential;
}

/** `openssl ca` is the one command of OpenSSL 3.0 that takes both dates of a certificate. */
const settings = `[ca]
default_ca = ca
[ca]
database = index.txt
new_certs_dir = issued
certificate = ca.crt
private_key = ca.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
organizationName = optional
commonName = supplied
[request]
distinguished_name = none
string_mask = utf8only
[none]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,digitalSignature,keyCertSign
subjectKeyIdentifier = hash
[client]
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
[server]
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
[peer]
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1,DNS:localhost
`;

/**
 * Makes a CA that is valid for ten years around now, so that tests can move clocks.
 *
 * @param dir  absolute, made here; holds the CA's key
 */
export function makePki(dir: string): Pki {
  mkdirSync(join(dir, "issued"), { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "openssl.cnf"), settings);
  writeFileSync(join(dir, "index.txt"), "");
  const key = writeKey(join(dir, "ca.key"));
  request(dir, "ca", "/CN=kubernetes");
  const years = { notBefore: yearsFromNow(-5), notAfter: yearsFromNow(5) };
  const ca = sign(dir, "ca", "authority", years, ["-selfsign", "-keyfile", key.file]);
  writeFileSync(join(dir, "ca.crt"), ca);
  return openPki(dir);
}

/** The CA that `makePki` has made there. */
export function openPki(dir: string): Pki {
  const caFile = join(dir, "ca.crt");
  const issue = (subject: string, section: string, validity: Validity): Credential => {
    const name = `request-${randomUUID()}`;
    const { pem } = writeKey(join(dir, `${name}.key`));
    request(dir, name, subject);
    return { certificate: sign(dir, name, section, validity, []), key: pem };
  };
  return {
    ca: readFileSync(caFile, "utf8"),
    caFile,
    caKey: readFileSync(join(dir, "ca.key"), "utf8"),
    issueClient: ({ user, group }, validity = {}) =>
      issue(`${group === undefined ? "" : `/O=${group}`}/CN=${user}`, "client", validity),
    issueServer: (validity = {}) => issue("/CN=kube-apiserver", "server", validity),
    issuePeer: (validity = {}) => issue("/CN=etcd", "peer", validity),
  };
}

function writeKey(file: string): { readonly file: string; readonly pem: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "sec1", format: "pem" }).toString();
  writeFileSync(file, pem, { mode: 0o600 });
  return { file, pem };
}

function request(dir: string, name: string, subject: string): void {
  const settingsOfRequest = ["-config", "openssl.cnf", "-section", "request", "-utf8"];
  openssl(dir, [
    ...["req", "-new", ...settingsOfRequest, "-subj", subject],
    ...["-key", `${name}.key`, "-out", `${name}.csr`],
  ]);
}

function sign(
  dir: string,
  name: string,
  section: string,
  validity: Validity,
  more: readonly string[],
): string {
  const { notBefore = yearsFromNow(-1 / 365), notAfter = yearsFromNow(1 / 365) } = validity;
  return openssl(dir, [
    ...["ca", "-batch", "-notext", "-config", "openssl.cnf", "-extensions", section, ...more],
    ...["-startdate", openTime(notBefore), "-enddate", openTime(notAfter), "-in", `${name}.csr`],
  ]);
}

function openssl(dir: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync("openssl", args, {
    cwd: dir,
    encoding: "utf8",
  });
  if (status !== 0) {
    throw new Error(`openssl ${args.join(" ")}: ${error?.message ?? stderr}`);
  }
  return stdout;
}

/** ASN.1's GeneralizedTime: `20260102030405Z`. */
function openTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
}

function yearsFromNow(years: number): Date {
  return new Date(Date.now() + years * 8766 * 3_600_000);
}
