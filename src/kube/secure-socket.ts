import { connect, isIP, type Socket } from "node:net";
import type { SecureContext, TLSSocket } from "node:tls";
import { Failure } from "../errors.ts";
import type { Finding } from "../model/probe.ts";
import { judgePeer } from "./judge-peer.ts";
import { resolveHost } from "./resolve.ts";
import { codeOf, socketFinding } from "./socket-finding.ts";
import { readSystemRoots } from "./system-roots.ts";

/** Whom to connect to, and what is shown and trusted. */
export interface SecureTarget {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** What the certificate must be for; sent as SNI when it is a name. */
  readonly serverName: string;
  /** PEM bundle; undefined trusts what the machine trusts. */
  readonly caPem: string | undefined;
  readonly clientCert: { readonly certPem: string; readonly keyPem: string } | undefined;
}

/** A connection, or why there is none. */
export type Opened<Connection> =
  | { readonly kind: "open"; readonly connection: Connection }
  | Finding;

/** The longest wait for one address while there are others, milliseconds. */
const addressMs = 3_000;
/** Silence after which the kernel asks whether the other machine is still there, milliseconds. */
const keepAliveMs = 30_000;

/**
 * Connects to the first address that answers, and verifies the peer before anything is sent.
 *
 * Offers HTTP/2 and HTTP/1.1, so that a server without the former can be told from one without TLS.
 *
 * @param stop  ends it; the result is then what was waited for
 * @throws {Failure} E_KUBECONFIG only when the CA or the client certificate cannot be used
 */
export async function openSecureSocket(
  target: SecureTarget,
  stop: AbortSignal,
): Promise<Opened<TLSSocket>> {
  const caPem = target.caPem ?? readSystemRoots();
  const context = await contextOf(caPem, target.clientCert);
  const { addresses, problem } = await resolveHost(target.host);
  let last: Finding = { kind: "dns", detail: problem };
  for (const address of addresses) {
    const limitMs = address === addresses.at(-1) ? undefined : addressMs;
    const opened = await openSocket(address, target.port, limitMs, stop);
    if (opened.kind === "open") {
      return secure(opened.connection, target, { context, caPem }, stop);
    }
    last = opened;
    if (stop.aborted) {
      break;
    }
  }
  return last;
}

async function openSocket(
  host: string,
  port: number,
  limitMs: number | undefined,
  stop: AbortSignal,
): Promise<Opened<Socket>> {
  const { promise, resolve } = Promise.withResolvers<Opened<Socket>>();
  const socket = connect({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  });
  const giveUp = (): void => resolve({ kind: "timeout", detail: "" });
  const timer = limitMs === undefined ? undefined : setTimeout(giveUp, limitMs);
  stop.addEventListener("abort", giveUp, { once: true });
  socket.once("error", (error) => resolve(socketFinding(error)));
  socket.once("connect", () => resolve({ kind: "open", connection: socket }));
  if (stop.aborted) {
    giveUp();
  }
  const opened = await promise;
  clearTimeout(timer);
  stop.removeEventListener("abort", giveUp);
  if (opened.kind !== "open") {
    socket.on("error", () => undefined);
    socket.destroy();
  }
  return opened;
}

async function secure(
  socket: Socket,
  { serverName, clientCert }: SecureTarget,
  { context, caPem }: { readonly context: SecureContext; readonly caPem: string },
  stop: AbortSignal,
): Promise<Opened<TLSSocket>> {
  const { connect: connectTls } = await import("node:tls");
  const { promise, resolve } = Promise.withResolvers<Opened<TLSSocket>>();
  const tls = connectTls({
    socket,
    secureContext: context,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    ALPNProtocols: ["h2", "http/1.1"],
    // Judged below, where the reasons can be told apart; nothing is sent before that.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  const giveUp = (): void => resolve({ kind: "half-open", awaited: "TLS" });
  stop.addEventListener("abort", giveUp, { once: true });
  tls.on("error", (error) => resolve(tlsFinding(error, clientCert !== undefined)));
  tls.once("close", () => resolve({ kind: "reset", detail: "closed without an answer" }));
  tls.once("secureConnect", () => {
    judgePeer(tls, [serverName], caPem).then(
      (objection) => resolve(objection ?? protocolFinding(tls) ?? openedAs(tls)),
      (error: unknown) => resolve(socketFinding(error)),
    );
  });
  if (stop.aborted) {
    giveUp();
  }
  const opened = await promise;
  stop.removeEventListener("abort", giveUp);
  if (opened.kind !== "open") {
    tls.destroy();
    socket.destroy();
  }
  return opened;
}

function openedAs(tls: TLSSocket): Opened<TLSSocket> {
  return { kind: "open", connection: tls };
}

function protocolFinding({ alpnProtocol }: TLSSocket): Finding | undefined {
  return alpnProtocol === "h2"
    ? undefined
    : { kind: "not-http", detail: "it speaks HTTP/1.1 only, and HTTP/2 is needed" };
}

async function contextOf(
  caPem: string,
  clientCert: SecureTarget["clientCert"],
): Promise<SecureContext> {
  const { createSecureContext } = await import("node:tls");
  const { parseBundle } = await import("./certificate.ts");
  // One certificate that does not parse must not hide those after it.
  const ca = parseBundle(caPem).map((authority) => authority.toString());
  if (ca.length === 0) {
    throw unusable("clusters.cluster.certificate-authority", "no certificate that can be read");
  }
  try {
    return createSecureContext({
      ca,
      minVersion: "TLSv1.2",
      // A CA that is not its own issuer is trusted too, as Go's verifier does.
      allowPartialTrustChain: true,
      ...(clientCert === undefined ? {} : { cert: clientCert.certPem, key: clientCert.keyPem }),
    });
  } catch (error) {
    const code = codeOf(error);
    throw unusable("users.user.client-certificate, client-key", `not a pair (${code})`);
  }
}

function unusable(where: string, found: string): Failure {
  return new Failure("E_KUBECONFIG", {
    what: "the credentials cannot be used",
    where,
    found,
    next: "Correct it, or name another with `kubeconfig:` in the configuration",
  });
}

/**
 * What a TLS error tells about the other side. Pure.
 *
 * With TLS 1.3 a client certificate is refused only after the handshake, by an alert.
 */
export function tlsFinding(error: unknown, hasClientCert: boolean): Finding {
  const code = codeOf(error);
  if (code === "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL") {
    return { kind: "not-http", detail: "it does not speak HTTP/2" };
  }
  if (/ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
    const whose = hasClientCert ? "our client certificate" : "us without a client certificate";
    return { kind: "untrusted", detail: `it refuses ${whose} (${code})` };
  }
  return code.startsWith("ERR_SSL") || code === "EPROTO"
    ? { kind: "not-tls", detail: code }
    : socketFinding(error);
}
