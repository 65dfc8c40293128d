import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import { type Config, defaultConfig } from "../../src/config.ts";
import { observeKubelet, parseFlags, plainStaticPodPath } from "../../src/host/kubelet.ts";

const test = suite("host/kubelet");

async function inRoot(text: string | undefined, run: (root: string) => Promise<void>) {
  const root = mkdtempSync(join(tmpdir(), "kubelet-"));
  try {
    if (text !== undefined) {
      const file = join(root, "/var/lib/kubelet/config.yaml");
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    await run(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const standard = "/etc/kubernetes/manifests";
const cases: readonly {
  name: string;
  text?: string;
  config?: Partial<Config>;
  path: string;
  warns?: boolean;
}[] = [
  { name: "no kubelet at all", path: standard },
  {
    name: "our configuration",
    text: "staticPodPath: /b\n",
    config: { staticPodPath: "/a" },
    path: "/a",
  },
  {
    name: "kubeadm's file",
    text: "apiVersion: x/v1\nkind: K\nstaticPodPath: /b\nz: 1\n",
    path: "/b",
  },
  { name: "a quoted path", text: 'kind: K\nstaticPodPath: "/b c"\n', path: "/b c" },
  { name: "JSON", text: '{"staticPodPath": "/b"}', path: "/b" },
  {
    name: "a relative path",
    text: "kind: K\nstaticPodPath: static # here\n",
    path: "/var/lib/kubelet/static",
  },
  { name: "a file without the key", text: "kind: K\n", path: standard, warns: true },
  { name: "an empty path", text: 'kind: K\nstaticPodPath: ""\n', path: standard, warns: true },
  { name: "a path that is a list", text: "staticPodPath: [a]\n", path: standard, warns: true },
  { name: "a file that is no YAML", text: "staticPodPath: [\n", path: standard, warns: true },
  { name: "an empty file", text: "", path: standard, warns: true },
  { name: "a list", text: "- staticPodPath: /b\n", path: standard, warns: true },
];
for (const { name, text, config, path, warns } of cases) {
  test(`the manifest directory with ${name} is ${path}`, () =>
    inRoot(text, async (root) => {
      const facts = await observeKubelet(root, { ...defaultConfig, ...config });
      assert.equal(facts.staticPodPath, path);
      assert.equal(facts.kubeconfigPath, "/etc/kubernetes/kubelet.conf");
      assert.equal(facts.running, false);
      assert.deepEqual(
        facts.warnings.map(({ code }) => code),
        warns === true ? ["W_CONFIG"] : [],
      );
    }));
}

test("our configuration names the kubeconfig", () =>
  inRoot(undefined, async (root) => {
    const facts = await observeKubelet(root, { ...defaultConfig, kubeconfig: "/k" });
    assert.equal(facts.kubeconfigPath, "/k");
  }));

const plain: readonly { name: string; text: string; path: string | undefined }[] = [
  { name: "a line of its own", text: "kind: K\nstaticPodPath: /a/b-c_d.e\n", path: "/a/b-c_d.e" },
  { name: "the first line", text: "staticPodPath: /a\n", path: "/a" },
  { name: "a quoted path", text: 'kind: K\nstaticPodPath: "/a"\n', path: "/a" },
  { name: "a document's start", text: "---\n# x\n\nkind: K\nstaticPodPath: /a\n", path: "/a" },
  { name: "an inner map", text: "a:\n  staticPodPath: /a\n", path: undefined },
  { name: "a comment", text: "kind: K\n# staticPodPath: /a\n", path: undefined },
  {
    name: "a second mention",
    text: "kind: K\nstaticPodPath: /a\n# staticPodPath: /b\n",
    path: undefined,
  },
  {
    name: "a second document",
    text: "kind: K\nstaticPodPath: /a\n---\nkind: L\n",
    path: undefined,
  },
  { name: "a flow map", text: "{\nstaticPodPath: /a\n}", path: undefined },
  { name: "a comment after it", text: "kind: K\nstaticPodPath: /a # b\n", path: undefined },
  { name: "a relative path", text: "kind: K\nstaticPodPath: a\n", path: undefined },
  { name: "an anchor", text: "kind: K\nstaticPodPath: &a /a\n", path: undefined },
  { name: "line ends of Windows", text: "kind: K\r\nstaticPodPath: /a\r\n", path: "/a" },
];
for (const { name, text, path } of plain) {
  test(`${name} is ${path === undefined ? "left to the parser" : "plain to see"}`, async () => {
    assert.equal(plainStaticPodPath(text), path);
    if (path !== undefined) {
      const { parse } = await import("yaml");
      assert.equal(parse(text).staticPodPath, path);
    }
  });
}

test("flags have their last value, in either form", () => {
  const words =
    "kubelet --config=/a --v 2 --node-ip=10.0.0.1,fd00::1 -v=3 --config /b --fail-swap-on --x= --last";
  assert.deepEqual(
    [...parseFlags(words.split(" "))],
    [
      ["config", "/b"],
      ["v", "3"],
      ["node-ip", "10.0.0.1,fd00::1"],
    ],
  );
});

/** A process that looks like a running kubelet to everybody who reads /proc. */
async function standIn(words: readonly string[]): Promise<ChildProcess> {
  const child = spawn("/bin/sh", ["-c", "echo up; read x", ...words], {
    argv0: "kubelet",
    stdio: ["pipe", "pipe", "ignore"],
  });
  await once(child.stdout ?? child, "data");
  return child;
}

test("the running kubelet's command line is read, only when root is /", async () => {
  const words = [
    "--pod-manifest-path=/m",
    "--kubeconfig",
    "/k",
    "--node-ip=10.0.0.1",
    "--hostname-override=n",
  ];
  const child = await standIn(words);
  try {
    const { warnings, flags, ...facts } = await observeKubelet("/", defaultConfig);
    assert.deepEqual(warnings, []);
    assert.equal(flags.get("kubeconfig"), "/k");
    assert.deepEqual(facts, {
      staticPodPath: "/m",
      kubeconfigPath: "/k",
      running: true,
      nodeIp: "10.0.0.1",
      hostnameOverride: "n",
      namesStaticPodPath: true,
    });
    await inRoot(undefined, async (root) => {
      assert.equal((await observeKubelet(root, defaultConfig)).running, false);
    });
  } finally {
    child.kill();
    await once(child, "exit");
  }
});

test("the configuration file of the running kubelet is read", () =>
  inRoot("kind: K\nstaticPodPath: static\n", async (root) => {
    const child = await standIn([`--config=${root}/var/lib/kubelet/config.yaml`]);
    try {
      const facts = await observeKubelet("/", defaultConfig);
      assert.equal(facts.staticPodPath, `${root}/var/lib/kubelet/static`);
      assert.equal(facts.kubeconfigPath, "/etc/kubernetes/kubelet.conf");
    } finally {
      child.kill();
      await once(child, "exit");
    }
  }));

test.run();
