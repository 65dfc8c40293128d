import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { suite } from "uvu";
import { probe } from "../../src/kube/probe.ts";
import { describeOutcome } from "../../src/model/describe-outcome.ts";
import type { Endpoint, FindingKind } from "../../src/model/probe.ts";
import { parseServer } from "../../src/model/server-url.ts";
import { type Identity, inDays, makeCertificate } from "./certificates.ts";
import { answer, listen } from "./servers.ts";

const test = suite("kube/probe");

const ca = makeCertificate({ name: "kubernetes", ca: true });
const otherCa = makeCertificate({ name: "kubernetes", ca: true });
const sans = ["127.0.0.1", "kubernetes.default.svc"];
const good = makeCertificate({ name: "kube-apiserver", issuer: ca, sans });
const middle = makeCertificate({ name: "intermediate", issuer: ca, ca: true });
const anyUse = makeCertificate({ name: "leaf", issuer: ca, sans, anyUse: true });
const client = makeCertificate({ name: "system:node:n1", issuer: ca, usage: "client" });

/** As kube-apiserver 1.37 writes it. Source: k8s.io/apiserver v0.37.2 `healthz.go: handleRootHealth`. */
const noEtcd = `[+]ping ok
[+]log ok
[-]etcd failed: reason withheld
[-]etcd-readiness failed: reason withheld
[+]poststarthook/start-apiserver-admission-initializer ok
readyz check failed
`;
const otherFailure = noEtcd
  .replaceAll("[-]etcd", "[+]etcd")
  .replace("[+]poststart", "[-]poststart");

function endpoint(port: number, more: Partial<Endpoint> = {}): Endpoint {
  const server = parseServer(`https://127.0.0.1:${port}`);
  assert.ok(!("problem" in server));
  return { ...server, origin: "own", own: true, serverNames: ["127.0.0.1"], ...more };
}

function run(endpoints: readonly Endpoint[], more: Partial<Parameters<typeof probe>[0]> = {}) {
  return probe({
    endpoints,
    caPem: ca.certPem,
    clientCert: undefined,
    nodeAddresses: [],
    deadlineMs: 400,
    networkMs: 0,
    observeNetwork: () => ({ addresses: ["192.0.2.7"], hasRouteTo: () => true }),
    log: () => undefined,
    ...more,
  });
}

interface Case {
  readonly name: string;
  readonly identity?: Identity;
  readonly chain?: string;
  readonly serve?: Parameters<typeof listen>[1];
  readonly kind: FindingKind;
  readonly verdict: "warm" | "cold";
  readonly says?: RegExp;
  readonly quick?: boolean;
  readonly deadlineMs?: number;
}

const signed = (wish: Partial<Parameters<typeof makeCertificate>[0]>) =>
  makeCertificate({ name: "kube-apiserver", issuer: ca, sans, ...wish });
const early = { from: inDays(300), to: inDays(700) };
const late = { from: inDays(-700), to: inDays(-300) };

const statuses: readonly Case[] = [200, 201, 302, 400, 401, 403, 404, 426, 429, 500, 503].map(
  (status) => ({
    name: `a verified ${status} is warm at once`,
    identity: good,
    serve: answer(status, "something"),
    kind: "answered",
    verdict: "warm",
    says: new RegExp(`HTTP ${status}`),
    quick: true,
  }),
);

const cases: readonly Case[] = [
  ...statuses,
  {
    name: "an apiserver that has no etcd is cold, after the deadline",
    identity: good,
    serve: answer(500, noEtcd),
    kind: "no-store",
    verdict: "cold",
    says: /etcd check fails/,
  },
  {
    name: "an apiserver that has no etcd and answers in chunks is cold",
    identity: good,
    serve: (socket) => {
      const chunks = noEtcd.match(/[\s\S]{1,37}/g) ?? [];
      const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
      socket.end(`HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n${body}0\r\n\r\n`);
    },
    kind: "no-store",
    verdict: "cold",
  },
  {
    name: "an apiserver that has etcd and fails another check is warm",
    identity: good,
    serve: answer(500, otherFailure),
    kind: "answered",
    verdict: "warm",
    quick: true,
  },
  {
    name: "a 403 whose body speaks of etcd is warm",
    identity: good,
    serve: answer(403, noEtcd),
    kind: "answered",
    verdict: "warm",
    quick: true,
  },
  {
    name: "a certificate of another CA is not trusted",
    identity: signed({ issuer: otherCa }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
    says: /another CA/,
  },
  {
    name: "a self-signed certificate is not trusted, and told apart",
    identity: makeCertificate({ name: "self", sans }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
    says: /self-signed/,
  },
  {
    name: "a certificate for another host is not trusted, and told apart",
    identity: signed({ sans: ["192.0.2.1", "other.example"] }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
    says: /host name mismatch.*192\.0\.2\.1/,
  },
  {
    name: "a client's certificate is not trusted as a server's",
    identity: signed({ usage: "client" }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
  },
  {
    name: "an expired certificate of the cluster is cold, with its dates",
    identity: signed(late),
    serve: answer(200),
    kind: "expired",
    verdict: "cold",
    says: new RegExp(`expired.*${late.to.toISOString().slice(0, 10)}`),
  },
  {
    name: "an expired certificate of another CA is not trusted",
    identity: signed({ ...late, issuer: otherCa }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
  },
  {
    name: "a certificate of the cluster that is not valid yet is warm at once",
    identity: signed(early),
    serve: answer(200),
    kind: "not-yet-valid",
    verdict: "warm",
    says: new RegExp(`not valid yet.*${early.from.toISOString().slice(0, 10)}.*clock`),
    quick: true,
  },
  {
    name: "a certificate of another CA that is not valid yet is not trusted",
    identity: signed({ ...early, issuer: otherCa }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
  },
  {
    name: "a self-signed certificate that is not valid yet is not trusted",
    identity: makeCertificate({ name: "kubernetes", sans, ...early }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
  },
  {
    name: "a certificate for another host that is not valid yet is not trusted",
    identity: signed({ ...early, sans: ["other.example"] }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
    says: /host name mismatch/,
  },
  {
    name: "a client's certificate that is not valid yet is not trusted",
    identity: signed({ ...early, usage: "client" }),
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
  },
  {
    name: "a certificate signed by a leaf and not valid yet is not trusted",
    identity: signed({ ...early, issuer: good }),
    chain: good.certPem,
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
  },
  {
    name: "a certificate signed by a leaf of any use and not valid yet is not trusted",
    identity: signed({ ...early, issuer: anyUse }),
    chain: anyUse.certPem,
    serve: answer(200),
    kind: "untrusted",
    verdict: "cold",
  },
  {
    name: "a certificate below an intermediate is trusted",
    identity: signed({ issuer: middle }),
    chain: middle.certPem,
    serve: answer(401),
    kind: "answered",
    verdict: "warm",
    quick: true,
  },
  {
    name: "a certificate below an intermediate that is not valid yet is warm",
    identity: signed({ ...early, issuer: middle }),
    chain: middle.certPem,
    serve: answer(200),
    kind: "not-yet-valid",
    verdict: "warm",
    quick: true,
  },
  {
    name: "a socket that accepts and never speaks is half open",
    serve: () => undefined,
    kind: "half-open",
    verdict: "cold",
    says: /TLS never answers/,
  },
  {
    name: "a socket that speaks half a TLS record is half open",
    serve: (socket) => socket.write(Buffer.from("16030300ff02", "hex")),
    kind: "half-open",
    verdict: "cold",
    says: /TLS never answers/,
  },
  {
    name: "a server that never answers HTTP is half open",
    identity: good,
    serve: () => undefined,
    kind: "half-open",
    verdict: "cold",
    says: /HTTP never answers/,
  },
  {
    name: "a server that sends half a status line is half open",
    identity: good,
    serve: (socket) => socket.write("HTTP/1.1 20"),
    kind: "half-open",
    verdict: "cold",
  },
  {
    name: "a connection that is reset is told apart",
    serve: (socket) => socket.resetAndDestroy(),
    kind: "reset",
    verdict: "cold",
    says: /connection broken/,
  },
  {
    name: "a connection that is closed after TLS is told apart",
    identity: good,
    serve: (socket) => socket.end(),
    kind: "reset",
    verdict: "cold",
  },
  {
    name: "plain HTTP is no TLS",
    serve: (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    kind: "not-tls",
    verdict: "cold",
    says: /no usable TLS/,
  },
  {
    name: "garbage is no TLS",
    serve: (socket) => socket.end(Buffer.alloc(4096, 0xa5)),
    kind: "not-tls",
    verdict: "cold",
  },
  {
    name: "garbage inside verified TLS is no HTTP",
    identity: good,
    serve: (socket) => socket.end(Buffer.alloc(4096, 0xa5)),
    kind: "not-http",
    verdict: "cold",
    says: /does not speak HTTP/,
  },
  {
    name: "a 500 whose body drips for ever is warm",
    identity: good,
    serve: (socket) => {
      socket.write("HTTP/1.1 500 Oh\r\nContent-Length: 9000\r\n\r\n");
      const timer = setInterval(() => socket.write("."), 20);
      socket.on("close", () => clearInterval(timer));
    },
    kind: "answered",
    verdict: "warm",
    deadlineMs: 1_500,
  },
  {
    name: "a 500 with huge headers is warm",
    identity: good,
    serve: answer(500, "", `X-Filler: ${"x".repeat(200_000)}\r\n`),
    kind: "answered",
    verdict: "warm",
    quick: true,
  },
  {
    name: "a 401 with a huge body is warm",
    identity: good,
    serve: answer(401, "y".repeat(300_000)),
    kind: "answered",
    verdict: "warm",
    quick: true,
  },
];

for (const { name, identity, chain, serve, kind, verdict, says, quick, ...more } of cases) {
  test(name, async () => {
    const deadlineMs = quick === true ? 5_000 : (more.deadlineMs ?? 400);
    await using server = await listen(identity, serve ?? (() => undefined), { chain });
    const result = await run([endpoint(server.port)], { deadlineMs });
    const [outcome] = result.outcomes;
    assert.ok(outcome !== undefined);
    const line = describeOutcome(outcome);
    assert.equal(outcome.kind, kind, line);
    assert.equal(result.verdict, verdict);
    assert.match(line, says ?? /./);
    assert.ok(!line.includes("something") && !line.includes("yyy"), "a body must not be shown");
    if (quick === true) {
      assert.ok(result.waitedMs < 1_000, `waited ${result.waitedMs} ms`);
    } else if (verdict === "cold") {
      assert.ok(result.waitedMs >= deadlineMs, `waited only ${result.waitedMs} ms`);
    }
    assert.ok(result.waitedMs < 2_000, `waited ${result.waitedMs} ms`);
    assert.equal(result.clockSuspect !== undefined, kind === "not-yet-valid");
  });
}

test("refused everywhere is cold at once", async () => {
  await using one = await listen(undefined, () => undefined);
  const { port } = one;
  await one[Symbol.asyncDispose]();
  const result = await run([endpoint(port), endpoint(port, { own: false, origin: "config" })], {
    deadlineMs: 5_000,
  });
  assert.deepEqual(
    result.outcomes.map(({ kind }) => kind),
    ["refused", "refused"],
  );
  assert.equal(result.verdict, "cold");
  assert.ok(result.waitedMs < 500);
});

test("an answer wins over endpoints that are silent", async () => {
  await using silent = await listen(undefined, () => undefined);
  await using up = await listen(good, answer(401));
  const result = await run([endpoint(silent.port), endpoint(up.port)], { deadlineMs: 5_000 });
  assert.equal(result.verdict, "warm");
  assert.ok(result.waitedMs < 1_000);
});

test("an apiserver that comes up before the deadline is warm", async () => {
  const reserved = await listen(undefined, () => undefined);
  const { port } = reserved;
  await reserved[Symbol.asyncDispose]();
  await using silent = await listen(undefined, () => undefined);
  const { promise, resolve } = Promise.withResolvers<void>();
  const server = createTlsServer({ cert: good.certPem, key: good.keyPem }, (socket) => {
    answer(200)(socket);
    resolve();
  });
  setTimeout(() => server.listen(port, "127.0.0.1"), 600);
  const result = await run([endpoint(silent.port), endpoint(port)], { deadlineMs: 4_000 });
  await promise;
  server.close();
  assert.equal(result.verdict, "warm");
  assert.ok(result.waitedMs > 500);
});

test("an apiserver that gets its etcd before the deadline is warm", async () => {
  let asked = 0;
  await using server = await listen(good, (socket) => {
    asked += 1;
    (asked < 3 ? answer(500, noEtcd) : answer(200, "ok"))(socket);
  });
  const result = await run([endpoint(server.port)], { deadlineMs: 4_000 });
  assert.equal(result.verdict, "warm");
  assert.equal(asked, 3);
});

test("the path, the host and the client's certificate are sent", async () => {
  await using server = await listen(good, answer(200));
  const prefixed = endpoint(server.port, { prefix: "/k8s/c-1" });
  const { certPem, keyPem } = client;
  const result = await run([prefixed], { clientCert: { certPem, keyPem } });
  assert.equal(result.verdict, "warm");
  assert.match(server.received[0] ?? "", /^GET \/k8s\/c-1\/readyz HTTP\/1\.1\r\n/);
  assert.match(server.received[0] ?? "", new RegExp(`Host: 127.0.0.1:${server.port}\r\n`));
});

test("a client certificate that cannot be used does not matter", async () => {
  await using server = await listen(good, answer(401));
  const clientCert = { certPem: "nonsense", keyPem: "nonsense" };
  const result = await run([endpoint(server.port)], { clientCert });
  assert.equal(result.verdict, "warm");
});

test("a certificate may carry any of the names", async () => {
  const service = signed({ sans: ["kubernetes.default.svc"] });
  await using server = await listen(service, answer(200));
  const serverNames = ["127.0.0.1", "kubernetes.default.svc"];
  assert.equal((await run([endpoint(server.port, { serverNames })])).verdict, "warm");
});

const caCases = [
  { name: "without a CA nothing is trusted", caPem: undefined },
  { name: "with a CA that does not parse nothing is trusted", caPem: "nonsense" },
  { name: "with an empty CA nothing is trusted", caPem: "" },
  {
    name: "with a CA that is torn nothing is trusted",
    caPem: ca.certPem.replace(/\n.{64}\n/, "\n"),
  },
];
for (const { name, caPem } of caCases) {
  test(name, async () => {
    await using server = await listen(good, answer(200));
    const result = await run([endpoint(server.port)], { caPem });
    assert.equal(result.outcomes[0]?.kind, "untrusted");
    assert.equal(result.verdict, "cold");
  });
}

test("a bundle of CAs trusts each of them, whatever does not parse among them", async () => {
  await using server = await listen(good, answer(200));
  const caPem = `${otherCa.certPem.replace(/\n.{64}\n/, "\n")}${otherCa.certPem}# a comment\n${ca.certPem}`;
  assert.equal((await run([endpoint(server.port)], { caPem })).verdict, "warm");
});

test("a name that does not resolve is told apart", async () => {
  const unresolved = endpoint(6443, { host: "nowhere.invalid", own: false, origin: "kubeconfig" });
  const result = await run([unresolved]);
  assert.equal(result.outcomes[0]?.kind, "dns");
  assert.equal(result.verdict, "cold");
});

test("a name of this machine needs no network", async () => {
  await using server = await listen(undefined, () => undefined);
  const { port } = server;
  await server[Symbol.asyncDispose]();
  const named = endpoint(port, { host: "localhost", own: false, origin: "kubeconfig" });
  const observeNetwork = () => ({ addresses: [], hasRouteTo: () => false });
  const result = await run([named], { networkMs: 5_000, observeNetwork });
  assert.equal(result.verdict, "cold");
  assert.ok(result.waitedMs < 1_000, `waited ${result.waitedMs} ms`);
});

test("a full queue of connections is a timeout", async () => {
  // A server that is stopped accepts nothing; its short queue is filled, so that no SYN is answered.
  const script = `const s = require("node:net").createServer();
    s.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      console.log(s.address().port);
      process.kill(process.pid, "SIGSTOP");
    });`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  const port = Number(String(line));
  const fillers = Array.from({ length: 4 }, () => connect(port, "127.0.0.1"));
  for (const filler of fillers) {
    filler.on("error", () => undefined);
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  try {
    const result = await run([endpoint(port)]);
    assert.equal(result.outcomes[0]?.kind, "timeout");
    assert.equal(result.verdict, "cold");
  } finally {
    for (const filler of fillers) {
      filler.destroy();
    }
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

test("an address without a route is unreachable", async () => {
  // Class E: the kernel has no way to it.
  const lost = endpoint(6443, { host: "255.255.255.255", own: false, origin: "config" });
  const result = await run([lost], {
    observeNetwork: () => ({ addresses: ["192.0.2.7"], hasRouteTo: () => false }),
    networkMs: 300,
  });
  assert.equal(result.outcomes[0]?.kind, "unreachable");
  assert.match(result.reason, /no route/);
});

test("after the verdict no timer and no socket is left", async () => {
  await using silent = await listen(undefined, () => undefined);
  await using drip = await listen(good, (socket) => {
    socket.write("HTTP/1.1 500 Oh\r\n\r\n");
  });
  const child = spawn(process.execPath, [new URL("./probe-child.ts", import.meta.url).pathname], {
    env: { PORTS: `${silent.port} ${drip.port}`, CA: ca.certPem },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const chunks: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk.toString()));
  const [status] = await once(child, "exit");
  const { resources, lingeredMs } = JSON.parse(chunks.join(""));
  assert.equal(status, 0);
  assert.deepEqual(resources, []);
  assert.ok(lingeredMs < 100, `the process lived ${lingeredMs} ms after the verdict`);
});

test("nothing known is cold at once", async () => {
  const result = await run([]);
  assert.equal(result.verdict, "cold");
  assert.match(result.reason, /known/);
});

const far = (more: Partial<Endpoint> = {}): Endpoint =>
  endpoint(6443, { host: "192.0.2.1", own: false, origin: "kubeconfig", ...more });

test("without an address the network is waited for, then it is cold and said so", async () => {
  const lines: string[] = [];
  const result = await run([far({ host: "nowhere.invalid" })], {
    networkMs: 600,
    deadlineMs: 300,
    observeNetwork: () => ({ addresses: [], hasRouteTo: () => false }),
    log: (line) => lines.push(line),
  });
  assert.equal(result.verdict, "cold");
  assert.match(result.reason, /no network address/);
  assert.ok(result.waitedMs >= 600 && result.waitedMs < 1_200, `waited ${result.waitedMs} ms`);
  assert.equal(lines.length, 1);
});

test("the deadline starts only when the network is up", async () => {
  const started = performance.now();
  const isUp = () => performance.now() - started > 800;
  const result = await run([far({ host: "nowhere.invalid" })], {
    networkMs: 5_000,
    deadlineMs: 500,
    observeNetwork: () => ({ addresses: isUp() ? ["192.0.2.7"] : [], hasRouteTo: () => true }),
  });
  assert.equal(result.verdict, "cold");
  assert.ok(result.waitedMs >= 1_300 && result.waitedMs < 2_000, `waited ${result.waitedMs} ms`);
});

test("own endpoints alone wait for no network", async () => {
  await using server = await listen(undefined, () => undefined);
  const { port } = server;
  await server[Symbol.asyncDispose]();
  const observeNetwork = () => {
    throw new Error("the network was looked at");
  };
  const result = await run([endpoint(port)], { networkMs: 5_000, observeNetwork });
  assert.equal(result.verdict, "cold");
  assert.ok(result.waitedMs < 500);
});

test.run();
