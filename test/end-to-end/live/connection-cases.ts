import { createServer } from "node:net";
import { inDays, makeCertificate } from "../../kube/certificates.ts";
import { serveFrames } from "../../kube/http2-servers.ts";
import { answer as answerHttp1, listen } from "../../kube/servers.ts";
import { marker } from "../objects.ts";
import type { BadCluster } from "./bad-cluster.ts";
import { fakeApiserver, serverIdentity } from "./fake-apiserver.ts";
import { cluster, encoded, kubeconfig } from "./live-node.ts";

/** Something else than our server is there. */
function met(
  name: string,
  serve: NonNullable<BadCluster["serve"]>,
  code: string,
  says: RegExp,
  number: { case?: number } = { case: 93 },
): BadCluster {
  return { ...number, name, serve, code, exit: 69, says };
}

/** Our server with another certificate. */
function shown(
  name: string,
  wish: Parameters<typeof serverIdentity>[0],
  code: string,
  says: RegExp,
) {
  const serve = () => fakeApiserver(cluster(), { identity: serverIdentity(wish) });
  return met(name, serve, code, says, code === "E_TLS_TIME" ? { case: 95 } : {});
}

const dates = /certificate .* is valid from \d{4}-.* to \d{4}-.*, the clock says \d{4}-/;

/** A port where nobody listens any more. */
async function nobody() {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

export const connectionCases: readonly BadCluster[] = [
  met("nothing listens", nobody, "E_API_UNREACHABLE", /cannot be reached \(https:\/\/127.*refused/),
  met(
    "it closes each connection at once",
    () => listen(undefined, (socket) => socket.destroy()),
    "E_API_UNREACHABLE",
    /cannot be reached/,
  ),
  met(
    "a proxy answers in plain HTTP",
    () => listen(undefined, answerHttp1(400, marker)),
    "E_API_TLS",
    /does not speak TLS/,
  ),
  met(
    "a proxy answers with noise in place of TLS",
    () => listen(undefined, (socket) => socket.end(Buffer.alloc(600, marker))),
    "E_API_TLS",
    /does not speak TLS/,
  ),
  met(
    "a proxy speaks HTTP/1.1 only",
    () => listen(serverIdentity(), answerHttp1(200, marker), { ALPNProtocols: ["http/1.1"] }),
    "E_API_ANSWER",
    /HTTP\/1\.1 only/,
  ),
  met(
    "a proxy promises HTTP/2 and sends noise",
    () =>
      listen(serverIdentity(), (socket) => socket.write(Buffer.alloc(5_000, marker)), {
        ALPNProtocols: ["h2"],
      }),
    "E_API_ANSWER",
    /HTTP\/2/,
  ),
  met(
    "a proxy answers a request with noise",
    () => serveFrames(serverIdentity(), (write) => write(Buffer.alloc(5_000, marker))),
    "E_API_ANSWER",
    /HTTP\/2/,
  ),
  shown(
    "the server's certificate has expired",
    { to: inDays(-1), from: inDays(-9) },
    "E_TLS_TIME",
    dates,
  ),
  shown("the server's certificate is not valid yet", { from: inDays(1) }, "E_TLS_TIME", dates),
  shown(
    "the server's certificate is of another CA",
    { issuer: makeCertificate({ name: "cluster-ca", ca: true }) },
    "E_API_TLS",
    /another CA/,
  ),
  shown(
    "the server's certificate is of another name",
    { sans: ["10.96.0.1", "example.org"] },
    "E_API_TLS",
    /127\.0\.0\.1/,
  ),
  {
    case: 95,
    name: "our client certificate has expired",
    kubeconfig: (port) => {
      const expired = makeCertificate({
        name: "system:node:n1",
        usage: "client",
        to: inDays(-1),
        from: inDays(-3),
      });
      return kubeconfig(port, {
        user: {
          "client-certificate-data": encoded(expired.certPem),
          "client-key-data": encoded(expired.keyPem),
          token: undefined,
        },
      });
    },
    code: "E_TLS_TIME",
    exit: 69,
    says: dates,
  },
  {
    name: "the server's name does not resolve",
    kubeconfig: (port) =>
      kubeconfig(port, { cluster: { server: `https://api.cluster.invalid:${port}` } }),
    code: "E_API_UNREACHABLE",
    exit: 69,
    says: /api\.cluster\.invalid/,
  },
];
