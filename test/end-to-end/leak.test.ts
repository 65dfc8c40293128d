import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { forge } from "../store/forge.ts";
import { describe, type Run, type RunOptions, run, succeed } from "./executable.ts";
import { badDocuments, document } from "./leak/bad-documents.ts";
import { badObjects } from "./leak/bad-objects.ts";
import { badKeys, badKubeconfigs, badRecipients } from "./leak/bad-settings.ts";
import {
  core,
  filesWithSecrets,
  findPiece,
  findSecret,
  formsOf,
  secretValue,
} from "./leak/secrets.ts";
import { memory, type NodeRoot, nodeWith } from "./node-root.ts";
import { base64, configMap, node as nodeObject, pod, secret } from "./objects.ts";

const test = suite("no leak");

const startedMs = Date.now() - 1000;
const values = { password: base64(secretValue("password")), key: base64(secretValue("key")) };
const objects = () => [pod(), secret({ data: values }), configMap(), nodeObject()];

/** Makes a node with a key and one generation of secrets; temporary files of the program go into it. */
function fill(node: NodeRoot): void {
  mkdirSync(node.at("cwd"));
  succeed(["key", "init", "--slot", "plain", "--root", node.root]);
  speak(node, ["capture", "--node", "n1", "--from", node.objects(...objects())], 0);
}

/** Runs a command and asserts that no secret is in anything that it says, nor the key in any form. */
function speak(
  node: NodeRoot,
  words: readonly string[],
  status: number | undefined,
  { asked = false, ...options }: RunOptions & { readonly asked?: boolean } = {},
): Run {
  const env = { TMPDIR: node.at("cwd"), HOME: node.at("cwd"), ...options.env };
  const result = run([...words, "--root", node.root], { ...options, env, cwd: node.at("cwd") });
  const said = asked ? result.stderr : result.stdout + result.stderr;
  assert.equal(findPiece(said, keyForms(node)), undefined, words.join(" "));
  if (status !== undefined) {
    assert.equal(result.status, status, describe(result));
  }
  assert.doesNotMatch(result.stderr, /is a bug/, words.join(" "));
  return result;
}

function keyForms(node: NodeRoot): readonly Buffer[] {
  try {
    return formsOf(node.key().expose());
  } catch {
    return []; // this node's slot is broken on purpose, with marked bytes
  }
}

/** Asserts that no file holds a secret but those that must: what was given, the key slot, the memory. */
function searchFiles(node: NodeRoot): void {
  const isAllowed = (path: string) => /^(in|out|run\/blackstart\/(pods|manifests))\//.test(path);
  assert.deepEqual(filesWithSecrets(node.root, isAllowed), []);
  const isKey = (path: string) => /^etc\/blackstart\/keys\/|^run\/blackstart\/key$/.test(path);
  assert.deepEqual(
    filesWithSecrets(node.root, isKey, []).filter((path) => !isAllowed(path)),
    [],
  );
  const holders = filesWithSecrets(
    node.root,
    (path) => isKey(path) || isAllowed(path),
    keyForms(node),
  );
  assert.deepEqual(holders, []);
  assert.deepEqual(readdirSync(node.at("cwd")), [], "neither cores nor temporary files");
}

/** A test on a node in memory. */
function guarded(name: string, check: (node: NodeRoot) => void): void {
  test(name, () => {
    if (memory === undefined) {
      console.log(`SKIPPED ${name}: no tmpfs is writable`);
      return;
    }
    using node = nodeWith(fill);
    check(node);
    searchFiles(node);
  });
}

const formats = [[], ["-o", "json"], ["-o", "yaml"], ["-v"]];

guarded("no command that goes well tells a secret that was not asked for", (node) => {
  const file = node.objects(...objects());
  const from = ["--from", file, "--node", "n1"];
  for (const more of formats) {
    for (const line of ["status", "verify", "show web", "settle", "key publish"]) {
      const isKey = line === "key publish" && more.includes("-o");
      speak(node, [...line.split(" "), ...(isKey ? [] : more)], 0);
    }
    speak(node, ["capture", ...from, "--select", "all", ...more], 0);
    speak(node, ["restore", "--dry-run", ...more], 0);
    speak(node, ["restore", "--force", ...more], 0);
    speak(node, ["restore", "--reset-attempts", "--force", ...more], 0);
    speak(
      node,
      ["render", ...from, "--out", node.at("out"), ...(more[1] === undefined ? more : [])],
      0,
    );
    speak(node, ["render", ...from, ...more], 0, { asked: true });
    speak(node, ["show", "web", "--reveal", ...more], 0, { asked: true });
  }
  assert.notEqual(findSecret(Buffer.from(run(["render", ...from]).stdout)), undefined);
  const revealed = run(["show", "web", "--reveal", "--root", node.root]).stdout;
  assert.notEqual(findSecret(Buffer.from(revealed)), undefined);
});

guarded("secrets and tokens of an opened checkpoint are in memory and nowhere else", (node) => {
  writeFileSync(node.at("in/document.json"), JSON.stringify(document()));
  for (const more of formats) {
    rmSync(node.at("run/blackstart"), { recursive: true, force: true });
    speak(node, ["restore", "--from", node.at("in/document.json"), ...more], 0);
    speak(node, ["render", "--from", node.at("in/document.json"), "--out", node.at("out")], 0);
  }
  const token = readFileSync(node.at("run/blackstart/pods/kube-system_web/token/token"));
  assert.notEqual(findSecret(token), undefined);
});

guarded("the manifest directory holds links alone", (node) => {
  speak(node, ["restore", "--force"], 0);
  for (const entry of readdirSync(node.manifests, { withFileTypes: true })) {
    assert.ok(entry.isSymbolicLink(), entry.name);
  }
});

for (const { name, text } of badObjects) {
  guarded(`no message quotes ${name}`, (node) => {
    const file = node.at("in/bad.yaml");
    writeFileSync(file, text);
    const from = ["--node", "n1", "--select", "all", "--from", file];
    speak(node, ["capture", ...from, "-v"], undefined);
    speak(node, ["render", ...from, "--out", node.at("out")], undefined);
    speak(node, ["restore", "--force", "--dry-run", "--from", file], undefined);
  });
}

for (const { name, text } of badDocuments) {
  guarded(`no message quotes ${name}`, (node) => {
    const file = node.at("in/bad.json");
    writeFileSync(file, text);
    for (const words of [
      ["restore", "--force"],
      ["restore", "--dry-run"],
      ["render", "-o", "json"],
    ]) {
      const result = speak(node, [...words, "--from", file], undefined);
      assert.equal(result.status, 65, describe(result));
    }
    // The same, sealed by the holder of the key.
    const { storeId } = JSON.parse(readFileSync(join(node.store, "store.json"), "utf8"));
    const key = node.key();
    const inner = { version: 1, kid: key.kid, storeId, node: "n1", generation: 1, previousTag: "" };
    const blackstart = { ...inner, capturedAt: "2026-01-02T03:04:05Z" };
    const typ = "blackstart-checkpoint+json";
    const header = JSON.stringify({ typ, enc: "A256GCM", blackstart });
    for (const plaintext of [text, text.slice(0, -1)]) {
      writeFileSync(node.generation(1), forge(key, { header, plaintext: `${plaintext}` }));
      for (const line of ["restore --force", "status", "verify -o json"]) {
        const result = speak(node, line.split(" "), undefined);
        assert.equal(result.status, 65, describe(result));
      }
    }
  });
}

for (const { name, text } of badKeys) {
  guarded(`no message quotes a key that ${name}`, (node) => {
    const credentials = node.at("in/credentials");
    mkdirSync(credentials);
    writeFileSync(join(credentials, "store-key"), text, { mode: 0o400 });
    const [slot = ""] = readdirSync(node.keys);
    writeFileSync(join(node.keys, slot), text, { mode: 0o600 });
    for (const line of [
      "restore --force",
      "status",
      "verify",
      "show web",
      "key publish",
      "key init",
    ]) {
      speak(node, line.split(" "), undefined);
      const env = { CREDENTIALS_DIRECTORY: credentials };
      speak(node, line.split(" "), undefined, { env });
    }
    rmSync(node.keys, { recursive: true });
  });
}

for (const { name, text } of badRecipients) {
  guarded(`no message quotes ${name} in the place of a public break-glass key`, (node) => {
    const config = "swap: allow\nrecipients: [/in/break-glass.jwk]\n";
    writeFileSync(node.at("etc/blackstart/config.yaml"), config);
    writeFileSync(node.at("in/break-glass.jwk"), text);
    const words = ["capture", "--node", "n1", "--from", node.objects(...objects())];
    const result = speak(node, words, 78);
    assert.match(result.stderr, /^blackstart: E_RECIPIENT: /);
    for (const line of ["status", "verify", "restore --force"]) {
      speak(node, line.split(" "), 0);
    }
  });
}

for (const { name, text } of badKubeconfigs) {
  guarded(`no message quotes a kubeconfig ${name}`, (node) => {
    const config =
      "swap: allow\nprobe: {deadline: 1s, network: 0s}\nkubeconfig: /in/kubelet.conf\n";
    writeFileSync(node.at("etc/blackstart/config.yaml"), config);
    writeFileSync(node.at("in/kubelet.conf"), text);
    for (const line of ["restore -v", "status -v", "verify", "settle -v", "restore -o json"]) {
      speak(node, line.split(" "), 0);
    }
  });
}

guarded("a child gets the key through a pipe: never in its words or its environment", (node) => {
  // It keeps what it was started with and what its parent was, and seals nothing.
  const script = `#!/bin/sh
cat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline /proc/$PPID/environ >> "$0.log"
case "$1" in encrypt) tee "$0.in";; *) cat "$0.in";; esac
`;
  mkdirSync(node.at("bin"));
  writeFileSync(node.at("bin/systemd-creds"), script, { mode: 0o755 });
  const env = { PATH: `${node.at("bin")}:/usr/sbin:/usr/bin:/sbin:/bin` };
  rmSync(node.keys, { recursive: true });
  rmSync(node.store, { recursive: true });
  speak(node, ["key", "init"], 0, { env });
  const key = readFileSync(node.at("bin/systemd-creds.in"));
  assert.equal(key.length, 32);
  const words = ["capture", "--node", "n1", "--from", node.objects(...objects())];
  for (const line of [["key", "publish"], words, ["restore", "--force"], ["status"], ["verify"]]) {
    const result = speak(node, line, 0, { env });
    assert.equal(findSecret(Buffer.from(result.stdout + result.stderr), formsOf(key)), undefined);
  }
  const log = readFileSync(node.at("bin/systemd-creds.log"));
  assert.ok(log.includes("--name=blackstart-key") && log.includes("PATH="));
  assert.equal(findSecret(log, formsOf(key)), undefined);
  rmSync(node.at("bin"), { recursive: true });
  // The stand-in seals nothing: its slot is the key itself.
  rmSync(node.keys, { recursive: true });
  const isMemory = (path: string) => path.startsWith("run/");
  assert.deepEqual(filesWithSecrets(node.root, isMemory, formsOf(key)), ["in/objects-0.json"]);
});

test("nothing that was written into the machine's temporary directories meanwhile holds a secret", () => {
  for (const place of new Set([tmpdir(), "/tmp", "/dev/shm", "/var/tmp"])) {
    const isOld = (path: string) => {
      if (/^blackstart-e2e-[^/]+\/in\//.test(path)) {
        return true; // what the program is given
      }
      try {
        return statSync(join(place, path)).mtimeMs < startedMs;
      } catch {
        return true;
      }
    };
    assert.deepEqual(filesWithSecrets(place, isOld), [], place);
  }
});

test("the search finds a secret in each of its forms", () => {
  for (const offset of ["", "a", "ab"]) {
    const bytes = Buffer.from(`${offset}${secretValue("x")}tail`);
    for (const encoding of ["latin1", "hex", "base64", "base64url"] as const) {
      const text = `{"x":"${bytes.toString(encoding)}"}`;
      assert.notEqual(findSecret(Buffer.from(text)), undefined, `${encoding} ${offset}`);
    }
    assert.notEqual(findSecret(Buffer.from(encodeURIComponent(bytes.toString()))), undefined);
    assert.notEqual(findSecret(Buffer.from(JSON.stringify(bytes.toString()))), undefined);
  }
  assert.equal(findSecret(Buffer.from("nothing")), undefined);
  assert.notEqual(findPiece(`Unexpected token in "a":${core.slice(0, 6)}...`), undefined);
});

test.run();
