import type { ClientHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import { describeFinding } from "../model/describe-outcome.ts";
import type { Finding } from "../model/probe.ts";
import type { ApiFailure } from "./api-failure.ts";
import { brokenAnswer, lostFailure } from "./connection-failure.ts";
import { keepAlive } from "./keep-alive.ts";
import { type Opened, tlsFinding } from "./secure-socket.ts";
import { codeOf } from "./socket-finding.ts";

/** How long what is waited for, milliseconds. */
export interface ConnectionLimits {
  /** For name, TCP, TLS and the server's SETTINGS together. */
  readonly connectMs: number;
  /** From a request to the head of its answer. */
  readonly headMs: number;
  /** Silence before the server is asked whether it is still there. */
  readonly silentMs: number;
  /** For its answer to that. */
  readonly pingMs: number;
}

/** An HTTP/2 session whose server has sent its SETTINGS. */
export interface LiveSession {
  readonly http2: ClientHttp2Session;
  /** The endpoint, for failures. */
  readonly where: string;
  readonly retired: Promise<void>;
  isRetired(): boolean;
  /**
   * Why nothing more comes; undefined while something may.
   *
   * @param error  of a stream on it: a stream hears of the session's error before the session does
   */
  lost(error?: unknown): ApiFailure | undefined;
  /** Something was received. */
  heard(): void;
  /** Ends it at once, with its socket and its timers. */
  close(): void;
}

/** What one answer may have in flight that nobody has read yet, bytes. */
const streamWindowBytes = 262_144;
/** What all answers together may have in flight, bytes. */
const sessionWindowBytes = 1_048_576;
/** The most of an answer's headers, bytes and fields; an answer with more is refused. */
const maxHeaderListSize = 65_536;
const maxHeaderListPairs = 128;

/**
 * Begins HTTP/2 on a verified connection and waits for the server's SETTINGS.
 *
 * Owns the socket from then on. `node:http2` is loaded here and nowhere else.
 */
export async function startSession(
  tls: TLSSocket,
  where: string,
  { silentMs, pingMs, hasClientCert }: ConnectionLimits & { readonly hasClientCert: boolean },
  stop: AbortSignal,
): Promise<Opened<LiveSession>> {
  const { connect } = await import("node:http2");
  const http2 = connect(where, {
    createConnection: () => tls,
    settings: { enablePush: false, initialWindowSize: streamWindowBytes, maxHeaderListSize },
    maxHeaderListPairs,
  });
  const { promise: retired, resolve: markRetired } = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<Opened<LiveSession>>();
  let isRetired = false;
  let lost: ApiFailure | undefined;

  const retire = (): void => {
    isRetired = true;
    markRetired();
  };
  const lose = (finding: Finding, found = describeFinding(finding)): void => {
    lost ??= finding.kind === "not-http" ? brokenAnswer(where, found) : lostFailure(where, found);
    retire();
    resolve(finding);
  };
  const end = (): void => {
    http2.destroy();
    // The session alone would wait for what it has not written yet.
    tls.destroy();
  };
  const alive = keepAlive(http2, { silentMs, pingMs }, () => {
    lose({ kind: "timeout", detail: "" }, `no answer to a PING within ${pingMs / 1_000} s`);
    end();
  });

  const fail = (error: unknown): void => {
    lose(sessionFinding(error, hasClientCert));
    tls.destroy();
  };
  http2.on("error", fail);
  // The session tells of an error of its socket only once that has closed, which it may never do.
  tls.on("error", fail);
  http2.once("close", () => {
    alive.stop();
    lose(closed);
    tls.destroy();
  });
  http2.once("goaway", retire);
  http2.on("ping", alive.heard);
  http2.on("remoteSettings", alive.heard);
  http2.once("connect", () => http2.setLocalWindowSize(sessionWindowBytes));
  http2.once("remoteSettings", () =>
    resolve({
      kind: "open",
      connection: {
        http2,
        where,
        retired,
        isRetired: () => isRetired,
        lost: (error) => {
          if (http2.destroyed) {
            lose(error instanceof Error ? sessionFinding(error, hasClientCert) : closed);
          }
          return lost;
        },
        heard: alive.heard,
        close: () => {
          lose({ kind: "reset", detail: "" }, "it was closed here");
          end();
        },
      },
    }),
  );

  const giveUp = (): void => resolve({ kind: "half-open", awaited: "HTTP" });
  stop.addEventListener("abort", giveUp, { once: true });
  if (stop.aborted) {
    giveUp();
  }
  const opened = await promise;
  stop.removeEventListener("abort", giveUp);
  if (opened.kind !== "open") {
    end();
  }
  return opened;
}

const closed: Finding = { kind: "reset", detail: "the other side closed it" };

function sessionFinding(error: unknown, hasClientCert: boolean): Finding {
  switch (codeOf(error)) {
    case "ERR_HTTP2_ERROR":
    case "ERR_HTTP2_TOO_MANY_INVALID_FRAMES":
      return { kind: "not-http", detail: "what it sends breaks the rules of HTTP/2" };
    case "ERR_HTTP2_SESSION_ERROR":
      return { kind: "reset", detail: "the server ended it with an error (GOAWAY)" };
    default: {
      const finding = tlsFinding(error, hasClientCert);
      // TLS that worked and fails later is a broken connection, not another protocol.
      return finding.kind === "not-tls" ? { kind: "reset", detail: finding.detail } : finding;
    }
  }
}
