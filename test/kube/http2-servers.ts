import {
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Stream,
} from "node:http2";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Identity } from "./certificates.ts";

/** An HTTP/2 server on loopback that dies with the test. */
export interface Http2TestServer extends AsyncDisposable {
  readonly port: number;
  readonly server: Http2SecureServer;
  readonly sessions: readonly Http2Session[];
  /** The headers of each request, in the order of arrival. */
  readonly requests: readonly IncomingHttpHeaders[];
  /** The common name of each client's certificate; undefined for a client without one. */
  readonly clients: readonly (string | undefined)[];
  /** The error code of each stream that has ended. */
  readonly codes: readonly number[];
}

/** Serves HTTP/2 over TLS on 127.0.0.1. */
export async function serveHttp2(
  identity: Identity,
  serve: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  options: SecureServerOptions = {},
): Promise<Http2TestServer> {
  const sessions: Http2Session[] = [];
  const requests: IncomingHttpHeaders[] = [];
  const codes: number[] = [];
  const clients: (string | undefined)[] = [];
  const server = createSecureServer({
    cert: identity.certPem,
    key: identity.keyPem,
    requestCert: true,
    rejectUnauthorized: false,
    ...options,
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    const { subject } = socket.getPeerCertificate();
    clients.push(subject === undefined ? undefined : String(subject.CN));
  });
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => undefined);
  });
  server.on("stream", (stream, headers) => {
    requests.push(headers);
    stream.on("error", () => undefined);
    stream.on("close", () => codes.push(stream.rstCode ?? 0));
    serve(stream, headers);
  });
  const port = await listenOn(server);
  return {
    port,
    server,
    sessions,
    requests,
    clients,
    codes,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) {
        session.destroy();
      }
      await closeAll(server, sockets);
    },
  };
}

/** A cable between client and server, which can be cut and can go dead. */
export interface Relay extends AsyncDisposable {
  readonly port: number;
  /** Passes nothing on any more; both sides believe to be connected. */
  freeze(): void;
  /** Closes both sides, with a FIN or with a reset. */
  cut(how: "end" | "reset"): void;
}

/** Listens on 127.0.0.1 and passes everything on to `port`. */
export async function relayTo(port: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    clients.add(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    client.pipe(upstream);
    upstream.pipe(client);
  });
  return {
    port: await listenOn(server),
    freeze() {
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    cut(how) {
      for (const client of clients) {
        client.unpipe();
        if (how === "end") {
          client.end();
        } else {
          client.resetAndDestroy();
        }
      }
    },
    [Symbol.asyncDispose]: () => closeAll(server, sockets),
  };
}

async function listenOn(server: Server | Http2SecureServer): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function closeAll(server: Server | Http2SecureServer, sockets: Iterable<Socket>) {
  for (const socket of sockets) {
    socket.destroy();
  }
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

/** One HTTP/2 frame. Source: RFC 9113 §4.1. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const settings = 0x4;
const acknowledgement = 0x1;

/**
 * A server that says what a real one never would: it sends SETTINGS, and `answer` to each request.
 *
 * @param answer  gets the frames' writer for the stream that asks
 */
export async function serveFrames(
  identity: Identity,
  answer: (write: (bytes: Uint8Array) => void, stream: number) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const tls = { cert: identity.certPem, key: identity.keyPem, ALPNProtocols: ["h2"] };
  const server = createTlsServer(tls, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.write(frame(settings, 0, 0, Buffer.alloc(0)));
    let bytes = Buffer.alloc(0);
    let isBegun = false;
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!isBegun && bytes.length >= prefaceBytes) {
        bytes = bytes.subarray(prefaceBytes);
        isBegun = true;
      }
      while (isBegun && bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
        const [type, flags, stream] = [bytes[3], bytes[4], bytes.readUInt32BE(5)];
        bytes = bytes.subarray(9 + bytes.readUIntBE(0, 3));
        if (type === settings && flags !== acknowledgement) {
          socket.write(frame(settings, acknowledgement, 0, Buffer.alloc(0)));
        } else if (type === 0x1) {
          answer((out) => socket.write(out), stream);
        }
      }
    });
  });
  return {
    port: await listenOn(server),
    [Symbol.asyncDispose]: () => closeAll(server, sockets),
  };
}

/** The length of what a client begins with. Source: RFC 9113 §3.4. */
const prefaceBytes = 24;
