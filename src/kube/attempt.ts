import { connect, type Socket } from "node:net";
import type { SecureContext, TLSSocket } from "node:tls";
import type { Finding } from "../model/probe.ts";
import { answerLimitBytes, readAnswer } from "./http-answer.ts";
import { judgePeer } from "./judge-peer.ts";
import { codeOf, socketFinding } from "./socket-finding.ts";

/** One address to ask, and what it must prove. */
export interface Target {
  /** An IPv4 or IPv6 address. */
  readonly address: string;
  readonly port: number;
  /** As the Host header names it. */
  readonly authority: string;
  /** Sent as SNI when it is a name. */
  readonly serverNames: readonly string[];
  readonly path: string;
}

/** The CA bundle, and the client certificate that is shown when the server asks for one. */
export interface Trust {
  readonly caPem: string | undefined;
  readonly clientCert: { readonly certPem: string; readonly keyPem: string } | undefined;
}

/** One question under way. */
export interface Attempt {
  /** Settles once; never rejects. */
  readonly finding: Promise<Finding>;
  /** What is known by now. */
  soFar(): Finding;
  /** Ends it at once, with what is known by now. */
  stop(): void;
}

/**
 * The longest that each step may take before the next attempt is made, milliseconds.
 *
 * An apiserver whose etcd is silent needs 2 s for each of its two etcd checks, one after the other.
 * Source: k8s.io/apiserver v0.37.2 `pkg/storage/storagebackend/config.go: DefaultHealthcheckTimeout`.
 */
const stepMs = { connect: 2_000, tls: 3_000, answer: 10_000, body: 1_000 } as const;

/**
 * Asks one address for `/readyz`: TCP, then verified TLS, then HTTP/1.1 written by hand.
 *
 * `node:tls` is loaded only once TCP connects: a cold boot, where all is refused, never pays for it.
 * The socket is destroyed when the finding is there.
 */
export function ask(target: Target, trust: Trust): Attempt {
  const { promise, resolve } = Promise.withResolvers<Finding>();
  const socket = connect({ host: target.address, port: target.port, noDelay: true });
  let live: Socket = socket;
  let known: Finding = { kind: "timeout", detail: "" };
  let settled = false;
  let timer = setTimeout(() => settle(known), stepMs.connect);

  function settle(finding: Finding): void {
    if (!settled) {
      settled = true;
      known = finding;
      clearTimeout(timer);
      live.destroy();
      socket.destroy();
      resolve(finding);
    }
  }

  /** The next step begins: until it ends, `finding` is what is known. */
  function advance(finding: Finding, limitMs: number): void {
    known = finding;
    clearTimeout(timer);
    timer = setTimeout(() => settle(known), limitMs);
  }

  socket.on("error", (error: NodeJS.ErrnoException) => settle(socketFinding(error)));
  socket.once("connect", () => {
    advance({ kind: "half-open", awaited: "TLS" }, stepMs.tls);
    void secure().catch((error: unknown) => settle(brokenFinding(error)));
  });

  async function secure(): Promise<void> {
    const { connect: connectTls } = await import("node:tls");
    const secureContext = await contextOf(trust);
    if (settled) {
      return;
    }
    const sni = target.serverNames.find((name) => /[a-z]/i.test(name) && !name.includes(":"));
    const tls = connectTls({
      socket,
      secureContext,
      ...(sni === undefined ? {} : { servername: sni }),
      ALPNProtocols: ["http/1.1"],
      // Judged below, where the reasons can be told apart; nothing is sent before that.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    live = tls;
    let trusted = false;
    tls.on("error", (error: NodeJS.ErrnoException) =>
      settle(trusted ? brokenFinding(error) : tlsFinding(error)),
    );
    tls.once("close", () => settle({ kind: "reset", detail: "closed without an answer" }));
    tls.once("secureConnect", () => {
      void judgePeer(tls, target.serverNames, trust.caPem)
        .then((objection) => {
          if (objection !== undefined) {
            settle(objection);
          } else if (!settled) {
            trusted = true;
            advance({ kind: "half-open", awaited: "HTTP" }, stepMs.answer);
            request(tls);
          }
        })
        .catch((error: unknown) => settle(brokenFinding(error)));
    });
  }

  function request(tls: TLSSocket): void {
    let bytes = Buffer.alloc(0);
    let inBody = false;
    const read = (complete: boolean): void => {
      const finding = readAnswer(bytes, complete);
      if (finding !== undefined) {
        settle(finding);
      }
    };
    tls.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk.subarray(0, answerLimitBytes - bytes.length)]);
      read(false);
      if (!inBody && bytes.includes("\n")) {
        // The status is known; a body that only drips is not waited for.
        inBody = true;
        const finding = readAnswer(bytes, true);
        if (finding !== undefined && !settled) {
          advance(finding, stepMs.body);
        }
      }
    });
    tls.once("end", () => {
      if (bytes.length > 0) {
        read(true);
      }
    });
    tls.write(
      `GET ${target.path} HTTP/1.1\r\nHost: ${target.authority}\r\nUser-Agent: blackstart\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
    );
  }

  return { finding: promise, soFar: () => known, stop: () => settle(known) };
}

const contexts = new WeakMap<Trust, SecureContext>();

/** The TLS settings, made once; without the client certificate when that cannot be used. */
async function contextOf(trust: Trust): Promise<SecureContext> {
  const known = contexts.get(trust);
  if (known !== undefined) {
    return known;
  }
  const { createSecureContext } = await import("node:tls");
  const { parseBundle } = await import("./certificate.ts");
  // One certificate that does not parse must not hide those after it.
  const ca = parseBundle(trust.caPem ?? "").map((authority) => authority.toString());
  const base = { ca, minVersion: "TLSv1.2" } as const;
  let context: SecureContext;
  try {
    const { certPem, keyPem } = trust.clientCert ?? {};
    context = createSecureContext(
      certPem === undefined || keyPem === undefined
        ? base
        : { ...base, cert: certPem, key: keyPem },
    );
  } catch {
    context = createSecureContext(base);
  }
  contexts.set(trust, context);
  return context;
}

function tlsFinding(error: unknown): Finding {
  const code = codeOf(error);
  return code.startsWith("ERR_SSL") || code === "EPROTO"
    ? { kind: "not-tls", detail: code }
    : socketFinding(error);
}

function brokenFinding(error: unknown): Finding {
  return { kind: "reset", detail: codeOf(error) };
}
