import { X509Certificate } from "node:crypto";
import type { Dial } from "./api.ts";
import { type TokenFile, tokenFile } from "./bearer-token.ts";
import { checkClientTime } from "./client-certificate.ts";
import type { Clock } from "./clock.ts";
import { type DialTarget, dialHttp2 } from "./connection.ts";
import { type ExecSource, execSource } from "./exec-credential.ts";
import { type Login, readLogin } from "./login.ts";
import { nodeOfCertificate } from "./node-identity.ts";
import { trackFiles } from "./tracked-files.ts";

/** What a kubeconfig's current context gives to log in with, as its files are now. */
export interface Credentials {
  /**
   * Opens a connection after reading the kubeconfig and its files anew, and running the plugin it names if
   * that is due.
   */
  readonly dial: Dial;
  /** `https://host:port/prefix`, as last read. */
  readonly server: string;
  /** The node that the client certificate is of; undefined where it is not a node's, or there is none. */
  readonly nodeName: string | undefined;
  /** The end of the client certificate; undefined without one. */
  readonly expiresAt: Date | undefined;
  /**
   * True when a new connection would log in with other credentials: the kubeconfig or a file it names
   * is another than at the last dial, or a plugin's certificate is no longer current. A renewed token
   * does not count, for it is used without a new connection. One stat for each file.
   */
  changed(): boolean;
  /** The apiserver said 401: the next request reads the token file again, or runs the plugin. */
  invalidate(): void;
}

/**
 * Reads the credentials of a kubeconfig's current context as kubectl does.
 *
 * Runs no plugin and opens no connection: `dial` does.
 *
 * @param path  of the kubeconfig, absolute on the node
 * @throws {Failure} E_KUBECONFIG when the kubeconfig or a file it names is missing or cannot be used
 */
export async function readCredentials(
  root: string,
  path: string,
  clock: Clock,
): Promise<Credentials> {
  let files = trackFiles(root);
  let login = await readLogin(files, path, clock, new AbortController().signal);
  let tokens: (TokenFile & { readonly path: string }) | undefined;
  let exec: (ExecSource & { readonly key: string }) | undefined;
  /** Of the last dial. */
  let certPem = login.clientCert?.certPem;

  /** Those of before where they are the same, for they remember what they gave. */
  function prepareSources({ tokenPath, caPem, user }: Login): void {
    if (tokenPath !== tokens?.path) {
      tokens =
        tokenPath === undefined
          ? undefined
          : {
              ...tokenFile(tokenPath, root, path, { fallback: user.token, clock }),
              path: tokenPath,
            };
    }
    const key = JSON.stringify([user.exec, caPem]);
    if (user.exec === undefined || key !== exec?.key) {
      exec =
        user.exec === undefined ? undefined : { ...execSource(user.exec, root, caPem, clock), key };
    }
  }

  function authorization({ user }: Login): DialTarget["authorization"] {
    const { impersonation, token } = user;
    const source = tokens;
    const plugin = exec;
    const isCertificateAlone = source === undefined && plugin === undefined && token === undefined;
    if (isCertificateAlone && Object.keys(impersonation).length === 0) {
      return undefined;
    }
    return async (signal) => {
      const bearer = source?.token() ?? token ?? (await plugin?.get(signal))?.token;
      return bearer === undefined
        ? impersonation
        : { ...impersonation, authorization: `Bearer ${bearer}` };
    };
  }

  const dial: Dial = async (signal) => {
    signal.throwIfAborted();
    // Taken before it is known to work: a file that is wrong is asked about again only once it has changed.
    files = trackFiles(root);
    login = await readLogin(files, path, clock, signal);
    const { server, tlsServerName, caPem, clientCert, user } = login;
    prepareSources(login);
    tokens?.token();
    const given = await exec?.get(signal);
    const now = new Date(clock.now());
    const hasToken = tokens !== undefined || user.token !== undefined || given?.token !== undefined;
    if (clientCert !== undefined && !hasToken) {
      checkClientTime(clientCert.certificate, now, clientCert.where);
    }
    if (given?.clientCert !== undefined && !hasToken) {
      const certificate = new X509Certificate(given.clientCert.certPem);
      checkClientTime(certificate, now, user.exec?.command ?? "");
    }
    const shown = clientCert ?? given?.clientCert;
    certPem = shown?.certPem;
    return dialHttp2(
      { server, tlsServerName, caPem, clientCert: shown, authorization: authorization(login) },
      signal,
    );
  };

  return {
    dial,
    get server() {
      return login.server;
    },
    get nodeName() {
      return certPem === undefined ? undefined : nodeOfCertificate(certPem);
    },
    get expiresAt() {
      return certPem === undefined ? undefined : new X509Certificate(certPem).validToDate;
    },
    changed: () =>
      files.changed() ||
      (exec !== undefined &&
        certPem !== undefined &&
        exec.current()?.clientCert?.certPem !== certPem),
    invalidate() {
      tokens?.invalidate();
      exec?.invalidate();
    },
  };
}
