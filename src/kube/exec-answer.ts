import { Failure } from "../errors.ts";
import { readPair } from "./client-certificate.ts";
import type { ExecCredential } from "./exec-credential.ts";
import { execFailure } from "./exec-failure.ts";
import { parseKubeconfigText } from "./kubeconfig.ts";
import { type ExecPlugin, isHeaderText } from "./kubeconfig-user.ts";

/**
 * Reads what a plugin printed.
 *
 * Pure. JSON, or YAML as kubectl takes it too.
 * Source: client-go v0.37.2 `plugin/pkg/client/auth/exec/exec.go: refreshCredsLocked`.
 *
 * @throws {Failure} E_EXEC_PLUGIN only when it is no ExecCredential of the version that was asked for, or an
 * incomplete one; names fields and quotes nothing
 */
export async function parseExecAnswer(output: string, plugin: ExecPlugin): Promise<ExecCredential> {
  const wrong = (found: string): Failure => execFailure(plugin, found);
  const answer = await parseDocument(output, plugin);
  if (at(answer, "kind") !== "ExecCredential" || at(answer, "apiVersion") !== plugin.apiVersion) {
    throw wrong(`what it prints is no ExecCredential of ${plugin.apiVersion}`);
  }
  const status = at(answer, "status");
  const text = (key: string): string | undefined => {
    const value = at(status, key);
    if (value !== undefined && value !== null && typeof value !== "string") {
      throw wrong(`status.${key} is not text`);
    }
    return value === null || value === "" ? undefined : value;
  };
  const token = text("token");
  const certPem = text("clientCertificateData");
  const keyPem = text("clientKeyData");
  const expiration = text("expirationTimestamp");
  if (token === undefined && certPem === undefined && keyPem === undefined) {
    throw wrong("it gives neither a token nor a client certificate");
  }
  if ((certPem === undefined) !== (keyPem === undefined)) {
    throw wrong("it gives a client certificate or a key, not both");
  }
  if (token !== undefined && !isHeaderText(token)) {
    throw wrong("status.token has characters that no header can hold");
  }
  const expiresAt = expiration === undefined ? undefined : new Date(expiration);
  if (expiration !== undefined && !/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(expiration)) {
    throw wrong("status.expirationTimestamp is no time as in RFC 3339");
  }
  if (expiresAt !== undefined && Number.isNaN(expiresAt.getTime())) {
    throw wrong("status.expirationTimestamp is no time as in RFC 3339");
  }
  if (certPem !== undefined && keyPem !== undefined) {
    const pair = readPair(certPem, keyPem);
    if ("problem" in pair) {
      throw wrong(`its client certificate cannot be used: ${pair.problem}`);
    }
  }
  return {
    token,
    clientCert: certPem === undefined || keyPem === undefined ? undefined : { certPem, keyPem },
    expiresAt,
  };
}

async function parseDocument(output: string, plugin: ExecPlugin): Promise<unknown> {
  try {
    return await parseKubeconfigText(output, "");
  } catch (error) {
    if (error instanceof Failure) {
      throw execFailure(plugin, "what it prints is neither JSON nor YAML");
    }
    throw error;
  }
}

function at(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? Reflect.get(value, key)
    : undefined;
}
