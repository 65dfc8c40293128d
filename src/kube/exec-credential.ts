import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { isatty } from "node:tty";
import { under } from "../config.ts";
import type { Clock } from "./clock.ts";
import { parseExecAnswer } from "./exec-answer.ts";
import { execFailure } from "./exec-failure.ts";
import type { ExecPlugin } from "./kubeconfig-user.ts";
import { runPlugin } from "./run-plugin.ts";

/** What a plugin gave. Secret material. */
export interface ExecCredential {
  readonly token: string | undefined;
  readonly clientCert: { readonly certPem: string; readonly keyPem: string } | undefined;
  /** When the plugin has to be asked again; undefined for never. */
  readonly expiresAt: Date | undefined;
}

/** The credentials of one plugin, asked for when they are needed and kept until they expire. */
export interface ExecSource {
  /**
   * Runs the plugin unless what it gave still holds; callers at the same time share one run.
   *
   * @throws {Failure} E_EXEC_PLUGIN when it cannot be run, fails, or gives nothing usable
   */
  get(signal: AbortSignal): Promise<ExecCredential>;
  /** What is held now; undefined when the plugin would be run. */
  current(): ExecCredential | undefined;
  /** Forgets what it gave: the apiserver does not accept it. */
  invalidate(): void;
}

/**
 * Gives the credentials of a plugin, run as kubectl runs it.
 *
 * What the plugin prints is never shown, on either stream: it may be anything, a token too.
 * Source: client-go v0.37.2 `plugin/pkg/client/auth/exec/exec.go`.
 *
 * @param root  goes before a command that is a path
 * @param caPem  told to a plugin that wants to know the cluster
 */
export function execSource(
  plugin: ExecPlugin,
  root: string,
  caPem: string | undefined,
  clock: Clock,
): ExecSource {
  let held: ExecCredential | undefined;
  let running:
    | { readonly result: Promise<ExecCredential>; readonly stop: AbortController }
    | undefined;
  let waiting = 0;

  function current(): ExecCredential | undefined {
    const isExpired = held?.expiresAt !== undefined && held.expiresAt.getTime() < clock.now();
    return isExpired ? undefined : held;
  }

  async function run(signal: AbortSignal): Promise<ExecCredential> {
    const isInteractive = plugin.interactiveMode !== "Never" && isatty(0);
    if (plugin.interactiveMode === "Always" && !isInteractive) {
      throw execFailure(plugin, "it wants a terminal (interactiveMode: Always), and there is none");
    }
    const file = findCommand(plugin.command, root);
    if (file === undefined) {
      throw execFailure(plugin, "not found, or not executable");
    }
    const info = execInfo(plugin, caPem, isInteractive);
    const output = await runPlugin({ plugin, file, info, isInteractive }, signal);
    const credential = await parseExecAnswer(output, plugin);
    held = credential;
    return credential;
  }

  return {
    current,
    invalidate: () => {
      held = undefined;
    },
    async get(signal) {
      signal.throwIfAborted();
      const known = current();
      if (known !== undefined) {
        return known;
      }
      if (running === undefined) {
        const stop = new AbortController();
        const result = run(stop.signal).finally(() => {
          running = undefined;
        });
        running = { result, stop };
      }
      const { result, stop } = running;
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      const abort = (): void => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      waiting += 1;
      try {
        return await Promise.race([result, aborted]);
      } finally {
        waiting -= 1;
        signal.removeEventListener("abort", abort);
        if (waiting === 0 && signal.aborted) {
          // Nobody waits for it any more.
          stop.abort(signal.reason);
        }
      }
    },
  };
}

/** What a plugin reads in KUBERNETES_EXEC_INFO. Source: client-go v0.37.2 `pkg/apis/clientauthentication/v1/types.go`. */
function execInfo(plugin: ExecPlugin, caPem: string | undefined, interactive: boolean): string {
  const { server, tlsServerName, config } = plugin.cluster;
  const cluster = {
    server,
    ...(tlsServerName === undefined ? {} : { "tls-server-name": tlsServerName }),
    ...(caPem === undefined
      ? {}
      : { "certificate-authority-data": Buffer.from(caPem).toString("base64") }),
    config,
  };
  return JSON.stringify({
    kind: "ExecCredential",
    apiVersion: plugin.apiVersion,
    spec: { ...(plugin.provideClusterInfo ? { cluster } : {}), interactive },
  });
}

/**
 * The file of a command: a path as it is, a name by our own PATH (not the plugin's).
 *
 * A folder in PATH that is relative does not count. Source: Go 1.26 `os/exec/lp_unix.go: LookPath`.
 */
function findCommand(command: string, root: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
  const files = command.includes("/")
    ? [under(root, command)]
    : folders.map((folder) => join(folder, command));
  return files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}
