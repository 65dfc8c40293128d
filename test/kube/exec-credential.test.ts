import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { suite } from "uvu";
import { execSource } from "../../src/kube/exec-credential.ts";
import type { ExecPlugin } from "../../src/kube/kubeconfig-user.ts";
import { runPlugin } from "../../src/kube/run-plugin.ts";
import { rejects } from "../rejects.ts";
import { makeCertificate } from "./certificates.ts";
import { type CredentialRoot, credentialRoot, setClock } from "./credential-root.ts";

const test = suite("kube/exec-credential");

const v1 = "client.authentication.k8s.io/v1";
const never = new AbortController().signal;
const pair = makeCertificate({ name: "jane", usage: "client" });
const other = makeCertificate({ name: "joan", usage: "client" });

const plugin: ExecPlugin = {
  command: "/bin/login",
  args: [],
  env: [],
  apiVersion: v1,
  interactiveMode: "Never",
  installHint: undefined,
  provideClusterInfo: false,
  cluster: { server: "https://a", tlsServerName: undefined, config: null },
};

const answer = (status: unknown, more: object = {}): string =>
  JSON.stringify({ apiVersion: v1, kind: "ExecCredential", status, ...more });

/** A plugin that counts its runs in /runs, keeps what it was told, and prints a text. */
function rootPrinting(text: string, more = ""): CredentialRoot {
  const root = credentialRoot({ "/answer": text });
  root.write("/bin/login", script(root.root, more), 0o700);
  return root;
}

const script = (root: string, more: string) => `#!/bin/sh
cd ${root}
printf x >> runs
printf '%s' "$KUBERNETES_EXEC_INFO" > info
printf '%s|' "$FLAVOUR" "$@" > told
${more}
cat answer
`;

const runs = ({ root }: CredentialRoot): number => readFileSync(join(root, "runs")).length;
const source = ({ root }: CredentialRoot, more: Partial<ExecPlugin> = {}, clock = setClock()) =>
  execSource({ ...plugin, ...more }, root, "CA", clock);

test("a plugin is told what kubectl tells it, and its token is taken", async () => {
  using root = rootPrinting(answer({ token: "t-1" }));
  const given = source(root, {
    args: ["a", "b c"],
    env: [{ name: "FLAVOUR", value: "mint" }],
    provideClusterInfo: true,
    cluster: { server: "https://a", tlsServerName: "kubernetes", config: { audience: "x" } },
  });
  assert.deepEqual(await given.get(never), {
    token: "t-1",
    clientCert: undefined,
    expiresAt: undefined,
  });
  assert.equal(readFileSync(join(root.root, "told"), "utf8"), "mint|a|b c|");
  assert.deepEqual(JSON.parse(readFileSync(join(root.root, "info"), "utf8")), {
    kind: "ExecCredential",
    apiVersion: v1,
    spec: {
      interactive: false,
      cluster: {
        server: "https://a",
        "tls-server-name": "kubernetes",
        "certificate-authority-data": "Q0E=",
        config: { audience: "x" },
      },
    },
  });
});

test("a plugin that wants to know nothing is told nothing of the cluster", async () => {
  using root = rootPrinting(answer({ token: "t-1" }));
  await source(root).get(never);
  const { spec } = JSON.parse(readFileSync(join(root.root, "info"), "utf8"));
  assert.deepEqual(spec, { interactive: false });
});

test("what it gave is kept until it expires, and asked for once by all who wait", async () => {
  const start = Date.parse("2030-01-01T00:00:00Z");
  const clock = setClock(start);
  using root = rootPrinting(
    answer({ token: "t-1", expirationTimestamp: "2030-01-01T01:00:00Z" }),
    "sleep 0.1",
  );
  const given = source(root, {}, clock);
  await Promise.all([given.get(never), given.get(never)]);
  await given.get(never);
  assert.equal(runs(root), 1);
  clock.set(start + 3_600_000);
  await given.get(never);
  assert.equal(runs(root), 1);
  clock.set(start + 3_600_001);
  assert.equal(given.current(), undefined);
  root.write("/answer", answer({ token: "t-2" }));
  assert.equal((await given.get(never)).token, "t-2");
  assert.equal(runs(root), 2);
  given.invalidate();
  await given.get(never);
  assert.equal(runs(root), 3);
});

test("a client certificate with its key is taken", async () => {
  const { certPem, keyPem } = pair;
  using root = rootPrinting(answer({ clientCertificateData: certPem, clientKeyData: keyPem }));
  assert.deepEqual((await source(root).get(never)).clientCert, { certPem, keyPem });
});

test("YAML is taken too", async () => {
  using root = rootPrinting(`apiVersion: ${v1}\nkind: ExecCredential\nstatus: {token: t-1}\n`);
  assert.equal((await source(root).get(never)).token, "t-1");
});

test("a name is looked up in PATH, a folder that is relative does not count", async () => {
  using root = rootPrinting(answer({ token: "t-1" }));
  const before = process.env["PATH"];
  const folder = process.cwd();
  try {
    process.env["PATH"] = `${join(root.root, "bin")}:${before}`;
    assert.equal((await source(root, { command: "login" }).get(never)).token, "t-1");
    process.env["PATH"] = `bin:${before}`;
    process.chdir(root.root);
    await rejects(() => source(root, { command: "login" }).get(never), "E_EXEC_PLUGIN");
  } finally {
    process.env["PATH"] = before;
    process.chdir(folder);
  }
});

const unusable: readonly { name: string; text: string; says: RegExp }[] = [
  { name: "nothing", text: "", says: /no ExecCredential/ },
  { name: "garbage", text: "SECRETMARKER: [", says: /neither JSON nor YAML/ },
  { name: "another kind", text: '{"kind":"SECRETMARKER"}', says: /no ExecCredential/ },
  {
    name: "another version",
    text: answer({ token: "SECRETMARKER" }, { apiVersion: "client.authentication.k8s.io/v1beta1" }),
    says: /no ExecCredential of client\.authentication\.k8s\.io\/v1$|no ExecCredential of \S+\/v1\b/,
  },
  { name: "no status", text: answer(undefined), says: /neither a token nor/ },
  { name: "an empty token", text: answer({ token: "" }), says: /neither a token nor/ },
  { name: "a token that is a number", text: answer({ token: 5 }), says: /status\.token/ },
  { name: "a token of two lines", text: answer({ token: "SECRETMARKER\nx" }), says: /header/ },
  {
    name: "a certificate without its key",
    text: answer({ clientCertificateData: pair.certPem }),
    says: /not both/,
  },
  {
    name: "a certificate with another's key",
    text: answer({ clientCertificateData: pair.certPem, clientKeyData: other.keyPem }),
    says: /not that of the certificate/,
  },
  {
    name: "an expiry that is no time",
    text: answer({ token: "t", expirationTimestamp: "SECRETMARKER" }),
    says: /expirationTimestamp/,
  },
];
for (const { name, text, says } of unusable) {
  test(`${name} for an answer is E_EXEC_PLUGIN that quotes nothing`, async () => {
    using root = rootPrinting(text);
    const failure = await rejects(() => source(root).get(never), "E_EXEC_PLUGIN");
    assert.equal(failure.exit, 69);
    assert.equal(failure.text.where, "/bin/login");
    assert.match(failure.text.found ?? "", says);
    assert.ok(!failure.message.includes("SECRETMARKER"));
  });
}

const failing: readonly { name: string; more: string; says: RegExp }[] = [
  {
    name: "fails",
    more: "echo SECRETMARKER >&2; echo SECRETMARKER; exit 3",
    says: /^exit status 3, and 13 bytes on its standard error/,
  },
  { name: "is killed", more: "kill -9 $$", says: /^ended by SIGKILL/ },
  { name: "prints without end", more: "yes SECRETMARKER", says: /more than \d+ bytes/ },
];
for (const { name, more, says } of failing) {
  test(`a plugin that ${name} is E_EXEC_PLUGIN with its hint, and quotes nothing`, async () => {
    using root = rootPrinting("", more);
    const given = source(root, { installHint: "install it", args: ["--token=SECRETMARKER"] });
    const failure = await rejects(() => given.get(never), "E_EXEC_PLUGIN");
    assert.match(failure.text.found ?? "", says);
    assert.match(failure.message, /install it/);
    assert.ok(!failure.message.includes("SECRETMARKER"));
  });
}

test("a plugin that is not there, or no program, is E_EXEC_PLUGIN", async () => {
  using root = credentialRoot({ "/bin/text": "text" });
  for (const command of ["/bin/none", "/bin/text", "/bin", "no-such-plugin"]) {
    await rejects(() => source(root, { command }).get(never), "E_EXEC_PLUGIN");
  }
  root.write("/bin/broken", "#!/no/such/interpreter\n", 0o700);
  const failure = await rejects(
    () => source(root, { command: "/bin/broken" }).get(never),
    "E_EXEC_PLUGIN",
  );
  assert.match(failure.message, /ENOENT/);
  const args = ["x".repeat(3_000_000)];
  root.write("/bin/login", script(root.root, ""), 0o700);
  await rejects(() => source(root, { args }).get(never), "E_EXEC_PLUGIN");
});

test("a plugin that takes too long is killed with its children", async () => {
  using root = rootPrinting("", "sleep 300 & echo $! > child; wait");
  const run = {
    plugin,
    file: join(root.root, "/bin/login"),
    info: "",
    isInteractive: false,
  };
  const failure = await rejects(() => runPlugin(run, never, 300), "E_EXEC_PLUGIN");
  assert.match(failure.message, /not done within 0\.3 s/);
  await assertGone(Number(readFileSync(join(root.root, "child"), "utf8")));
});

test("a plugin that nobody waits for any more is killed; one that others wait for goes on", async () => {
  using root = rootPrinting(answer({ token: "t-1" }), "echo $$ > child; sleep 0.4");
  const given = source(root);
  const off = new AbortController();
  const reason = new Error("called off");
  const [first, second] = [given.get(off.signal), given.get(never)];
  setTimeout(() => off.abort(reason), 100);
  await assert.rejects(first, reason);
  assert.equal((await second).token, "t-1");

  given.invalidate();
  root.write("/bin/login", script(root.root, "echo $$ > lonely; sleep 300"), 0o700);
  const lonely = join(root.root, "lonely");
  const alone = new AbortController();
  const third = given.get(alone.signal);
  while (!existsSync(lonely) || readFileSync(lonely).length === 0) {
    await after(10);
  }
  alone.abort(reason);
  await assert.rejects(third, reason);
  await assertGone(Number(readFileSync(lonely, "utf8")));
  root.write("/bin/login", script(root.root, ""), 0o700);
  assert.equal((await given.get(never)).token, "t-1");
});

test("a plugin that must have a terminal is not run without one", async () => {
  using root = rootPrinting(answer({ token: "t-1" }));
  const child = spawn(
    process.execPath,
    [new URL("exec-child.ts", import.meta.url).pathname, root.root],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let told = "";
  child.stdout.on("data", (bytes: Buffer) => {
    told += bytes.toString();
  });
  await once(child, "close");
  assert.deepEqual(JSON.parse(told), { Always: "E_EXEC_PLUGIN", IfAvailable: "t-1" });
  assert.equal(runs(root), 1);
});

async function assertGone(pid: number): Promise<void> {
  assert.ok(pid > 1);
  for (let left = 100; left > 0; left--) {
    const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
    if (stat === "" || / Z /.test(stat)) {
      return;
    }
    await after(20);
  }
  assert.fail(`process ${pid} lives on`);
}

test.run();
