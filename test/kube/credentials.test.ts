import assert from "node:assert/strict";
import { join } from "node:path";
import { suite } from "uvu";
import type { FailureCode } from "../../src/errors.ts";
import type { Connection } from "../../src/kube/api.ts";
import { type Credentials, readCredentials } from "../../src/kube/credentials.ts";
import { rejects } from "../rejects.ts";
import { inDays, makeCertificate } from "./certificates.ts";
import { credentialRoot, kubeconfigOf, setClock } from "./credential-root.ts";
import { type Http2TestServer, serveHttp2 } from "./http2-servers.ts";

const test = suite("kube/credentials");

const ca = makeCertificate({ name: "kubernetes", ca: true });
const good = makeCertificate({ name: "kube-apiserver", issuer: ca, sans: ["127.0.0.1"] });
const [one, two] = ["system:node:n1", "system:node:n2"].map((name) =>
  makeCertificate({ name, issuer: ca, usage: "client" }),
);
assert.ok(one !== undefined && two !== undefined);
const pemOf = ({ certPem, keyPem }: { certPem: string; keyPem: string }) => certPem + keyPem;
const never = new AbortController().signal;
const path = "/etc/kubernetes/kubelet.conf";
const current = "/var/lib/kubelet/pki/kubelet-client-current.pem";
const base64 = (text: string): string => Buffer.from(text).toString("base64");

const serve = (): Promise<Http2TestServer> =>
  serveHttp2(good, (stream) => stream.respond({ ":status": 200 }, { endStream: true }));

const clusterAt = (port: number): object => ({
  server: `https://127.0.0.1:${port}`,
  "certificate-authority": "pki/ca.crt",
});
const rotating = { "client-certificate": current, "client-key": current };

const whole: Readonly<Record<string, string>> = {
  [path]: kubeconfigOf(clusterAt(1), rotating),
  "/etc/kubernetes/pki/ca.crt": ca.certPem,
  [current]: pemOf(one),
};

/** Dials, asks once, and closes. */
async function askWith(credentials: Credentials): Promise<void> {
  const connection = await credentials.dial(never);
  await ask(connection);
  connection.close();
}

async function ask(connection: Connection): Promise<void> {
  const { body } = await connection.send({ method: "GET", path: "/" }, never);
  for await (const _ of body) {
    // An empty one.
  }
}

test("the kubelet's certificate is the one that its link leads to at each dial", async () => {
  await using server = await serve();
  using files = credentialRoot({
    [path]: kubeconfigOf(clusterAt(server.port), rotating),
    "/etc/kubernetes/pki/ca.crt": ca.certPem,
    "/var/lib/kubelet/pki/1.pem": pemOf(one),
    "/var/lib/kubelet/pki/2.pem": pemOf(two),
  });
  files.swap(current, "1.pem");
  const credentials = await readCredentials(files.root, path, setClock());
  assert.equal(credentials.nodeName, "n1");
  assert.equal(credentials.server, `https://127.0.0.1:${server.port}`);
  assert.equal(credentials.changed(), false);
  await askWith(credentials);
  assert.equal(credentials.changed(), false);

  files.swap(current, "2.pem");
  assert.equal(credentials.changed(), true);
  assert.equal(credentials.nodeName, "n1");
  await askWith(credentials);
  assert.equal(credentials.changed(), false);
  assert.equal(credentials.nodeName, "n2");
  assert.deepEqual(server.clients, ["system:node:n1", "system:node:n2"]);
});

test("a CA or a kubeconfig that is replaced counts as changed, the same bytes in another file too", async () => {
  using files = credentialRoot({
    [path]: kubeconfigOf(clusterAt(1), rotating),
    "/etc/kubernetes/pki/ca.crt": ca.certPem,
    [current]: pemOf(one),
  });
  const clock = setClock();
  for (const changed of ["/etc/kubernetes/pki/ca.crt", path, current]) {
    const credentials = await readCredentials(files.root, path, clock);
    assert.equal(credentials.changed(), false);
    files.remove(changed);
    assert.equal(credentials.changed(), true);
    const text = changed === path ? kubeconfigOf(clusterAt(1), rotating) : ca.certPem;
    files.write(changed, changed === current ? pemOf(one) : text);
    assert.equal(credentials.changed(), true);
  }
});

test("a file that the kubeconfig no longer names does not count", async () => {
  using files = credentialRoot(whole);
  const credentials = await readCredentials(files.root, path, setClock());
  files.write(path, kubeconfigOf(clusterAt(1), { token: "t-1" }));
  assert.equal(credentials.changed(), true);
  await rejects(() => credentials.dial(never), "E_API_UNREACHABLE");
  files.remove(current);
  assert.equal(credentials.changed(), false);
});

test("a certificate and a key that are just being replaced are read again a moment later", async () => {
  using files = credentialRoot({
    [path]: kubeconfigOf(clusterAt(1), {
      "client-certificate": "/pki/c.crt",
      "client-key": "/pki/c.key",
    }),
    "/etc/kubernetes/pki/ca.crt": ca.certPem,
    "/pki/c.crt": two.certPem,
    "/pki/c.key": one.keyPem,
  });
  const clock = setClock();
  clock.onSleep = () => files.write("/pki/c.key", two.keyPem);
  const credentials = await readCredentials(files.root, path, clock);
  assert.equal(credentials.nodeName, "n2");
  assert.equal(credentials.changed(), false);
  assert.deepEqual(clock.slept, [100]);

  files.write("/pki/c.crt", one.certPem);
  clock.onSleep = () => undefined;
  const failure = await rejects(() => readCredentials(files.root, path, clock), "E_KUBECONFIG");
  assert.match(failure.message, /not that of the certificate/);
});

test("all that is inline needs no other file", async () => {
  await using server = await serve();
  const cluster = {
    server: `https://127.0.0.1:${server.port}`,
    "certificate-authority-data": base64(ca.certPem),
  };
  const user = {
    "client-certificate-data": base64(one.certPem),
    "client-key-data": base64(one.keyPem),
    as: "jane",
  };
  using files = credentialRoot({ [path]: kubeconfigOf(cluster, user) });
  const credentials = await readCredentials(files.root, path, setClock());
  await askWith(credentials);
  assert.deepEqual(server.clients, ["system:node:n1"]);
  assert.equal(server.requests[0]?.["impersonate-user"], "jane");
  assert.equal(server.requests[0]?.authorization, undefined);
  const leftDays = ((credentials.expiresAt?.getTime() ?? 0) - Date.now()) / 86_400_000;
  assert.ok(leftDays > 364 && leftDays < 366);
});

test("a token file is read again after 10 s without a new connection, and wins over a token", async () => {
  await using server = await serve();
  using files = credentialRoot({
    [path]: kubeconfigOf(clusterAt(server.port), { token: "inline", tokenFile: "token" }),
    "/etc/kubernetes/pki/ca.crt": ca.certPem,
  });
  const start = Date.now();
  const clock = setClock(start);
  const credentials = await readCredentials(files.root, path, clock);
  assert.equal(credentials.nodeName, undefined);
  assert.equal(credentials.expiresAt, undefined);
  const connection = await credentials.dial(never);
  try {
    await ask(connection);
    files.write("/etc/kubernetes/token", "t-1\n");
    clock.set(start + 9_999);
    await ask(connection);
    clock.set(start + 10_000);
    await ask(connection);
    files.write("/etc/kubernetes/token", "t-2\n");
    assert.equal(credentials.changed(), false);
    await ask(connection);
    credentials.invalidate();
    await ask(connection);
    // What cannot be used does not take the place of what could.
    files.write("/etc/kubernetes/token", "SECRETMARKER\nx");
    credentials.invalidate();
    await ask(connection);
    files.remove("/etc/kubernetes/token");
    credentials.invalidate();
    await ask(connection);
    // A clock that was set back must not keep a token for ever.
    files.write("/etc/kubernetes/token", "t-3\n");
    clock.set(start - 1_000_000);
    await ask(connection);
  } finally {
    connection.close();
  }
  assert.deepEqual(
    server.requests.map(({ authorization }) => authorization),
    ["inline", "inline", "t-1", "t-1", "t-2", "t-2", "t-2", "t-3"].map(
      (token) => `Bearer ${token}`,
    ),
  );
});

const dead: readonly { name: string; from: Date; to: Date; says: RegExp }[] = [
  { name: "has expired", from: inDays(-9), to: inDays(-2), says: /renew/ },
  { name: "is not valid yet", from: inDays(2), to: inDays(9), says: /clock/ },
];
for (const { name, from, to, says } of dead) {
  test(`a client certificate that ${name} is E_TLS_TIME with its dates, before anybody is asked`, async () => {
    await using server = await serve();
    const outside = makeCertificate({
      name: "system:node:n1",
      issuer: ca,
      usage: "client",
      from,
      to,
    });
    const user = { ...rotating, token: undefined };
    using files = credentialRoot({
      [path]: kubeconfigOf(clusterAt(server.port), user),
      "/etc/kubernetes/pki/ca.crt": ca.certPem,
      [current]: pemOf(outside),
    });
    const credentials = await readCredentials(files.root, path, setClock());
    assert.equal(credentials.expiresAt?.getTime(), Math.floor(to.getTime() / 1_000) * 1_000);
    const failure = await rejects(() => credentials.dial(never), "E_TLS_TIME");
    assert.equal(failure.exit, 69);
    assert.equal(failure.text.where, current);
    assert.match(
      failure.text.found ?? "",
      /valid from \d{4}-.*Z to \d{4}-.*Z, the clock says \d{4}-/,
    );
    assert.match(failure.text.next ?? "", says);
    assert.deepEqual(server.clients, []);

    files.write(path, kubeconfigOf(clusterAt(server.port), { ...rotating, token: "t-1" }));
    await askWith(credentials);
    assert.equal(server.requests[0]?.authorization, "Bearer t-1");
  });
}

const withUser = (user: object) => kubeconfigOf(clusterAt(1), user);
const unusable: readonly { name: string; files: Record<string, string>; where: RegExp }[] = [
  { name: "no kubeconfig", files: { [path]: "" }, where: /current-context/ },
  { name: "torn YAML", files: { [path]: "users: [{token: SECRETMARKER" }, where: /kubelet\.conf/ },
  {
    name: "a CA without a certificate",
    files: { "/etc/kubernetes/pki/ca.crt": "SECRETMARKER" },
    where: /clusters\.cluster\.certificate-authority$/,
  },
  {
    name: "a client certificate that is none",
    files: { [current]: "SECRETMARKER" },
    where: /users\.user\.client-certificate/,
  },
  {
    name: "a certificate without its key",
    files: { [current]: one.certPem },
    where: /users\.user\.client-certificate and users\.user\.client-key/,
  },
  {
    name: "another's key",
    files: { [current]: one.certPem + two.keyPem },
    where: /client-certificate and users\.user\.client-key/,
  },
  {
    name: "inline data that does not fit",
    files: {
      [path]: withUser({
        "client-certificate-data": base64(one.certPem),
        "client-key-data": base64(two.keyPem),
      }),
    },
    where: /client-certificate-data and users\.user\.client-key-data/,
  },
  {
    name: "a password",
    files: { [path]: withUser({ username: "SECRETMARKER", password: "SECRETMARKER" }) },
    where: /username/,
  },
];
for (const { name, files: more, where } of unusable) {
  test(`${name} is E_KUBECONFIG that names file and field and quotes nothing`, async () => {
    using files = credentialRoot({ ...whole, ...more });
    const failure = await rejects(
      () => readCredentials(files.root, path, setClock()),
      "E_KUBECONFIG",
    );
    assert.equal(failure.exit, 78);
    assert.match(failure.text.where ?? "", where);
    assert.ok(!failure.message.includes("SECRETMARKER"));
  });
}

const missing: readonly { file: string; where: RegExp }[] = [
  { file: path, where: /the file/ },
  { file: "/etc/kubernetes/pki/ca.crt", where: /certificate-authority/ },
  { file: current, where: /client-certificate/ },
];
for (const { file, where } of missing) {
  test(`${file} missing is E_KUBECONFIG that names it; it is used once it is there`, async () => {
    using files = credentialRoot(whole);
    const credentials = await readCredentials(files.root, path, setClock());
    files.remove(file);
    for (const run of [
      () => readCredentials(files.root, path, setClock()),
      () => credentials.dial(never),
    ]) {
      const failure = await rejects(run, "E_KUBECONFIG");
      assert.match(failure.text.where ?? "", where);
      assert.ok(failure.text.found?.includes(file), failure.message);
    }
    assert.equal(credentials.changed(), false);
    files.write(file, whole[file] ?? "");
    assert.equal(credentials.changed(), true);
    await rejects(() => credentials.dial(never), "E_API_UNREACHABLE");
  });
}

test("a token file that never was is E_KUBECONFIG at the dial", async () => {
  using files = credentialRoot({ ...whole, [path]: withUser({ tokenFile: "token" }) });
  const credentials = await readCredentials(files.root, path, setClock());
  for (const text of [undefined, "", "SECRET MARKER\n\n2"]) {
    if (text !== undefined) {
      files.write("/etc/kubernetes/token", text);
    }
    const failure = await rejects(() => credentials.dial(never), "E_KUBECONFIG");
    assert.match(failure.text.where ?? "", /users\.user\.tokenFile/);
    assert.ok(!failure.message.includes("MARKER"));
  }
});

/** A plugin that prints what lies in /answer. */
function pluginAnswering(port: number, status: object) {
  const apiVersion = "client.authentication.k8s.io/v1";
  const exec = { apiVersion, command: "/bin/login", interactiveMode: "Never" };
  const files = credentialRoot({
    [path]: kubeconfigOf(clusterAt(port), { exec }),
    "/etc/kubernetes/pki/ca.crt": ca.certPem,
  });
  const answer = (status: object): void =>
    files.write("/answer", JSON.stringify({ apiVersion, kind: "ExecCredential", status }));
  answer(status);
  const text = `#!/bin/sh\necho x >> ${join(files.root, "runs")}\ncat ${join(files.root, "answer")}\n`;
  files.write("/bin/login", text, 0o700);
  return { files, answer, [Symbol.dispose]: () => files[Symbol.dispose]() };
}

test("a plugin's token is renewed without a new connection", async () => {
  await using server = await serve();
  using plugin = pluginAnswering(server.port, { token: "t-1" });
  const credentials = await readCredentials(plugin.files.root, path, setClock());
  const connection = await credentials.dial(never);
  await ask(connection);
  plugin.answer({ token: "t-2" });
  await ask(connection);
  credentials.invalidate();
  assert.equal(credentials.changed(), false);
  await ask(connection);
  connection.close();
  await askWith(credentials);
  assert.deepEqual(
    server.requests.map(({ authorization }) => authorization),
    ["t-1", "t-1", "t-2", "t-2"].map((token) => `Bearer ${token}`),
  );
});

test("a plugin's certificate is renewed with a new connection", async () => {
  await using server = await serve();
  const soon = new Date(Date.now() + 60_000).toISOString();
  const statusOf = ({ certPem, keyPem }: typeof one, expirationTimestamp: string) => ({
    clientCertificateData: certPem,
    clientKeyData: keyPem,
    expirationTimestamp,
  });
  using plugin = pluginAnswering(server.port, statusOf(one, soon));
  const clock = setClock();
  const credentials = await readCredentials(plugin.files.root, path, clock);
  assert.equal(credentials.changed(), false);
  await askWith(credentials);
  assert.equal(credentials.nodeName, "n1");
  assert.equal(credentials.changed(), false);
  clock.set(Date.now() + 61_000);
  assert.equal(credentials.changed(), true);
  plugin.answer(statusOf(two, inDays(1).toISOString()));
  await askWith(credentials);
  assert.equal(credentials.nodeName, "n2");
  assert.equal(credentials.changed(), false);
  assert.deepEqual(server.clients, ["system:node:n1", "system:node:n2"]);
});

test("a plugin that fails fails the dial", async () => {
  using plugin = pluginAnswering(1, {});
  const code: FailureCode = "E_EXEC_PLUGIN";
  const credentials = await readCredentials(plugin.files.root, path, setClock());
  await rejects(() => credentials.dial(never), code);
});

test.run();
