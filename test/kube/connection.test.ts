import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { setTimeout as after } from "node:timers/promises";
import { suite } from "uvu";
import type { FailureCode } from "../../src/errors.ts";
import type { ApiAnswer, Connection } from "../../src/kube/api.ts";
import { ApiFailure } from "../../src/kube/api-failure.ts";
import { connectionLimits, type DialTarget, dialHttp2 } from "../../src/kube/connection.ts";
import type { ConnectionLimits } from "../../src/kube/http2-session.ts";
import { rejects } from "../rejects.ts";
import { type Identity, inDays, makeCertificate } from "./certificates.ts";
import { frame, relayTo, serveFrames, serveHttp2 } from "./http2-servers.ts";
import { answer, listen } from "./servers.ts";

const test = suite("kube/connection");

const ca = makeCertificate({ name: "kubernetes", ca: true });
const good = makeCertificate({ name: "kube-apiserver", issuer: ca, sans: ["127.0.0.1"] });
const client = makeCertificate({ name: "system:node:n1", issuer: ca, usage: "client" });
const never = new AbortController().signal;

function dial(
  port: number,
  more: Partial<DialTarget> = {},
  limits: Partial<ConnectionLimits> = {},
  signal = never,
): Promise<Connection> {
  const target = {
    server: `https://127.0.0.1:${port}`,
    tlsServerName: undefined,
    caPem: ca.certPem,
    clientCert: undefined,
    authorization: undefined,
    ...more,
  };
  return dialHttp2(target, signal, { ...connectionLimits, ...limits });
}

/** A connection that a test closes whatever happens. */
async function opened(...args: Parameters<typeof dial>): Promise<Connection & Disposable> {
  const connection = await dial(...args);
  return Object.assign(connection, { [Symbol.dispose]: () => connection.close() });
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
  using connection = await opened(server.port, {
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
    using connection = await opened(server.port);
    const answer = await get(connection);
    const failure = await rejects(
      () => soon(textOf(answer)),
      code === 7 ? "E_API_UNREACHABLE" : "E_API_ANSWER",
    );
    assert.ok(failure instanceof ApiFailure && failure.isTransient);
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
    using connection = await opened(relay.port);
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

const wish = { name: "kube-apiserver", issuer: ca, sans: ["127.0.0.1", "kubernetes"] };
const verification: readonly {
  name: string;
  identity: Identity;
  more?: Partial<DialTarget>;
  code: FailureCode | undefined;
  says?: RegExp;
}[] = [
  { name: "of the kubeconfig's CA", identity: good, code: undefined },
  {
    name: "of another CA of the same name",
    identity: makeCertificate({
      ...wish,
      issuer: makeCertificate({ name: "kubernetes", ca: true }),
    }),
    code: "E_API_TLS",
    says: /another CA/,
  },
  {
    name: "signed by itself",
    identity: makeCertificate({ name: "kubernetes", sans: ["127.0.0.1"] }),
    code: "E_API_TLS",
    says: /self-signed/,
  },
  {
    name: "for another address",
    identity: makeCertificate({ ...wish, sans: ["127.0.0.2"] }),
    code: "E_API_TLS",
    says: /host name mismatch/,
  },
  {
    name: "for the kubeconfig's tls-server-name",
    identity: makeCertificate({ ...wish, sans: ["kubernetes"] }),
    more: { tlsServerName: "kubernetes" },
    code: undefined,
  },
  {
    name: "for the address, but not for the kubeconfig's tls-server-name",
    identity: good,
    more: { tlsServerName: "kubernetes" },
    code: "E_API_TLS",
    says: /host name mismatch/,
  },
  {
    name: "that has expired",
    identity: makeCertificate({ ...wish, from: inDays(-9), to: inDays(-2) }),
    code: "E_TLS_TIME",
    says: /certificate .*is valid from \d{4}-\S+Z to \d{4}-\S+Z, the clock says \d{4}-/,
  },
  {
    name: "that is not valid yet",
    identity: makeCertificate({ ...wish, from: inDays(2), to: inDays(9) }),
    code: "E_TLS_TIME",
    says: /certificate .*is valid from \d{4}-\S+Z to \d{4}-\S+Z, the clock says \d{4}-/,
  },
  {
    name: "for clients",
    identity: makeCertificate({ ...wish, usage: "client" }),
    code: "E_API_TLS",
  },
  {
    name: "of a CA that this machine trusts, while the kubeconfig names none",
    identity: good,
    more: { caPem: undefined },
    code: "E_API_TLS",
    says: /another CA/,
  },
];
for (const { name, identity, more, code, says } of verification) {
  test(`a certificate ${name} is ${code ?? "trusted"}`, async () => {
    await using server = await serveHttp2(identity, (stream) => stream.respond({}));
    if (code === undefined) {
      using connection = await opened(server.port, more);
      assert.ok(connection.streamLimit >= 1);
      return;
    }
    const failure = await rejects(() => soon(dial(server.port, more)), code);
    assert.equal(failure.exit, 69);
    assert.equal(failure.text.where, `https://127.0.0.1:${server.port}`);
    assert.match(failure.message, says ?? /./);
    assert.deepEqual(server.requests, []);
  });
}

test("a CA that is no root is trusted for what it has signed, as kubectl does", async () => {
  const middle = makeCertificate({ name: "middle", issuer: ca, ca: true });
  const leaf = makeCertificate({ ...wish, issuer: middle });
  await using server = await serveHttp2(leaf, (stream) => stream.respond({}));
  using _ = await opened(server.port, { caPem: middle.certPem });
});

test("a server that wants a client certificate and gets none is E_API_TLS", async () => {
  await using server = await serveHttp2(good, (stream) => stream.respond({}), {
    rejectUnauthorized: true,
  });
  const failure = await rejects(() => soon(dial(server.port)), "E_API_TLS");
  assert.match(failure.message, /refuses us without a client certificate/);
});

test("a client certificate without its own key is E_KUBECONFIG", async () => {
  const clientCert = { certPem: client.certPem, keyPem: good.keyPem };
  await rejects(() => dial(1, { clientCert }), "E_KUBECONFIG");
  await rejects(() => dial(1, { caPem: "nothing" }), "E_KUBECONFIG");
});

const garbage = "SSH-2.0-SECRETMARKER\r\n".repeat(20);
const strangers: readonly {
  name: string;
  serve: () => Promise<AsyncDisposable & { readonly port: number }>;
  code: FailureCode;
  says: RegExp;
}[] = [
  {
    name: "speaks HTTP/1.1 only",
    serve: () => listen(good, answer(200), { ALPNProtocols: ["http/1.1"] }),
    code: "E_API_ANSWER",
    says: /HTTP\/1\.1 only/,
  },
  {
    name: "speaks TLS and names no protocol",
    serve: () => listen(good, answer(200)),
    code: "E_API_ANSWER",
    says: /HTTP\/1\.1 only/,
  },
  {
    name: "shares no protocol with us",
    serve: () => listen(good, answer(200), { ALPNProtocols: ["spdy/3"] }),
    code: "E_API_ANSWER",
    says: /HTTP\/2/,
  },
  {
    name: "sends garbage in place of TLS",
    serve: () => listen(undefined, (socket) => socket.end(garbage)),
    code: "E_API_TLS",
    says: /TLS/,
  },
  {
    name: "sends garbage in place of HTTP/2",
    serve: () => listen(good, (socket) => socket.write(garbage), { ALPNProtocols: ["h2"] }),
    code: "E_API_ANSWER",
    says: /HTTP\/2/,
  },
  {
    name: "closes at once",
    serve: () => listen(undefined, (socket) => socket.end()),
    code: "E_API_UNREACHABLE",
    says: /broken/,
  },
  {
    name: "closes in place of HTTP/2",
    serve: () => listen(good, (socket) => socket.destroy(), { ALPNProtocols: ["h2"] }),
    code: "E_API_UNREACHABLE",
    says: /broken/,
  },
  {
    name: "accepts and is silent",
    serve: () => listen(undefined, () => undefined),
    code: "E_API_UNREACHABLE",
    says: /TLS never answers/,
  },
  {
    name: "speaks TLS and is silent then",
    serve: () => listen(good, () => undefined, { ALPNProtocols: ["h2"] }),
    code: "E_API_UNREACHABLE",
    says: /HTTP never answers/,
  },
];
for (const { name, serve, code, says } of strangers) {
  test(`a server that ${name} is ${code}, within the deadline`, async () => {
    await using server = await serve();
    const failure = await rejects(
      () => soon(dial(server.port, {}, { connectMs: 300 }), 1_500),
      code,
    );
    assert.match(failure.message, says);
    assert.equal(failure.text.where, `https://127.0.0.1:${server.port}`);
    assert.ok(!failure.message.includes("SECRETMARKER"));
  });
}

test("nobody there is E_API_UNREACHABLE", async () => {
  const port = await listen(undefined, () => undefined).then(async (server) => {
    await server[Symbol.asyncDispose]();
    return server.port;
  });
  const failure = await rejects(() => soon(dial(port)), "E_API_UNREACHABLE");
  assert.match(failure.message, /refused/);
  const unknown = dial(1, { server: "https://nowhere.invalid:1" });
  await rejects(() => soon(unknown, 5_000), "E_API_UNREACHABLE");
});

test("a dial that is called off rejects with the signal's reason and leaves nothing open", async () => {
  await using server = await listen(undefined, () => undefined);
  const off = new AbortController();
  const reason = new Error("called off");
  setTimeout(() => off.abort(reason), 50);
  await assert.rejects(soon(dial(server.port, {}, {}, off.signal)), reason);
  await assert.rejects(soon(dial(server.port, {}, {}, off.signal)), reason);
});

test("a large answer comes whole, and no more of it than a window is on its way before it is read", async () => {
  const size = 5_000_000;
  let written = 0;
  await using server = await serveHttp2(good, (stream) => {
    stream.respond({ ":status": 200 });
    const more = (): void => {
      while (written < size) {
        written += 10_000;
        if (!stream.write("x".repeat(10_000))) {
          stream.once("drain", more);
          return;
        }
      }
      stream.end();
    };
    more();
  });
  using connection = await opened(server.port);
  const { body } = await get(connection);
  await after(200);
  assert.ok(written < 1_000_000, `${written}`);
  let received = 0;
  for await (const chunk of body) {
    received += chunk.length;
  }
  assert.equal(received, size);
});

test("one answer that nobody reads does not hold up the others", async () => {
  await using server = await serveHttp2(good, (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("x".repeat(600_000));
  });
  using connection = await opened(server.port);
  const unread = await Promise.all([1, 2, 3, 4, 5, 6].map(() => get(connection)));
  assert.equal((await soon(textOf(await get(connection)))).length, 600_000);
  for (const late of unread) {
    assert.equal((await soon(textOf(late))).length, 600_000);
  }
});

test("an answer that drips comes whole", async () => {
  await using server = await serveHttp2(good, async (stream) => {
    stream.respond({ ":status": 200 });
    for (const letter of "drips") {
      stream.write(letter);
      await after(20);
    }
    stream.end();
  });
  using connection = await opened(server.port, {}, { headMs: 50, silentMs: 30, pingMs: 500 });
  assert.equal(await textOf(await get(connection)), "drips");
});

for (const length of [3, 5]) {
  test(`an answer of 4 bytes that promised ${length} is E_API_ANSWER`, async () => {
    // `content-length` is 28 in HPACK's static table: literal, name by index (15 + 13).
    const head = Buffer.concat([status200, Buffer.from([0x0f, 13, 1]), Buffer.from(`${length}`)]);
    await using server = await serveFrames(good, (write, stream) => {
      write(frame(0x1, endHeaders, stream, head));
      setTimeout(() => write(frame(0x0, 0x1, stream, Buffer.from("some"))), 20);
    });
    using connection = await opened(server.port);
    await rejects(async () => soon(textOf(await get(connection))), "E_API_ANSWER");
  });
}

test("a request that is called off is cancelled at the server too", async () => {
  await using server = await serveHttp2(good, (stream, headers) => {
    if (headers[":path"] !== "/silent") {
      stream.respond({ ":status": 200 });
      stream.write("some");
    }
  });
  using connection = await opened(server.port);
  const reason = new Error("called off");
  const before = new AbortController();
  setTimeout(() => before.abort(reason), 50);
  await assert.rejects(soon(get(connection, "/silent", before.signal)), reason);
  await assert.rejects(soon(get(connection, "/silent", before.signal)), reason);

  const within = new AbortController();
  const answer = await get(connection, "/", within.signal);
  setTimeout(() => within.abort(reason), 50);
  await assert.rejects(soon(textOf(answer)), reason);

  const unread = new AbortController();
  const later = await get(connection, "/", unread.signal);
  unread.abort(reason);
  await after(50);
  await assert.rejects(soon(textOf(later)), reason);

  for await (const _ of (await get(connection)).body) {
    break;
  }
  await after(50);
  assert.deepEqual(server.codes, [8, 8, 8, 8]);
});

test("no answer within its time is E_API_UNREACHABLE and cancels the request", async () => {
  await using server = await serveHttp2(good, () => undefined);
  using connection = await opened(server.port, {}, { headMs: 60 });
  await rejects(() => soon(get(connection)), "E_API_UNREACHABLE");
  await after(50);
  assert.deepEqual(server.codes, [8]);
});

test("after GOAWAY open answers go on, nothing new is sent, and the connection ends with the last", async () => {
  let finish = (): void => undefined;
  await using server = await serveHttp2(good, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("begin ");
    finish = () => void stream.end("end");
  });
  using connection = await opened(server.port);
  const watch = await get(connection);
  let isRetired = false;
  void connection.retired.then(() => {
    isRetired = true;
  });
  await after(20);
  assert.equal(isRetired, false);
  server.sessions[0]?.goaway(0);
  await soon(connection.retired);
  await rejects(() => get(connection), "E_API_UNREACHABLE");
  assert.equal(server.requests.length, 1);
  const text = textOf(watch);
  setTimeout(finish, 50);
  assert.equal(await soon(text), "begin end");
  await after(50);
  assert.equal(server.sessions[0]?.destroyed, true);
});

test("GOAWAY with an error fails what is open", async () => {
  await using server = await serveHttp2(good, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("begin ");
  });
  using connection = await opened(server.port);
  const text = textOf(await get(connection));
  server.sessions[0]?.goaway(2);
  await rejects(() => soon(text), "E_API_UNREACHABLE");
  await soon(connection.retired);
});

test("a silent server is asked by PING, and kept while it answers", async () => {
  await using server = await serveHttp2(good, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("begin ");
    setTimeout(() => stream.end("end"), 400);
  });
  using connection = await opened(server.port, {}, { silentMs: 40, pingMs: 200 });
  let pings = 0;
  server.sessions[0]?.on("ping", () => {
    pings += 1;
  });
  assert.equal(await soon(textOf(await get(connection))), "begin end");
  assert.ok(pings >= 3, `${pings}`);
});

test("a server that has gone without a word fails every open answer after an unanswered PING", async () => {
  await using server = await serveHttp2(good, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("begin ");
  });
  await using relay = await relayTo(server.port);
  using connection = await opened(relay.port, {}, { silentMs: 60, pingMs: 100 });
  const text = textOf(await get(connection));
  relay.freeze();
  const failure = await rejects(() => soon(text), "E_API_UNREACHABLE");
  assert.match(failure.message, /PING/);
  await soon(connection.retired);
});

test("a server that sets no stream limit is asked for no more than a thousand", async () => {
  await using server = await serveFrames(good, () => undefined);
  using connection = await opened(server.port);
  assert.equal(connection.streamLimit, 1_000);
});

test("the stream limit is the server's, as it is now; a request beyond it waits", async () => {
  const waiting: ServerHttp2Stream[] = [];
  await using server = await serveHttp2(good, (stream) => waiting.push(stream), {
    settings: { maxConcurrentStreams: 2 },
  });
  using connection = await opened(server.port);
  assert.equal(connection.streamLimit, 2);
  const answers = [1, 2, 3].map(() => get(connection));
  await after(50);
  assert.equal(waiting.length, 2);
  waiting[0]?.respond({ ":status": 200 }, { endStream: true });
  assert.equal(await textOf(await soon(Promise.race(answers))), "");
  await after(50);
  assert.equal(waiting.length, 3);
  for (const stream of waiting.slice(1)) {
    stream.respond({ ":status": 204 }, { endStream: true });
  }
  await soon(Promise.all(answers));
  server.sessions[0]?.settings({ maxConcurrentStreams: 7 });
  await after(50);
  assert.equal(connection.streamLimit, 7);
  server.sessions[0]?.settings({ maxConcurrentStreams: 0 });
  await after(50);
  assert.equal(connection.streamLimit, 1);
});

const floods: readonly { name: string; headers: OutgoingHttpHeaders }[] = [
  { name: "one of a megabyte", headers: { big: "x".repeat(1_000_000) } },
  {
    name: "a thousand of them",
    headers: Object.fromEntries([...Array(1_000).keys()].map((at) => [`h${at}`, "x"])),
  },
];
for (const { name, headers } of floods) {
  test(`giant headers (${name}) are an error and not kept`, async () => {
    await using server = await serveHttp2(
      good,
      (stream, { ":path": path }) =>
        stream.respond(path === "/big" ? headers : { ":status": 200 }, { endStream: true }),
      { maxSendHeaderBlockLength: 4_000_000 },
    );
    using connection = await opened(server.port);
    const failure = await rejects(() => soon(get(connection, "/big")), "E_API_ANSWER");
    assert.ok(!failure.message.includes("xxx"));
  });
}

test("after close() nothing is left that keeps a process alive", async () => {
  await using server = await serveHttp2(good, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("begin ");
    // From then on Node itself would wait for the other side to close.
    server.sessions[0]?.goaway(0);
  });
  await using relay = await relayTo(server.port);
  const child = spawn(
    process.execPath,
    [new URL("connection-child.ts", import.meta.url).pathname],
    {
      env: { PORT: `${relay.port}`, CA: ca.certPem },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let told = "";
  child.stdout.on("data", (bytes: Buffer) => {
    told += bytes.toString();
    if (told === "open\n") {
      // What is still to be written can then never be.
      relay.freeze();
    }
  });
  await soon(once(child, "exit"), 5_000);
  assert.match(told, /^open\nended after \d+ ms\n$/);
  assert.ok(Number(/\d+/.exec(told)?.[0]) < 500, told);
});

test.run();
