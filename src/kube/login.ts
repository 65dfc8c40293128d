import type { X509Certificate } from "node:crypto";
import type { Failure } from "../errors.ts";
import { parseBundle } from "./certificate.ts";
import { readPair } from "./client-certificate.ts";
import type { Clock } from "./clock.ts";
import { type Kubeconfig, parseKubeconfig, parseKubeconfigText } from "./kubeconfig.ts";
import { type Material, wrongField } from "./kubeconfig-section.ts";
import { type KubeconfigUser, parseUser } from "./kubeconfig-user.ts";
import type { TrackedFiles } from "./tracked-files.ts";

/** A certificate with its key. Secret material. */
export interface ClientCertificate {
  readonly certPem: string;
  readonly keyPem: string;
  readonly certificate: X509Certificate;
  /** The file or field that holds it. */
  readonly where: string;
}

/** A kubeconfig's current context with the files it names read, but for a token file. */
export interface Login {
  readonly server: string;
  readonly tlsServerName: string | undefined;
  readonly caPem: string | undefined;
  readonly clientCert: ClientCertificate | undefined;
  /** Absolute on the node. */
  readonly tokenPath: string | undefined;
  readonly user: KubeconfigUser;
}

/** How often and how far apart a pair is read that does not fit: its files may just be being replaced. */
const pairAttempts = 6;
const pairPauseMs = 100;

/**
 * Reads a kubeconfig and the files it names.
 *
 * @throws {Failure} E_KUBECONFIG, naming file and field, never content
 */
export async function readLogin(
  files: TrackedFiles,
  path: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<Login> {
  const wrong = (field: string, found: string): Failure => wrongField(field, found, path);
  const found = files.read(path);
  if ("problem" in found) {
    throw wrong("the file", found.problem);
  }
  const document = await parseKubeconfigText(found.text, path);
  const kubeconfig = parseKubeconfig(document, path);
  const user = parseUser(document, path);
  const { server, tlsServerName, token } = kubeconfig;
  return {
    server,
    tlsServerName,
    caPem: readAuthority(files, kubeconfig, wrong),
    clientCert: await readClientCertificate(files, kubeconfig, wrong, { clock, signal }),
    tokenPath: token?.kind === "file" ? token.path : undefined,
    user,
  };
}

type Wrong = (field: string, found: string) => Failure;

function readAuthority(
  files: TrackedFiles,
  { authority }: Kubeconfig,
  wrong: Wrong,
): string | undefined {
  if (authority === undefined) {
    return undefined;
  }
  const found = files.take(authority);
  const field = fieldOf("clusters.cluster.certificate-authority", authority);
  if ("problem" in found) {
    throw wrong(field, found.problem);
  }
  if (parseBundle(found.text).length === 0) {
    throw wrong(field, `no certificate that can be read${inFile(authority)}`);
  }
  return found.text;
}

async function readClientCertificate(
  files: TrackedFiles,
  { clientCertificate, clientKey }: Kubeconfig,
  wrong: Wrong,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ClientCertificate | undefined> {
  if (clientCertificate === undefined || clientKey === undefined) {
    return undefined;
  }
  const field = fieldOf("users.user.client-certificate", clientCertificate);
  const keyField = fieldOf("users.user.client-key", clientKey);
  // A file that holds both is read once: between two readings its link may be swapped.
  const isOneFile =
    clientCertificate.kind === "file" &&
    clientKey.kind === "file" &&
    clientCertificate.path === clientKey.path;
  const isFile = clientCertificate.kind === "file" || clientKey.kind === "file";
  for (let left = isFile ? pairAttempts : 1; ; ) {
    const result = read();
    left -= 1;
    if (!(result instanceof Error)) {
      return result;
    }
    if (left === 0) {
      throw result;
    }
    await clock.sleep(pairPauseMs, signal);
  }

  function read(): ClientCertificate | Failure {
    if (clientCertificate === undefined || clientKey === undefined) {
      return wrong(field, "none");
    }
    const cert = files.take(clientCertificate);
    if ("problem" in cert) {
      return wrong(field, cert.problem);
    }
    const key = isOneFile ? cert : files.take(clientKey);
    if ("problem" in key) {
      return wrong(keyField, key.problem);
    }
    const pair = readPair(cert.text, key.text);
    if ("problem" in pair) {
      return wrong(`${field} and ${keyField}`, `${pair.problem}${inFile(clientCertificate)}`);
    }
    const where = clientCertificate.kind === "file" ? clientCertificate.path : field;
    return { certPem: cert.text, keyPem: key.text, certificate: pair.certificate, where };
  }
}

function fieldOf(name: string, material: Material): string {
  return material.kind === "file" ? name : `${name}-data`;
}

function inFile(material: Material): string {
  return material.kind === "file" ? ` (${material.path})` : "";
}
