import assert from "node:assert/strict";
import { suite } from "uvu";
import { checkpointedServers } from "../../src/kube/checkpointed-servers.ts";
import { collectEndpoints, isOwnAddress } from "../../src/kube/endpoint.ts";
import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import { parseServer } from "../../src/model/server-url.ts";

const test = suite("kube/endpoint");

const servers: readonly { text: string; url?: string; problem?: RegExp }[] = [
  { text: "https://10.0.0.1:6443", url: "https://10.0.0.1:6443" },
  { text: "https://api.example", url: "https://api.example:443" },
  { text: "https://API.example:6443/", url: "https://api.example:6443" },
  { text: "https://[FD00:0::1]:6443", url: "https://[fd00::1]:6443" },
  { text: "https://rancher/k8s/clusters/c-1/", url: "https://rancher:443/k8s/clusters/c-1" },
  { text: "http://10.0.0.1:8080", problem: /not https/ },
  { text: "10.0.0.1:6443", problem: /./ },
  { text: "", problem: /not a URL/ },
  { text: "https://user:word@a", problem: /more than/ },
  { text: "https://a?x=1", problem: /more than/ },
  { text: "https://a:0", problem: /port 0/ },
  { text: "https://a:99999", problem: /not a URL/ },
  { text: "https://a\r\nHost: b", problem: /./ },
];
for (const { text, url, problem } of servers) {
  test(`${JSON.stringify(text)} is ${url ?? "refused"}`, () => {
    const parsed = parseServer(text);
    if ("problem" in parsed) {
      assert.ok(problem !== undefined, parsed.problem);
      assert.match(parsed.problem, problem);
    } else {
      assert.equal(parsed.url, url);
      assert.ok(!/[[\]]/.test(parsed.host));
    }
  });
}

const addresses: readonly { host: string; own: boolean }[] = [
  { host: "127.0.0.1", own: true },
  { host: "127.8.0.1", own: true },
  { host: "::1", own: true },
  { host: "0.0.0.0", own: true },
  { host: "localhost", own: true },
  { host: "api.localhost", own: true },
  { host: "10.0.0.5", own: true },
  { host: "fd00:0:0::5", own: true },
  { host: "10.0.0.50", own: false },
  { host: "fd00::50", own: false },
  { host: "10.0.0.5.example", own: false },
  { host: "node-1", own: false },
  { host: "1127.0.0.1", own: false },
];
for (const { host, own } of addresses) {
  test(`${host} is ${own ? "" : "not "}this machine's`, () => {
    assert.equal(isOwnAddress(host, ["10.0.0.5", "fd00::5%eth0", "nonsense"]), own);
  });
}

test("each host and port is asked once, with every name its certificate may carry", () => {
  const { endpoints, refused } = collectEndpoints({
    kubeconfig: { server: "https://10.0.0.9:6443", tlsServerName: "api.example" },
    checkpoint: ["https://10.0.0.5:6443", "https://10.0.0.9:6443"],
    config: ["https://10.0.0.7:6443", "http://10.0.0.8"],
    ownPort: 6443,
    ownAddresses: ["10.0.0.5"],
  });
  const service = "kubernetes.default.svc";
  assert.deepEqual(
    endpoints.map(({ url, origin, own, serverNames }) => ({ url, origin, own, serverNames })),
    [
      {
        url: "https://127.0.0.1:6443",
        origin: "own",
        own: true,
        serverNames: ["127.0.0.1", service],
      },
      {
        url: "https://10.0.0.9:6443",
        origin: "kubeconfig",
        own: false,
        serverNames: ["api.example", "10.0.0.9", service],
      },
      {
        url: "https://10.0.0.7:6443",
        origin: "config",
        own: false,
        serverNames: ["10.0.0.7", service],
      },
      {
        url: "https://10.0.0.5:6443",
        origin: "checkpoint",
        own: true,
        serverNames: ["10.0.0.5", service],
      },
    ],
  );
  assert.deepEqual(
    refused.map(({ url, origin }) => ({ url, origin })),
    [{ url: "http://10.0.0.8", origin: "config" }],
  );
});

test("the kubeconfig's server must carry its own name", () => {
  const { endpoints } = collectEndpoints({
    kubeconfig: { server: "https://10.0.0.9:6443" },
    checkpoint: [],
    config: [],
    ownPort: undefined,
    ownAddresses: [],
  });
  assert.deepEqual(endpoints[0]?.serverNames, ["10.0.0.9"]);
});

const named = (kind: string, name: string, more: object): KubernetesObject => ({
  kind,
  metadata: { name, namespace: "default" },
  ...more,
});
const pod = (words: readonly string[]): KubernetesObject =>
  named("Pod", "p", {
    spec: { nodeName: "cp-1", containers: [{ name: "c", command: words }] },
    status: { hostIP: "10.0.0.5", hostIPs: [{ ip: "10.0.0.5" }, { ip: "fd00::5" }] },
  });

test("a checkpoint tells of apiservers, this node and the CA", () => {
  const found = checkpointedServers([
    pod(["kube-apiserver", "--secure-port=7443"]),
    named("Node", "cp-1", {
      status: {
        addresses: [
          { type: "InternalIP", address: "10.0.0.55" },
          { type: "Hostname", address: "cp-1" },
        ],
      },
    }),
    named("Node", "cp-2", { status: { addresses: [{ type: "InternalIP", address: "10.0.0.6" }] } }),
    named("Endpoints", "kubernetes", {
      subsets: [{ addresses: [{ ip: "10.0.0.5" }, { ip: "fd00::6" }], ports: [{ port: 7443 }] }],
    }),
    named("Endpoints", "other", {
      subsets: [{ addresses: [{ ip: "10.9.9.9" }], ports: [{ port: 1 }] }],
    }),
    {
      kind: "EndpointSlice",
      metadata: {
        name: "kubernetes-x",
        namespace: "default",
        labels: { "kubernetes.io/service-name": "kubernetes" },
      },
      endpoints: [{ addresses: ["10.0.0.5"] }, { addresses: ["10.0.0.7"] }],
      ports: [{ port: 7443 }],
    },
    named("ConfigMap", "kube-root-ca.crt", { data: { "ca.crt": "PEM" } }),
  ]);
  assert.deepEqual(found, {
    servers: ["https://10.0.0.5:7443", "https://[fd00::6]:7443", "https://10.0.0.7:7443"],
    ownPort: 7443,
    nodeAddresses: ["10.0.0.55", "10.0.0.5", "fd00::5"],
    caPem: "PEM",
  });
});

const ports: readonly { name: string; words: readonly string[]; port: number | undefined }[] = [
  { name: "no flag", words: ["kube-apiserver"], port: 6443 },
  { name: "a path", words: ["/usr/local/bin/kube-apiserver", "--secure-port", "8443"], port: 8443 },
  {
    name: "a shell",
    words: ["/bin/sh", "-c", "exec kube-apiserver --secure-port=9443 2>&1"],
    port: 9443,
  },
  { name: "another program", words: ["kube-apiserver-proxy"], port: undefined },
  { name: "a port that is none", words: ["kube-apiserver", "--secure-port=0"], port: undefined },
];
for (const { name, words, port } of ports) {
  test(`the own apiserver's port from ${name} is ${port ?? "unknown"}`, () => {
    assert.equal(checkpointedServers([pod(words)]).ownPort, port);
  });
}

test("objects of another shape are passed over", () => {
  const odd: readonly object[] = [
    {},
    { subsets: 5 },
    { subsets: [null, { addresses: [1], ports: [{}] }] },
  ];
  const items = odd.map((more) => named("Endpoints", "kubernetes", more));
  assert.deepEqual(checkpointedServers(items), {
    servers: [],
    ownPort: undefined,
    nodeAddresses: [],
    caPem: undefined,
  });
});

test.run();
