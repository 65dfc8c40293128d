import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import { parseEndpoint, runtimeSocket } from "../../src/host/runtime-socket.ts";

const test = suite("host/runtime-socket");

const containerd = "/run/containerd/containerd.sock";
const crio = "/run/crio/crio.sock";

const cases: readonly {
  name: string;
  text?: string;
  sockets?: readonly string[];
  path: string | undefined;
}[] = [
  { name: "no kubelet and no socket is nowhere", path: undefined },
  { name: "containerd alone is there", sockets: [containerd], path: containerd },
  { name: "CRI-O alone is there", sockets: [crio], path: crio },
  { name: "containerd comes before CRI-O", sockets: [crio, containerd], path: containerd },
  {
    name: "the kubelet's configuration comes before what exists",
    text: "kind: K\ncontainerRuntimeEndpoint: unix:///run/other.sock\n",
    sockets: [containerd],
    path: "/run/other.sock",
  },
  {
    name: "JSON is read too",
    text: '{"containerRuntimeEndpoint": "unix:///run/other.sock"}',
    path: "/run/other.sock",
  },
  {
    name: "a pipe of Windows is none, whatever exists",
    text: 'containerRuntimeEndpoint: "npipe:////./pipe/containerd"\n',
    sockets: [containerd],
    path: undefined,
  },
  {
    name: "an empty endpoint is the default",
    text: 'kind: K\ncontainerRuntimeEndpoint: ""\n',
    sockets: [containerd],
    path: containerd,
  },
  {
    name: "a comment is no endpoint",
    text: "kind: K\n# containerRuntimeEndpoint: /run/other.sock\n",
    sockets: [crio],
    path: crio,
  },
  {
    name: "a configuration that cannot be read is the default",
    text: "containerRuntimeEndpoint: [\n",
    sockets: [containerd],
    path: containerd,
  },
];
for (const { name, text, sockets = [], path } of cases) {
  test(name, async () => {
    const root = mkdtempSync(join(tmpdir(), "socket-"));
    const servers = sockets.map((socket) => {
      mkdirSync(dirname(join(root, socket)), { recursive: true });
      return createServer().listen(join(root, socket));
    });
    try {
      await Promise.all(servers.map((server) => once(server, "listening")));
      if (text !== undefined) {
        mkdirSync(join(root, "/var/lib/kubelet"), { recursive: true });
        writeFileSync(join(root, "/var/lib/kubelet/config.yaml"), text);
      }
      const found = await runtimeSocket(root);
      assert.equal(found.kind === "socket" ? found.path : undefined, path);
    } finally {
      for (const server of servers) {
        server.close();
      }
      rmSync(root, { recursive: true });
    }
  });
}

const endpoints: readonly { endpoint: string; path: string | undefined }[] = [
  { endpoint: "unix:///run/a.sock", path: "/run/a.sock" },
  { endpoint: "/run/a.sock", path: "/run/a.sock" },
  { endpoint: "unix:////run//a.sock", path: "/run/a.sock" },
  { endpoint: "tcp://127.0.0.1:1", path: undefined },
  { endpoint: "npipe:////./pipe/a", path: undefined },
  { endpoint: "run/a.sock", path: undefined },
  { endpoint: "unix://run/a.sock", path: undefined },
];
for (const { endpoint, path } of endpoints) {
  test(`the endpoint ${endpoint} is ${path ?? "none"}`, () => {
    const found = parseEndpoint(endpoint);
    assert.equal(found.kind === "socket" ? found.path : undefined, path);
    assert.equal(found.kind === "none" && !found.problem.includes(endpoint), false);
  });
}

test("the running kubelet's flag comes first", async () => {
  const words = ["--container-runtime-endpoint=unix:///run/flag.sock"];
  const child = spawn("/bin/sh", ["-c", "echo up; read x", ...words], {
    argv0: "kubelet",
    stdio: ["pipe", "pipe", "ignore"],
  });
  try {
    await once(child.stdout, "data");
    assert.deepEqual(await runtimeSocket("/"), { kind: "socket", path: "/run/flag.sock" });
  } finally {
    child.kill();
    await once(child, "exit");
  }
});

test.run();
