// Runs under the pinned Node, in a process of its own: the part of an apiserver that `capture --watch` asks.
//
//   apiserver.mjs <dir>     writes <dir>/kubelet.conf, then says "ready"; told a number, makes so many changes
//
// HTTP/2 over TLS with client certificates: lists, watches with a bookmark every minute, single objects, tokens.
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { join } from "node:path";
import { makeCertificate } from "../../test/kube/certificates.ts";
import { dataObject, nodeObjects } from "./node-objects.mjs";

const [dir = "", node = ""] = process.argv.slice(2);
/** Source: k8s.io/apiserver v0.37.2 `pkg/storage/cacher/cacher.go: defaultBookmarkFrequency`. */
const bookmarkMs = 60_000;
/** Source: k8s.io/apiserver v0.37.2 `pkg/server/secure_serving.go`. */
const streamLimit = 250;
const plurals = /** @type {Record<string, string>} */ ({
  pods: "Pod",
  secrets: "Secret",
  configmaps: "ConfigMap",
  services: "Service",
  endpoints: "Endpoints",
  nodes: "Node",
});

let revision = 1_000;
/** @type {Map<string, any>} */
const stored = new Map();
/** @type {Set<{matches: (object: any) => boolean, kind: string, stream: import("node:http2").ServerHttp2Stream}>} */
const watches = new Set();

/** @param {any} object */
function store(object) {
  revision += 1;
  const { metadata } = object;
  const fresh = { ...object, metadata: { ...metadata, resourceVersion: String(revision) } };
  stored.set(`${object.kind}/${metadata.namespace ?? ""}/${metadata.name}`, fresh);
  for (const { matches, stream } of watches) {
    if (matches(fresh)) {
      stream.write(`${JSON.stringify({ type: "MODIFIED", object: fresh })}\n`);
    }
  }
}

/** @param {string} path */
function answer(path, method = "GET") {
  const url = new URL(path, "https://apiserver");
  const [, namespace = "", plural = "", name] =
    /^\/api\/v1(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+))?/.exec(url.pathname) ?? [];
  if (method === "POST") {
    return { kind: "token" };
  }
  const kind = plurals[plural] ?? "";
  if (name !== undefined) {
    return { kind: "object", object: stored.get(`${kind}/${namespace}/${name}`) };
  }
  const [field, value] = (url.searchParams.get("fieldSelector") ?? "").split("=");
  const matches = (/** @type {any} */ object) =>
    object.kind === kind &&
    (namespace === "" || object.metadata.namespace === namespace) &&
    (field !== "metadata.name" || object.metadata.name === value);
  return { kind: url.searchParams.has("watch") ? "watch" : "list", of: kind, matches };
}

function token() {
  const now = Math.floor(Date.now() / 1_000);
  const part = (/** @type {unknown} */ value) =>
    Buffer.from(JSON.stringify(value)).toString("base64url");
  const seconds = 31_536_000;
  // As long as one that RSA has signed.
  const claims = {
    iat: now,
    exp: now + seconds,
    sub: "x".repeat(300),
    jti: randomBytes(16).toString("hex"),
  };
  return {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    spec: { expirationSeconds: seconds },
    status: {
      token: `${part({ alg: "RS256", kid: "k" })}.${part(claims)}.${randomBytes(256).toString("base64url")}`,
      expirationTimestamp: new Date((now + seconds) * 1_000).toISOString(),
    },
  };
}

const authority = makeCertificate({ name: "kubernetes", ca: true });
const served = makeCertificate({ name: "apiserver", issuer: authority, sans: ["127.0.0.1"] });
const client = makeCertificate({ name: `system:node:${node}`, issuer: authority, usage: "client" });
const server = createSecureServer({
  cert: served.certPem,
  key: served.keyPem,
  ca: authority.certPem,
  requestCert: true,
  rejectUnauthorized: true,
  settings: { maxConcurrentStreams: streamLimit },
});
server.on("sessionError", () => undefined);
server.on("stream", (stream, headers) => {
  stream.on("error", () => undefined);
  stream.resume();
  const found = answer(headers[":path"] ?? "", headers[":method"]);
  const head = {
    ":status": found.kind === "object" && found.object === undefined ? 404 : 200,
    "audit-id": "89d1eaed-8442-46d2-a481-a10750a01b14",
    "cache-control": "no-cache, private",
    "content-type": "application/json",
    "x-kubernetes-pf-flowschema-uid": "89d1eaed-8442-46d2-a481-a10750a01b14",
    "x-kubernetes-pf-prioritylevel-uid": "89d1eaed-8442-46d2-a481-a10750a01b14",
  };
  stream.respond(head);
  switch (found.kind) {
    case "watch": {
      const watch = { matches: found.matches ?? (() => false), kind: found.of ?? "", stream };
      watches.add(watch);
      stream.once("close", () => watches.delete(watch));
      return;
    }
    case "list": {
      const items = [...stored.values()].filter(found.matches ?? (() => false));
      const metadata = { resourceVersion: String(revision) };
      stream.end(JSON.stringify({ kind: `${found.of}List`, apiVersion: "v1", metadata, items }));
      return;
    }
    case "token":
      stream.end(JSON.stringify(token()));
      return;
    default:
      stream.end(JSON.stringify(found.object ?? { kind: "Status", code: 404, reason: "NotFound" }));
  }
});

// Each watch has its bookmark once a minute, at a time of its own.
setInterval(() => {
  const share = Math.ceil(watches.size / (bookmarkMs / 1_000));
  for (const watch of [...watches].slice(0, share)) {
    const object = {
      kind: watch.kind,
      apiVersion: "v1",
      metadata: { resourceVersion: String(revision), creationTimestamp: null },
    };
    watch.stream.write(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
    watches.delete(watch);
    watches.add(watch);
  }
}, 1_000);

let made = 0;
/**
 * Two thirds of the changes are new contents of Secrets and ConfigMaps, the rest are heartbeats in a pod's status.
 *
 * @param {number} count
 */
async function change(count) {
  const all = [...stored.values()];
  const held = all.filter(({ kind }) => kind === "Secret" || kind === "ConfigMap");
  const pods = all.filter(({ kind }) => kind === "Pod");
  for (let at = 0; at < count; at += 1, made += 1) {
    if (made % 3 === 0) {
      const pod = pods[made % pods.length];
      const lastProbeTime = new Date(made * 1_000).toISOString();
      const conditions = pod.status.conditions.map((/** @type {any} */ one) => ({
        ...one,
        lastProbeTime,
      }));
      store({ ...pod, status: { ...pod.status, conditions } });
    } else {
      const { kind, metadata } = held[made % held.length];
      store(dataObject(kind, metadata.namespace, metadata.name, made));
    }
    if (at % 10 === 9) {
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }
}

nodeObjects(node).forEach(store);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const base64 = (/** @type {string} */ text) => Buffer.from(text).toString("base64");
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "node",
    clusters: [
      {
        name: "cluster",
        cluster: {
          server: `https://127.0.0.1:${port}`,
          "certificate-authority-data": base64(authority.certPem),
        },
      },
    ],
    users: [
      {
        name: "node",
        user: {
          "client-certificate-data": base64(client.certPem),
          "client-key-data": base64(client.keyPem),
        },
      },
    ],
    contexts: [{ name: "node", context: { cluster: "cluster", user: "node" } }],
  };
  writeFileSync(join(dir, "kubelet.conf"), JSON.stringify(kubeconfig));
  process.send?.("ready");
});
process.on("message", (count) => {
  void change(Number(count)).then(() => process.send?.("changed"));
});
process.on("disconnect", () => process.exit());
