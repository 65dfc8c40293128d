import assert from "node:assert/strict";
import { suite } from "uvu";
import type { ApiAnswer, Connection } from "../../src/kube/api.ts";
import { ApiFailure } from "../../src/kube/api-failure.ts";
import { connectionLimits, type DialTarget, dialHttp2 } from "../../src/kube/connection.ts";
import type { ConnectionLimits } from "../../src/kube/http2-session.ts";
import { rejects } from "../rejects.ts";
import { makeCertificate } from "./certificates.ts";
import { frame, relayTo, serveFrames, serveHttp2 } from "./http2-servers.ts";

const test = suite("kube/connection");

const ca = makeCertificate({ name: "kubernetes", ca: true });
const good = makeCertificate({ name: "kube-apiserver", issuer: ca, sans: ["127.0.0.1"] });
const client = makeCertificate({ name: "system:node:n1", issuer: ca, usage: "client" });
const never = new AbortController().signal;

function dial(
  port: number,
  more: Partial<DialTarget> = {},
  limits: Partial<ConnectionLimits> = {},
): Promise<Connection> {
  const target = {
    server: `https://127.0.0.1:${port}`,
    tlsServerName: undefined,
    caPem: ca.certPem,
    clientCert: undefined,
    authorization: undefined,
    ...more,
  };
  return dialHttp2(target, never, { ...connectionLimits, ...limits });
}

const get = (connection: Connection, path = "/", signal = never): Promise<ApiAnswer> =>
  connection.send({ method: "GET", path }, signal);

async function textOf({ body }: ApiAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** A limit for what would otherwise hang the run without a word. */
async function soon<Value>(promise: Promise<Value>, ms = 3_000): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

test("a request carries method, path with the server's prefix, and who asks; the answer comes whole", async () => {
  await using server = await serveHttp2(good, (stream, headers) => {
    stream.respond({ ":status": 201, "content-type": "application/json", "x-two": ["a", "b"] });
    let sent = "";
    stream.on("data", (bytes: Buffer) => {
      sent += bytes.toString();
    });
    stream.on("end", () => stream.end(`${headers[":path"]} ${sent}`));
  });
  let asked = 0;
  const connection = await dial(server.port, {
    server: `https://127.0.0.1:${server.port}/k8s/`,
    clientCert: client,
    authorization: async () => ({
      authorization: `Bearer token-${++asked}`,
      "impersonate-group": ["a", "b"],
    }),
  });
  const answer = await connection.send(
    { method: "POST", path: "/api/v1/x?y=1", body: '{"a":1}' },
    never,
  );
  assert.equal(answer.status, 201);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.equal(answer.headers["x-two"], "a, b");
  assert.equal(answer.headers[":status"], undefined);
  assert.equal(await textOf(answer), '/k8s/api/v1/x?y=1 {"a":1}');
  const second = await get(connection, "/version");
  assert.equal(await textOf(second), "/k8s/version ");
  const [post, read] = server.requests;
  assert.equal(post?.["content-type"], "application/json");
  assert.match(String(post?.["user-agent"]), /^blackstart\/\S+$/);
  assert.equal(post?.accept, "application/json");
  assert.equal(post?.["impersonate-group"], "a, b");
  assert.equal(post?.authorization, "Bearer token-1");
  assert.equal(read?.authorization, "Bearer token-2");
  assert.equal(read?.["content-type"], undefined);
  assert.deepEqual(server.clients, ["system:node:n1"]);
  connection.close();
  await soon(connection.retired);
});

/** `:status: 200`, from HPACK's static table. */
const status200 = Buffer.from([0x88]);
const endHeaders = 0x4;
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

test("an answer cut off with any code is never taken for a whole one", async () => {
  for (const code of [0, 1, 2, 7, 8, 11]) {
    await using server = await serveFrames(good, (write, stream) => {
      write(frame(0x1, endHeaders, stream, status200));
      write(frame(0x0, 0, stream, Buffer.from("some")));
      setTimeout(() => write(frame(0x3, 0, stream, uint32(code))), 20);
    });
    const connection = await dial(server.port);
    const answer = await get(connection);
    const failure = await rejects(
      () => soon(textOf(answer)),
      code === 7 ? "E_API_UNREACHABLE" : "E_API_ANSWER",
    );
    assert.ok(failure instanceof ApiFailure && failure.isTransient);
    connection.close();
  }
});

for (const how of ["end", "reset"] as const) {
  test(`a connection that is cut (${how}) fails every open answer, and retires`, async () => {
    await using server = await serveHttp2(good, (stream, headers) => {
      if (headers[":path"] !== "/silent") {
        stream.respond({ ":status": 200 });
        stream.write("{}\n");
      }
    });
    await using relay = await relayTo(server.port);
    const connection = await dial(relay.port);
    const watch = await get(connection);
    const unanswered = rejects(() => get(connection, "/silent"), "E_API_UNREACHABLE");
    const iterator = watch.body[Symbol.asyncIterator]();
    await iterator.next();
    relay.cut(how);
    await rejects(() => soon(iterator.next()), "E_API_UNREACHABLE");
    await soon(unanswered);
    await soon(connection.retired);
    await rejects(() => get(connection), "E_API_UNREACHABLE");
  });
}

test.run();
