import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type CertificateWish, type Identity, makeCertificate } from "../../kube/certificates.ts";
import { serveHttp2 } from "../../kube/http2-servers.ts";
import { base64, marker } from "../objects.ts";

/** An object of the cluster. */
export interface Stored {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** One request as it came. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly isWatch: boolean;
  /** How many have come, this one included. */
  readonly number: number;
  /** How many have come to this path by this method, this one included. */
  readonly time: number;
}

/** Answers in the apiserver's place. */
export type Answer = (stream: ServerHttp2Stream, asked: Asked) => void;

/** A server of the real protocol for one node's part of a cluster, which can be made to fail. */
export interface FakeApiserver extends AsyncDisposable {
  readonly port: number;
  readonly caPem: string;
  /** `METHOD path?query`, in the order of arrival. */
  readonly requests: readonly string[];
  /** The headers of each request. */
  readonly headers: readonly IncomingHttpHeaders[];
  /** What answers a request in place of the truth; undefined for the truth. May be changed. */
  fault: (asked: Asked) => Answer | undefined;
  put(object: object): void;
  remove(kind: string, name: string): void;
  /** Dies with all its connections. */
  kill(): Promise<void>;
}

export const authority: Identity = makeCertificate({ name: "cluster-ca", ca: true });

/** The server's certificate, with what is to be wrong with it. */
export function serverIdentity(wish: Partial<CertificateWish> = {}): Identity {
  return makeCertificate({
    name: "kube-apiserver",
    issuer: authority,
    sans: ["127.0.0.1", "kubernetes.default.svc"],
    ...wish,
  });
}

/** Answers with a body of this type. */
export function answer(
  status: number,
  body: string | Buffer,
  { type = "application/json", headers = {} }: { type?: string; headers?: object } = {},
): Answer {
  return (stream) => {
    stream.respond({ ":status": status, "content-type": type, ...headers });
    stream.end(body);
  };
}

/** Answers as the apiserver refuses: a Status, which quotes what nobody should be shown. */
export function refusal(status: number, reason: string, headers: object = {}): Answer {
  const body = { kind: "Status", apiVersion: "v1", status: "Failure", reason, code: status };
  return answer(status, JSON.stringify({ ...body, message: `${marker}-message` }), { headers });
}

const plurals: Readonly<Record<string, string>> = {
  pods: "Pod",
  secrets: "Secret",
  configmaps: "ConfigMap",
  services: "Service",
  nodes: "Node",
  endpoints: "Endpoints",
};
const paths = /^\/api\/v1(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?(?:\/(token))?$/;

/** Starts a server on loopback that serves these objects. */
export async function fakeApiserver(
  items: readonly object[],
  { identity = serverIdentity(), options = {} }: { identity?: Identity; options?: object } = {},
): Promise<FakeApiserver> {
  let revision = 100;
  const objects = new Map<string, Stored>();
  const watches = new Set<{ stream: ServerHttp2Stream; matches: (object: Stored) => boolean }>();
  const requests: string[] = [];
  const times = new Map<string, number>();

  const http2 = await serveHttp2(
    identity,
    (stream, headers) => {
      const method = String(headers[":method"]);
      const url = new URL(String(headers[":path"]), "https://server");
      requests.push(`${method} ${url.pathname}${url.search}`);
      const key = `${method} ${url.pathname}`;
      const time = (times.get(key) ?? 0) + 1;
      times.set(key, time);
      const asked = {
        method,
        path: url.pathname,
        query: url.searchParams,
        isWatch: url.searchParams.get("watch") === "1",
        number: requests.length,
        time,
      };
      (server.fault(asked) ?? truth)(stream, asked);
    },
    options,
  );

  const truth: Answer = (stream, asked) => {
    const [, namespace, plural = "", name, token] = paths.exec(asked.path) ?? [];
    const kind = plurals[plural];
    if (token !== undefined) {
      tokenAnswer(stream, asked);
    } else if (kind === undefined) {
      refusal(404, "NotFound")(stream, asked);
    } else if (name !== undefined) {
      const object = objects.get(`${kind}/${name}`);
      (object === undefined ? refusal(404, "NotFound") : answer(200, JSON.stringify(object)))(
        stream,
        asked,
      );
    } else {
      const selector = asked.query.get("fieldSelector");
      const wanted = /^metadata\.name=(.*)$/.exec(selector ?? "")?.[1];
      const matches = (object: Stored) =>
        object.kind === kind &&
        (namespace === undefined || object.metadata.namespace === namespace) &&
        (wanted === undefined || object.metadata.name === wanted);
      if (asked.isWatch) {
        stream.respond({ ":status": 200, "content-type": "application/json" });
        const watch = { stream, matches };
        watches.add(watch);
        stream.once("close", () => watches.delete(watch));
      } else {
        answer(200, listOf(kind, [...objects.values()].filter(matches), revision))(stream, asked);
      }
    }
  };

  const tell = (type: string, object: Stored): void => {
    for (const { stream, matches } of watches) {
      if (matches(object)) {
        stream.write(`${JSON.stringify({ type, object })}\n`);
      }
    }
  };
  const versioned = (object: Stored): Stored => {
    revision += 1;
    return {
      ...object,
      metadata: { ...object.metadata, ...{ resourceVersion: String(revision) } },
    };
  };

  const server: FakeApiserver = {
    port: http2.port,
    caPem: authority.certPem,
    requests,
    headers: http2.requests,
    fault: () => undefined,
    put(object) {
      const stored = versioned(object as Stored);
      const key = `${stored.kind}/${stored.metadata.name}`;
      const type = objects.has(key) ? "MODIFIED" : "ADDED";
      objects.set(key, stored);
      tell(type, stored);
    },
    remove(kind, name) {
      const stored = objects.get(`${kind}/${name}`);
      if (stored !== undefined) {
        objects.delete(`${kind}/${name}`);
        tell("DELETED", versioned(stored));
      }
    },
    kill: async () => {
      await http2[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => http2[Symbol.asyncDispose](),
  };
  items.forEach(server.put);
  return server;
}

/** The JSON of a list; its items lack kind and apiVersion, as a real one's do. */
export function listOf(kind: string, items: readonly object[], revision: number): string {
  return JSON.stringify({
    kind: `${kind}List`,
    apiVersion: "v1",
    metadata: { resourceVersion: String(revision) },
    items: items.map((item) => ({ ...item, kind: undefined, apiVersion: undefined })),
  });
}

/** A token that tells its own times, as a real one does. */
const tokenAnswer: Answer = (stream, asked) => {
  const iat = Math.floor(Date.now() / 1_000);
  const claims = base64(JSON.stringify({ iat, exp: iat + 3_600 })).replaceAll("=", "");
  const status = {
    token: `e30.${claims}.${marker}minted`,
    expirationTimestamp: new Date((iat + 3_600) * 1_000).toISOString(),
  };
  answer(
    201,
    JSON.stringify({ kind: "TokenRequest", apiVersion: "authentication.k8s.io/v1", status }),
  )(stream, asked);
};
