import type { IdentityHeaders } from "./connection.ts";
import { currentContext, type Section } from "./kubeconfig-section.ts";

/** A program that gives credentials, as the kubeconfig names it. */
export interface ExecPlugin {
  /** An absolute path on the node, or a name that is looked up in PATH. */
  readonly command: string;
  /** May hold secrets. */
  readonly args: readonly string[];
  /** May hold secrets. */
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly apiVersion: string;
  readonly interactiveMode: "Never" | "IfAvailable" | "Always";
  /** What to do when it is not installed; undefined for none. One line, printable. */
  readonly installHint: string | undefined;
  readonly provideClusterInfo: boolean;
  /** Of the cluster, for the plugin. */
  readonly cluster: ExecCluster;
}

/** What a plugin is told about the cluster, besides its CA. */
export interface ExecCluster {
  /** As the kubeconfig spells it. */
  readonly server: string;
  readonly tlsServerName: string | undefined;
  /** Of the cluster's extension for plugins; passed on as it is. */
  readonly config: unknown;
}

/** How the user of the current context logs in, beyond what a probe needs. */
export interface KubeconfigUser {
  /** Used until the token file can be read. Secret material. */
  readonly token: string | undefined;
  /** The headers of `as` and its kin; sent as kubectl sends them. */
  readonly impersonation: IdentityHeaders;
  /** undefined also where another credential takes its place, as with kubectl. */
  readonly exec: ExecPlugin | undefined;
}

/** Source: client-go v0.37.2 `plugin/pkg/client/auth/exec/exec.go: apiVersions`. */
const apiVersions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
/** Source: client-go v0.37.2 `tools/clientcmd/client_config.go: clusterExtensionKey`. */
const extensionName = "client.authentication.k8s.io/exec";
const interactiveModes = ["Never", "IfAvailable", "Always"] as const;

/**
 * Takes from a parsed kubeconfig how its user logs in.
 *
 * Pure. For a document that `parseKubeconfig` takes. What nobody should use to fetch a cluster's secrets is
 * refused: an unverified server, a password, a plugin that is built into kubectl.
 * Source: client-go v0.37.2 `tools/clientcmd/validation.go`, `client_config.go`, `api/v1/defaults.go`.
 *
 * @throws {Failure} E_KUBECONFIG only when kubectl would refuse it, or for one of those reasons
 */
export function parseUser(document: unknown, file: string): KubeconfigUser {
  const { cluster, user } = currentContext(document, file);
  if (cluster.flag("insecure-skip-tls-verify")) {
    throw cluster.wrong(
      "insecure-skip-tls-verify",
      "true, which would take secrets from anybody who answers",
    );
  }
  if (user.text("username") !== undefined || user.text("password") !== undefined) {
    throw user.wrong("username", "a password, which no apiserver accepts since Kubernetes 1.19");
  }
  if (user.section("auth-provider") !== undefined) {
    throw user.wrong("auth-provider", "a plugin of kubectl's own; use `exec` in its place");
  }
  const token = user.text("token");
  if (token !== undefined && !isHeaderText(token)) {
    throw user.wrong("token", "characters that no header can hold");
  }
  const exec = user.section("exec");
  const plugin = exec === undefined ? undefined : parseExec(exec, cluster);
  const isNeeded =
    token === undefined &&
    user.file("tokenFile") === undefined &&
    user.material("client-certificate", "client-certificate-data") === undefined;
  return {
    token,
    impersonation: parseImpersonation(user),
    exec: isNeeded ? plugin : undefined,
  };
}

function parseExec(exec: Section, cluster: Section): ExecPlugin {
  const required = (key: string): string => {
    const value = exec.text(key);
    if (value === undefined) {
      throw exec.wrong(key, "none");
    }
    return value;
  };
  const named = required("command");
  // Only a command with a slash is a path. Source: `loader.go: GetAuthInfoFileReferences`.
  const resolved = named.includes("/") ? exec.file("command") : undefined;
  const apiVersion = required("apiVersion");
  if (!apiVersions.includes(apiVersion)) {
    throw exec.wrong("apiVersion", `neither ${apiVersions.join(" nor ")}`);
  }
  const mode =
    exec.text("interactiveMode") ?? (apiVersion.endsWith("/v1beta1") ? "IfAvailable" : undefined);
  const interactiveMode = interactiveModes.find((known) => known === mode);
  if (interactiveMode === undefined) {
    throw exec.wrong("interactiveMode", mode === undefined ? "none" : "no such mode");
  }
  const env = exec.sections("env").map((entry) => {
    const name = entry.text("name");
    if (name === undefined) {
      throw entry.wrong("name", "none");
    }
    return { name, value: entry.text("value") ?? "" };
  });
  const extension = cluster
    .sections("extensions")
    .find((item) => item.value("name") === extensionName);
  const hint = exec
    .text("installHint")
    ?.replaceAll(/[^\x21-\x7e]+/g, " ")
    .trim()
    .slice(0, 300);
  return {
    command: resolved?.kind === "file" ? resolved.path : named,
    args: exec.texts("args"),
    env,
    apiVersion,
    interactiveMode,
    installHint: hint === "" ? undefined : hint,
    provideClusterInfo: exec.flag("provideClusterInfo"),
    cluster: {
      server: cluster.text("server") ?? "",
      tlsServerName: cluster.text("tls-server-name"),
      config: extension?.value("extension") ?? null,
    },
  };
}

/** Source: client-go v0.37.2 `transport/round_trippers.go: impersonatingRoundTripper`. */
function parseImpersonation(user: Section): IdentityHeaders {
  const as = user.text("as");
  const uid = user.text("as-uid");
  const groups = user.texts("as-groups");
  const extra = user.section("as-user-extra");
  const extraKeys = extra?.keys() ?? [];
  if (as === undefined) {
    if (uid !== undefined || groups.length > 0 || extraKeys.length > 0) {
      throw user.wrong("as", "none, but a uid, groups or extra to impersonate");
    }
    return {};
  }
  const headers: Record<string, string | readonly string[]> = {
    "impersonate-user": checked("as", as),
  };
  if (uid !== undefined) {
    headers["impersonate-uid"] = checked("as-uid", uid);
  }
  if (groups.length > 0) {
    headers["impersonate-group"] = groups.map((group) => checked("as-groups", group));
  }
  for (const key of extraKeys) {
    const values = extra?.texts(key) ?? [];
    if (values.length > 0) {
      const name = `impersonate-extra-${escapeHeaderKey(key)}`;
      headers[name] = values.map((value) => checked("as-user-extra", value));
    }
  }
  return headers;

  function checked(key: string, value: string): string {
    if (!isHeaderText(value)) {
      throw user.wrong(key, "characters that no header can hold");
    }
    return value;
  }
}

/** Pure. True for printable ASCII that neither begins nor ends with a space. */
export function isHeaderText(value: string): boolean {
  return /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value);
}

/** Bytes that no header name may hold, and the percent sign, as `%xx`. The server reads names in lower case. */
function escapeHeaderKey(key: string): string {
  return [...Buffer.from(key, "utf8")]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9!#$&'*+\-.^_`|~]/.test(character)
        ? character.toLowerCase()
        : `%${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");
}
