import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import { parseKubeconfig, readKubeconfig } from "../../src/kube/kubeconfig.ts";
import { rejects } from "../rejects.ts";

const test = suite("kube/kubeconfig");

const base64 = (text: string): string => Buffer.from(text).toString("base64");

interface Parts {
  readonly cluster?: object | null;
  readonly user?: object | null;
  readonly more?: object;
}

/** As kubeadm writes it. */
function document({ cluster, user, more }: Parts = {}): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    preferences: {},
    "current-context": "system:node:cp-1@kubernetes",
    contexts: [
      { name: "other", context: { cluster: "nowhere", user: "nobody" } },
      {
        name: "system:node:cp-1@kubernetes",
        context: { cluster: "kubernetes", user: "system:node:cp-1" },
      },
    ],
    clusters: [
      {
        name: "kubernetes",
        cluster:
          cluster === undefined
            ? { server: "https://10.0.0.9:6443", "certificate-authority-data": base64("CA") }
            : cluster,
      },
    ],
    users: [
      {
        name: "system:node:cp-1",
        user:
          user === undefined
            ? { "client-certificate": "pki/kubelet.pem", "client-key": "/abs/kubelet.key" }
            : user,
      },
    ],
    ...more,
  };
}

test("the current context is taken, relative paths from the kubeconfig's folder", () => {
  assert.deepEqual(parseKubeconfig(document(), "/etc/kubernetes/kubelet.conf"), {
    server: "https://10.0.0.9:6443",
    tlsServerName: undefined,
    authority: { kind: "inline", text: "CA" },
    clientCertificate: { kind: "file", path: "/etc/kubernetes/pki/kubelet.pem" },
    clientKey: { kind: "file", path: "/abs/kubelet.key" },
    token: undefined,
    hasExec: false,
  });
});

test("tokens, exec and the server's name are noted", () => {
  const server = "https://api.example/k8s";
  const cluster = { server, "tls-server-name": "kubernetes", "certificate-authority": "ca.crt" };
  const user = { token: "t", tokenFile: "t.txt", exec: { command: "aws" } };
  assert.deepEqual(parseKubeconfig(document({ cluster, user }), "/k/c"), {
    server: "https://api.example:443/k8s",
    tlsServerName: "kubernetes",
    authority: { kind: "file", path: "/k/ca.crt" },
    clientCertificate: undefined,
    clientKey: undefined,
    token: { kind: "file", path: "/k/t.txt" },
    hasExec: true,
  });
});

const server = "https://a";
const unusable: readonly { name: string; document: unknown; field: RegExp }[] = [
  { name: "nothing", document: null, field: /current-context/ },
  { name: "a list", document: [], field: /the file/ },
  { name: "a text", document: "kind: Config", field: /the file/ },
  {
    name: "no current context",
    document: document({ more: { "current-context": "" } }),
    field: /current-context/,
  },
  {
    name: "a context that is not there",
    document: document({ more: { contexts: [] } }),
    field: /contexts/,
  },
  {
    name: "contexts that are no list",
    document: document({ more: { contexts: {} } }),
    field: /contexts/,
  },
  {
    name: "a context without a user",
    document: document({
      more: {
        "current-context": "x",
        contexts: [{ name: "x", context: { cluster: "kubernetes" } }],
      },
    }),
    field: /contexts\.context/,
  },
  {
    name: "two clusters of one name",
    document: document({
      more: { clusters: [1, 2].map(() => ({ name: "kubernetes", cluster: { server } })) },
    }),
    field: /clusters/,
  },
  {
    name: "a cluster that is not there",
    document: document({ more: { clusters: null } }),
    field: /clusters/,
  },
  { name: "a user that is not there", document: document({ more: { users: [] } }), field: /users/ },
  { name: "no server", document: document({ cluster: {} }), field: /server/ },
  {
    name: "a server without TLS",
    document: document({ cluster: { server: "http://a" } }),
    field: /server/,
  },
  {
    name: "a server that is a number",
    document: document({ cluster: { server: 5 } }),
    field: /server/,
  },
  {
    name: "a proxy",
    document: document({ cluster: { server, "proxy-url": "http://p" } }),
    field: /proxy-url/,
  },
  {
    name: "a CA twice",
    document: document({
      cluster: { server, "certificate-authority": "a", "certificate-authority-data": "YQ==" },
    }),
    field: /certificate-authority/,
  },
  {
    name: "a CA that is not base64",
    document: document({ cluster: { server, "certificate-authority-data": "SECRETMARKER!" } }),
    field: /certificate-authority-data/,
  },
  {
    name: "a client certificate without its key",
    document: document({ user: { "client-certificate-data": "YQ==" } }),
    field: /client-key/,
  },
  { name: "a token that is a number", document: document({ user: { token: 5 } }), field: /token/ },
];
for (const { name, document: value, field } of unusable) {
  test(`${name} is E_KUBECONFIG, with file and field`, async () => {
    const failure = await rejects(() => parseKubeconfig(value, "/k/c"), "E_KUBECONFIG");
    assert.equal(failure.exit, 78);
    assert.match(failure.text.where ?? "", /^\/k\/c, /);
    assert.match(failure.text.where ?? "", field);
    assert.ok(!failure.message.includes("SECRETMARKER"));
  });
}

async function inRoot(
  files: Readonly<Record<string, string>>,
  run: (root: string) => Promise<void>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "kubeconfig-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    await run(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const path = "/etc/kubernetes/kubelet.conf";
const yaml = `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: pki/ca.crt
    server: https://10.0.0.9:6443
  name: kubernetes
contexts:
- context: {cluster: kubernetes, user: node}
  name: c
current-context: c
users:
- name: node
  user:
    client-certificate: /var/lib/kubelet/pki/current.pem
    client-key: /var/lib/kubelet/pki/current.pem
`;

test("YAML is read with its files, under root, through links", () =>
  inRoot(
    { [path]: yaml, "/etc/kubernetes/pki/ca.crt": "CA", "/var/lib/kubelet/pki/1.pem": "PEM" },
    async (root) => {
      symlinkSync("1.pem", join(root, "/var/lib/kubelet/pki/current.pem"));
      assert.deepEqual(await readKubeconfig(root, path), {
        kubeconfig: {
          server: "https://10.0.0.9:6443",
          tlsServerName: undefined,
          caPem: "CA",
          clientCert: { certPem: "PEM", keyPem: "PEM" },
        },
        warnings: [],
      });
    },
  ));

test("JSON is read; a client certificate that is missing does not matter", () =>
  inRoot({ [path]: JSON.stringify(document()) }, async (root) => {
    const { kubeconfig, warnings } = await readKubeconfig(root, path);
    assert.equal(kubeconfig?.caPem, "CA");
    assert.equal(kubeconfig?.clientCert, undefined);
    assert.deepEqual(warnings, []);
  }));

test("no kubeconfig is nothing, without a warning", () =>
  inRoot({}, async (root) => {
    assert.deepEqual(await readKubeconfig(root, path), { kubeconfig: undefined, warnings: [] });
  }));

test("a CA that cannot be read is a warning", () =>
  inRoot({ [path]: yaml }, async (root) => {
    const { kubeconfig, warnings } = await readKubeconfig(root, path);
    assert.equal(kubeconfig?.server, "https://10.0.0.9:6443");
    assert.equal(kubeconfig?.caPem, undefined);
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ["W_PROBE"],
    );
  }));

const malformed: readonly { name: string; text: string }[] = [
  { name: "an empty file", text: "" },
  { name: "torn YAML", text: "users: [{token: SECRETMARKER" },
  { name: "torn JSON", text: '{"users": [{"token": "SECRETMARKER' },
  { name: "duplicate keys", text: "a: SECRETMARKER\na: b\n" },
  { name: "zero bytes", text: "\0".repeat(500) },
  { name: "deep lists", text: "[".repeat(50_000) },
  {
    name: "aliases that multiply",
    text: `a: &a [x,x,x,x]\nb: &b [${"*a,".repeat(90)}]\nc: [${"*b,".repeat(90)}]\n`,
  },
];
for (const { name, text } of malformed) {
  test(`${name} is a warning that quotes nothing`, () =>
    inRoot({ [path]: text }, async (root) => {
      const { kubeconfig, warnings } = await readKubeconfig(root, path);
      assert.equal(kubeconfig, undefined);
      assert.deepEqual(
        warnings.map(({ code }) => code),
        ["W_PROBE"],
      );
      assert.ok(!JSON.stringify(warnings).includes("SECRETMARKER"));
      assert.ok(JSON.stringify(warnings).includes(path));
    }));
}

const unreadable: readonly { name: string; make: (file: string) => void }[] = [
  { name: "a directory", make: (file) => mkdirSync(file) },
  { name: "a pipe", make: (file) => execFileSync("mkfifo", [file]) },
  { name: "a link to itself", make: (file) => symlinkSync("kubelet.conf", file) },
];
for (const { name, make } of unreadable) {
  test(`${name} in its place is a warning`, () =>
    inRoot({ "/etc/kubernetes/x": "" }, async (root) => {
      make(join(root, path));
      const { kubeconfig, warnings } = await readKubeconfig(root, path);
      assert.equal(kubeconfig, undefined);
      assert.deepEqual(
        warnings.map(({ code }) => code),
        ["W_PROBE"],
      );
    }));
}

test.run();
