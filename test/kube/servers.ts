import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Identity } from "./certificates.ts";

/** A server on loopback that dies with the test. */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
  /** What clients sent, for assertions. */
  readonly received: readonly string[];
}

/** Listens on 127.0.0.1 and does `serve` with each connection; TLS when an identity is given. */
export async function listen(
  identity: Identity | undefined,
  serve: (socket: Socket, request: string) => void,
  {
    chain = "",
    ALPNProtocols,
  }: { readonly chain?: string | undefined; readonly ALPNProtocols?: string[] } = {},
): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const received: string[] = [];
  const accept = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    if (identity === undefined) {
      serve(socket, "");
      return;
    }
    socket.once("data", (bytes) => {
      received.push(bytes.toString());
      serve(socket, bytes.toString());
    });
  };
  const server: Server =
    identity === undefined
      ? createServer(accept)
      : createTlsServer(
          {
            cert: identity.certPem + chain,
            key: identity.keyPem,
            requestCert: true,
            rejectUnauthorized: false,
            ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }),
          },
          accept,
        );
  server.on("tlsClientError", () => undefined);
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    received,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** Serves one HTTP answer and closes, as Go's server does. */
export function answer(status: number, body = "", headers = ""): (socket: Socket) => void {
  return (socket) => {
    socket.end(
      `HTTP/1.1 ${status} Some Words\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  };
}
