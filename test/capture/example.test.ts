import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPublicKey, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { parseAllDocuments } from "yaml";

const example = suite("examples/self-hosted");

const dir = join(import.meta.dirname, "../../examples/self-hosted");

interface PodSpec {
  readonly nodeName?: string;
  readonly affinity?: unknown;
  readonly [field: string]: unknown;
}

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: PodSpec & { readonly template: { metadata: Metadata; spec: PodSpec } };
  readonly data: Readonly<Record<string, string>>;
}

const parse = (text: string) =>
  parseAllDocuments(text).map((document) => document.toJS() as Manifest);
const manifests = readdirSync(dir)
  .filter((name) => name.endsWith(".yaml"))
  .flatMap((name) => parse(readFileSync(join(dir, name), "utf8")));
const workloads = manifests.filter(({ kind }) => kind === "DaemonSet" || kind === "Deployment");

for (const { metadata, spec } of workloads) {
  const pods = manifests.filter(
    (object) =>
      object.kind === "Pod" &&
      object.metadata.ownerReferences?.some(({ name }) =>
        new RegExp(`^${metadata.name}(-[0-9a-f]+)?$`).test(name),
      ),
  );

  example(`the pods of ${metadata.name} are what its template makes`, () => {
    assert.ok(pods.length > 0);
    for (const pod of pods) {
      const { nodeName, affinity: _, ...made } = pod.spec;
      const { affinity: __, ...template } = spec.template.spec;
      assert.equal(nodeName, "node1");
      // The controller pins a daemon's pod to its node by an affinity of its own.
      assert.deepEqual(made, template);
      assert.deepEqual(pod.metadata.annotations, spec.template.metadata.annotations);
      for (const [name, value] of Object.entries(spec.template.metadata.labels ?? {})) {
        assert.equal(pod.metadata.labels?.[name], value);
      }
    }
  });
}

/** CA's file → the certificates that it has signed. */
const chains = [
  { secret: "etcd-tls", ca: "ca.crt", leaves: ["server.crt", "peer.crt"] },
  {
    secret: "kube-apiserver",
    ca: "ca.crt",
    leaves: ["apiserver.crt", "apiserver-kubelet-client.crt"],
  },
  { secret: "kube-apiserver", ca: "etcd-client-ca.crt", leaves: ["etcd-client.crt"] },
  { secret: "kube-apiserver", ca: "aggregation-ca.crt", leaves: ["aggregation-client.crt"] },
  { secret: "kube-controller-manager", ca: "ca.crt", leaves: ["client.crt"] },
  { secret: "kube-scheduler", ca: "ca.crt", leaves: ["client.crt"] },
];

const made = [
  { name: "as committed", read: () => readFileSync(join(dir, "secrets.yaml"), "utf8") },
  {
    name: "of make-secrets.sh",
    read: () => execFileSync("bash", [join(dir, "make-secrets.sh"), "30"], { encoding: "utf8" }),
  },
];

for (const { name, read } of made) {
  example(`the keys ${name} fit together`, () => {
    const secrets = new Map(parse(read()).map(({ metadata, data }) => [metadata.name, data]));
    const file = (secret: string, key: string) =>
      Buffer.from(secrets.get(secret)?.[key] ?? "", "base64");
    for (const { secret, ca, leaves } of chains) {
      const authority = new X509Certificate(file(secret, ca));
      for (const leaf of leaves) {
        const certificate = new X509Certificate(file(secret, leaf));
        assert.ok(certificate.verify(authority.publicKey), `${secret} ${leaf}`);
        const key = createPublicKey(file(secret, leaf.replace(/crt$/, "key")));
        assert.ok(certificate.publicKey.equals(key), `${secret} ${leaf}`);
      }
    }
    assert.ok(
      createPublicKey(file("kube-apiserver", "service-account.key")).equals(
        createPublicKey(file("kube-apiserver", "service-account.pub")),
      ),
    );
  });
}

example.run();
