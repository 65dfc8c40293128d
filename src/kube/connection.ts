import { Failure } from "../errors.ts";
import { parseServer } from "../model/server-url.ts";
import type { ApiAnswer, ApiRequest, Connection } from "./api.ts";
import { dialFailure, lostFailure } from "./connection-failure.ts";
import { sendRequest } from "./http2-request.ts";
import { type ConnectionLimits, type LiveSession, startSession } from "./http2-session.ts";
import { openSecureSocket } from "./secure-socket.ts";

declare const BLACKSTART_VERSION: string | undefined;

/** Whom to connect to, as a kubeconfig says it with its files read. */
export interface DialTarget {
  /** `https://host:port/prefix`; the prefix goes before the path of each request. */
  readonly server: string;
  /** What the certificate must be for; undefined: the server's host. */
  readonly tlsServerName: string | undefined;
  /** PEM bundle; undefined trusts what the machine trusts, as kubectl does. */
  readonly caPem: string | undefined;
  readonly clientCert: { readonly certPem: string; readonly keyPem: string } | undefined;
  /**
   * The headers that say who asks (`authorization`, `impersonate-…`), got anew for each request.
   * undefined where the client certificate alone says it.
   */
  readonly authorization: ((signal: AbortSignal) => Promise<IdentityHeaders>) | undefined;
}

/** Names in lower case. Secret material. */
export type IdentityHeaders = Readonly<Record<string, string | readonly string[]>>;

/**
 * What each step may take.
 *
 * The silence and the answer to a PING are client-go's own; so is the connection's keep-alive.
 * Source: k8s.io/apimachinery v0.37.2 `pkg/util/net/http.go: readIdleTimeoutSeconds, pingTimeoutSeconds`.
 */
export const connectionLimits: ConnectionLimits = {
  connectMs: 10_000,
  headMs: 30_000,
  silentMs: 30_000,
  pingMs: 15_000,
};

/**
 * Opens one verified HTTP/2 connection to an apiserver.
 *
 * Rejects with the signal's reason once that is aborted; afterwards the signal has no say: `close()` ends it.
 *
 * @throws {Failure} E_API_UNREACHABLE, E_API_TLS, E_TLS_TIME, E_API_ANSWER by what the endpoint did;
 * E_KUBECONFIG when the server's URL, the CA or the client certificate cannot be used
 */
export async function dialHttp2(
  target: DialTarget,
  signal: AbortSignal,
  limits: ConnectionLimits = connectionLimits,
): Promise<Connection> {
  signal.throwIfAborted();
  const server = parseServer(target.server);
  if ("problem" in server) {
    throw new Failure("E_KUBECONFIG", {
      what: "the apiserver's address is not usable",
      where: "clusters.cluster.server",
      found: server.problem,
      next: "Correct it, or name another kubeconfig with `kubeconfig:` in the configuration",
    });
  }
  const { host, port, url, prefix } = server;
  const serverName = target.tlsServerName ?? host;
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  signal.addEventListener("abort", abort, { once: true });
  const timer = setTimeout(abort, limits.connectMs);
  try {
    const { caPem, clientCert } = target;
    const socket = await openSecureSocket(
      { host, port, serverName, caPem, clientCert },
      stop.signal,
    );
    signal.throwIfAborted();
    if (socket.kind !== "open") {
      throw dialFailure(socket, url);
    }
    const hasClientCert = clientCert !== undefined;
    const tls = socket.connection;
    const live = await startSession(tls, url, { ...limits, hasClientCert }, stop.signal);
    if (live.kind !== "open") {
      signal.throwIfAborted();
      throw dialFailure(live, url);
    }
    if (signal.aborted) {
      live.connection.close();
      signal.throwIfAborted();
    }
    return connectionOver(
      live.connection,
      { authority: new URL(url).host, prefix },
      target,
      limits,
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

function connectionOver(
  live: LiveSession,
  { authority, prefix }: { readonly authority: string; readonly prefix: string },
  { authorization }: DialTarget,
  { headMs }: ConnectionLimits,
): Connection {
  const version = typeof BLACKSTART_VERSION === "undefined" ? "from-source" : BLACKSTART_VERSION;

  async function send(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    const identity = await authorization?.(signal);
    if (live.isRetired()) {
      throw live.lost() ?? lostFailure(live.where, "the server takes no new requests (GOAWAY)");
    }
    const { method, path, body } = request;
    const content = body === undefined ? {} : { "content-type": "application/json" };
    return sendRequest(
      live,
      {
        headers: {
          ":method": method,
          ":scheme": "https",
          ":authority": authority,
          ":path": `${prefix}${path}`,
          accept: "application/json",
          "user-agent": `blackstart/${version}`,
          ...content,
          ...identity,
        },
        body,
      },
      headMs,
      signal,
    );
  }

  return {
    get streamLimit() {
      const limit = live.http2.remoteSettings.maxConcurrentStreams ?? unlimited;
      return limit === unlimited ? defaultStreamLimit : Math.max(1, limit);
    },
    send,
    retired: live.retired,
    close: live.close,
  };
}

/** What Node gives for a server that sets no limit. */
const unlimited = 2 ** 32 - 1;
/** Taken for such a server, as Go's client does. Source: Go 1.26 `net/http/h2_bundle.go: http2defaultMaxConcurrentStreams`. */
const defaultStreamLimit = 1_000;
