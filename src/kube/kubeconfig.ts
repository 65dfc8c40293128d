import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import { readSettings } from "../host/settings-file.ts";
import type { Warning } from "../model/plan.ts";
import { parseServer } from "../model/server-url.ts";
import { currentContext, type Material } from "./kubeconfig-section.ts";

/** What the current context of a kubeconfig says. Tokens and keys are secret material. */
export interface Kubeconfig {
  readonly server: string;
  readonly tlsServerName: string | undefined;
  readonly authority: Material | undefined;
  readonly clientCertificate: Material | undefined;
  readonly clientKey: Material | undefined;
  readonly token: Material | undefined;
  /** True when the user's credentials come from a program, which a probe never runs. */
  readonly hasExec: boolean;
}

/**
 * Takes a parsed kubeconfig, its current context, checked as kubectl checks it.
 *
 * Pure. Relative paths start at the kubeconfig's folder.
 * Source: client-go v0.37.2 `tools/clientcmd/validation.go`, `loader.go: ResolvePaths`.
 *
 * @param file  absolute on the node; names the kubeconfig in messages
 * @throws {Failure} E_KUBECONFIG only when kubectl would refuse it, or its server cannot be asked directly
 */
export function parseKubeconfig(document: unknown, file: string): Kubeconfig {
  const { cluster, user } = currentContext(document, file);
  const server = cluster.text("server");
  if (server === undefined) {
    throw cluster.wrong("server", "none");
  }
  const parsed = parseServer(server);
  if ("problem" in parsed) {
    throw cluster.wrong("server", parsed.problem);
  }
  if (cluster.text("proxy-url") !== undefined) {
    throw cluster.wrong("proxy-url", "a proxy, which would answer for machines that are off");
  }
  const clientCertificate = user.material("client-certificate", "client-certificate-data");
  const clientKey = user.material("client-key", "client-key-data");
  if (clientCertificate !== undefined && clientKey === undefined) {
    throw user.wrong("client-key", "none for the client certificate");
  }
  const token = user.text("token");
  return {
    server: parsed.url,
    tlsServerName: cluster.text("tls-server-name"),
    authority: cluster.material("certificate-authority", "certificate-authority-data"),
    clientCertificate,
    clientKey,
    // A token file wins over a token. Source: client-go v0.37.2 `client_config.go: getUserIdentificationPartialConfig`.
    token:
      user.file("tokenFile") ?? (token === undefined ? undefined : { kind: "inline", text: token }),
    hasExec: (user.value("exec") ?? undefined) !== undefined,
  };
}

/** A kubeconfig with the files it names read, as far as a probe needs them. */
export interface ProbeKubeconfig {
  readonly server: string;
  readonly tlsServerName: string | undefined;
  readonly caPem: string | undefined;
  readonly clientCert: { readonly certPem: string; readonly keyPem: string } | undefined;
}

/**
 * Reads the kubeconfig at `path` under `root`, with CA and client certificate.
 *
 * Never rejects: what is missing or malformed is a warning, and the probe goes on with what is
 * known. `yaml` is loaded only when the file is no JSON. A client certificate that cannot be read is left out.
 *
 * @param path  absolute on the node
 */
export async function readKubeconfig(
  root: string,
  path: string,
): Promise<{
  readonly kubeconfig: ProbeKubeconfig | undefined;
  readonly warnings: readonly Warning[];
}> {
  const nothing = (message: string) => ({
    kubeconfig: undefined,
    warnings: [{ code: "W_PROBE", message } as const],
  });
  const found = readSettings(under(root, path));
  if (found.kind === "absent") {
    return { kubeconfig: undefined, warnings: [] };
  }
  if (found.kind === "unreadable") {
    return nothing(`the kubeconfig ${path} cannot be read: ${found.problem}`);
  }
  let kubeconfig: Kubeconfig;
  try {
    kubeconfig = parseKubeconfig(await parseKubeconfigText(found.text, path), path);
  } catch (error) {
    if (error instanceof Failure) {
      return nothing(error.message);
    }
    throw error;
  }
  const warnings: Warning[] = [];
  const caPem = readMaterial(root, kubeconfig.authority);
  if (caPem === undefined) {
    const lack =
      kubeconfig.authority === undefined ? "names no CA" : "names a CA that cannot be read";
    warnings.push({ code: "W_PROBE", message: `the kubeconfig ${path} ${lack}` });
  }
  const certPem = readMaterial(root, kubeconfig.clientCertificate);
  const keyPem = readMaterial(root, kubeconfig.clientKey);
  const clientCert =
    certPem === undefined || keyPem === undefined ? undefined : { certPem, keyPem };
  const { server, tlsServerName } = kubeconfig;
  return { kubeconfig: { server, tlsServerName, caPem, clientCert }, warnings };
}

function readMaterial(root: string, material: Material | undefined): string | undefined {
  if (material === undefined || material.kind === "inline") {
    return material?.text;
  }
  const found = readSettings(under(root, material.path));
  return found.kind === "text" ? found.text : undefined;
}

/**
 * The document in a kubeconfig's text, YAML or JSON. `yaml` is loaded only when it is no JSON.
 *
 * @throws {Failure} E_KUBECONFIG only when it is neither; never quotes the text
 */
export async function parseKubeconfigText(text: string, file: string): Promise<unknown> {
  try {
    return text.trimStart().startsWith("{")
      ? JSON.parse(text)
      : (await import("yaml")).parse(text, {
          prettyErrors: false,
          logLevel: "error",
          maxAliasCount: 100,
        });
  } catch {
    // Their own messages may quote the file, and a kubeconfig holds keys.
    throw new Failure("E_KUBECONFIG", {
      what: "the kubeconfig is not usable",
      where: file,
      found: "neither YAML nor JSON",
      next: "Correct it, or name another with `kubeconfig:` in the configuration",
    });
  }
}
