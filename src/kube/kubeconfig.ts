import { posix } from "node:path";
import { under } from "../config.ts";
import { Failure } from "../errors.ts";
import { readSettings } from "../host/settings-file.ts";
import type { Warning } from "../model/plan.ts";
import { parseServer } from "../model/server-url.ts";

/** Something that a kubeconfig holds itself or names as a file. */
export type Material =
  | { readonly kind: "inline"; readonly text: string }
  /** Absolute on the node. */
  | { readonly kind: "file"; readonly path: string };

/** What the current context of a kubeconfig says. Tokens and keys are secret material. */
export interface Kubeconfig {
  readonly server: string;
  readonly tlsServerName: string | undefined;
  readonly authority: Material | undefined;
  readonly clientCertificate: Material | undefined;
  readonly clientKey: Material | undefined;
  readonly token: Material | undefined;
  /** True when the user's credentials come from a program, which is never run here. */
  readonly hasExec: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

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
  const wrong = (field: string, found: string): Failure =>
    new Failure("E_KUBECONFIG", {
      what: "the kubeconfig is not usable",
      where: `${file}, ${field}`,
      found,
      next: "Correct it, or name another with `kubeconfig:` in the configuration",
    });

  const fieldsOf = (value: unknown, field: string): Fields => {
    if (value === null || value === undefined) {
      return {};
    }
    if (typeof value !== "object" || Array.isArray(value)) {
      throw wrong(field, "not a map of fields");
    }
    return Object.fromEntries(Object.entries(value));
  };
  const textOf = (fields: Fields, key: string, field: string): string | undefined => {
    const value = fields[key];
    if (value !== undefined && value !== null && typeof value !== "string") {
      throw wrong(`${field}${key}`, "not text");
    }
    return value === null || value === "" ? undefined : value;
  };
  const named = (list: string, name: string, kind: string): Fields => {
    const entries = config[list] ?? [];
    if (!Array.isArray(entries)) {
      throw wrong(list, "not a list");
    }
    const items = entries.map((entry, index) => fieldsOf(entry, `${list}[${index}]`));
    const matches = items.filter((item) => item["name"] === name);
    if (matches.length !== 1) {
      const count = matches.length === 0 ? "none" : `${matches.length}`;
      throw wrong(list, `${count} of the name that is referred to`);
    }
    return fieldsOf(matches[0]?.[kind], `${list}.${kind}`);
  };
  const material = (fields: Fields, key: string, dataKey: string, field: string) => {
    const path = textOf(fields, key, field);
    const data = textOf(fields, dataKey, field);
    if (path !== undefined && data !== undefined) {
      throw wrong(`${field}${key}`, `both ${key} and ${dataKey}`);
    }
    if (data !== undefined && !/^[A-Za-z0-9+/\r\n]+={0,2}[\r\n]*$/.test(data)) {
      throw wrong(`${field}${dataKey}`, "not base64");
    }
    return data === undefined
      ? fileMaterial(path, file)
      : ({ kind: "inline", text: Buffer.from(data, "base64").toString("utf8") } as const);
  };

  const config = fieldsOf(document, "the file");
  const contextName = textOf(config, "current-context", "");
  if (contextName === undefined) {
    throw wrong("current-context", "none");
  }
  const context = named("contexts", contextName, "context");
  const clusterName = textOf(context, "cluster", "contexts.context.");
  const userName = textOf(context, "user", "contexts.context.");
  if (clusterName === undefined || userName === undefined) {
    throw wrong("contexts.context", `no ${clusterName === undefined ? "cluster" : "user"}`);
  }
  const cluster = named("clusters", clusterName, "cluster");
  const user = named("users", userName, "user");
  const server = textOf(cluster, "server", "clusters.cluster.");
  if (server === undefined) {
    throw wrong("clusters.cluster.server", "none");
  }
  const parsed = parseServer(server);
  if ("problem" in parsed) {
    throw wrong("clusters.cluster.server", parsed.problem);
  }
  if (textOf(cluster, "proxy-url", "clusters.cluster.") !== undefined) {
    throw wrong(
      "clusters.cluster.proxy-url",
      "a proxy, which would answer for machines that are off",
    );
  }
  const clientCertificate = material(
    user,
    "client-certificate",
    "client-certificate-data",
    "users.user.",
  );
  const clientKey = material(user, "client-key", "client-key-data", "users.user.");
  if (clientCertificate !== undefined && clientKey === undefined) {
    throw wrong("users.user.client-key", "none for the client certificate");
  }
  const token = textOf(user, "token", "users.user.");
  const tokenFile = fileMaterial(textOf(user, "tokenFile", "users.user."), file);
  return {
    server: parsed.url,
    tlsServerName: textOf(cluster, "tls-server-name", "clusters.cluster."),
    authority: material(
      cluster,
      "certificate-authority",
      "certificate-authority-data",
      "clusters.cluster.",
    ),
    clientCertificate,
    clientKey,
    // A token file wins over a token. Source: client-go v0.37.2 `client_config.go: getUserIdentificationPartialConfig`.
    token: tokenFile ?? (token === undefined ? undefined : { kind: "inline", text: token }),
    hasExec: user["exec"] !== undefined && user["exec"] !== null,
  };
}

function fileMaterial(path: string | undefined, file: string): Material | undefined {
  return path === undefined
    ? undefined
    : { kind: "file", path: posix.resolve(posix.dirname(file), path) };
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
    kubeconfig = parseKubeconfig(await parseText(found.text, path), path);
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

async function parseText(text: string, file: string): Promise<unknown> {
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
