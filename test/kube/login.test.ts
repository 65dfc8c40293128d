import assert from "node:assert/strict";
import { suite } from "uvu";
import type { Material } from "../../src/kube/kubeconfig-section.ts";
import { readLogin } from "../../src/kube/login.ts";
import { makeCertificate } from "./certificates.ts";
import { kubeconfigOf, setClock } from "./credential-root.ts";

const test = suite("kube/login");

const never = new AbortController().signal;
const pems = ["1", "2"].map((name) => {
  const { certPem, keyPem } = makeCertificate({ name, usage: "client" });
  return { certPem, keyPem, both: certPem + keyPem };
});

/** Files of which each reading gives the next text; the last one stays. */
function filesOf(texts: Readonly<Record<string, readonly string[]>>) {
  const reads: string[] = [];
  const read = (path: string) => {
    const at = reads.filter((known) => known === path).length;
    reads.push(path);
    const all = texts[path] ?? [];
    const text = all[Math.min(at, all.length - 1)];
    return text === undefined ? { problem: `there is no ${path}` } : { text };
  };
  const take = (material: Material) =>
    material.kind === "file" ? read(material.path) : { text: material.text };
  return { reads, read, take, changed: () => false };
}

test("a file that holds certificate and key is read once, so that both are of one rotation", async () => {
  const [first, second] = pems;
  assert.ok(first !== undefined && second !== undefined);
  const user = { "client-certificate": "/c.pem", "client-key": "/c.pem" };
  const files = filesOf({
    "/k": [kubeconfigOf({ server: "https://a" }, user)],
    "/c.pem": [first.both, second.both],
  });
  const clock = setClock();
  const login = await readLogin(files, "/k", clock, never);
  assert.equal(login.clientCert?.certPem, first.both);
  assert.deepEqual(files.reads, ["/k", "/c.pem"]);
  assert.deepEqual(clock.slept, []);
});

test("a pair that never fits is given up after half a second", async () => {
  const [first, second] = pems;
  const user = { "client-certificate": "/c.crt", "client-key": "/c.key" };
  const files = filesOf({
    "/k": [kubeconfigOf({ server: "https://a" }, user)],
    "/c.crt": [first?.certPem ?? ""],
    "/c.key": [second?.keyPem ?? ""],
  });
  const clock = setClock();
  await assert.rejects(readLogin(files, "/k", clock, never), {
    code: "E_KUBECONFIG",
  });
  assert.deepEqual(clock.slept, [100, 100, 100, 100, 100]);
});

test.run();
