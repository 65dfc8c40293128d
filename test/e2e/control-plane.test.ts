import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { parse } from "yaml";
import { connectApi, demand, type Json } from "./api.ts";
import { startControlPlane } from "./control-plane.ts";
import type { CredentialForm } from "./kubeconfig.ts";
import { type FixtureObject, objectsOfSet } from "./objects-of-set.ts";

const controlPlane = suite("e2e/control-plane");

const dir = mkdtempSync(join(tmpdir(), "blackstart-e2e-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const cluster = await startControlPlane({ dir: join(dir, "cluster") });
const given = objectsOfSet("setA");
const made = await cluster.apply(given);

const hourMs = 3_600_000;
const podsOfNode = "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1";
const node1 = { user: "system:node:node1", group: "system:nodes" };

controlPlane("set A is created as it was recorded, but for what a server gives", () => {
  assert.equal(made.length, given.length);
  const renewed = new Map(
    (made as unknown as readonly FixtureObject[]).map((object) => [
      `${object.kind} ${object.metadata.namespace} ${object.metadata.name}`,
      object,
    ]),
  );
  // A Job's selector names its uid, which is the server's.
  for (const object of given.filter(({ kind }) => kind !== "Job")) {
    const { kind, metadata } = object;
    const found = renewed.get(`${kind} ${metadata.namespace} ${metadata.name}`);
    assert.ok(found !== undefined, `${kind} ${metadata.name} is missing`);
    assert.notEqual(found.metadata.uid, metadata.uid);
    assert.deepEqual(withoutOrigin(found), withoutOrigin(object));
  }
});

controlPlane("an owner's uid is the one that it has here", () => {
  const objects = made as unknown as readonly Owned[];
  const uids = new Set(objects.map(({ metadata }) => metadata.uid));
  const owners = objects
    .filter(({ kind }) => kind === "Pod")
    .flatMap(({ metadata }) => metadata.ownerReferences ?? [])
    // Set A has no ReplicaSets.
    .filter(({ kind }) => kind !== "ReplicaSet");
  assert.ok(owners.length > 0);
  assert.deepEqual(
    owners.filter(({ uid }) => !uids.has(uid)),
    [],
  );
});

const forms: readonly { readonly name: string; readonly form: CredentialForm }[] = [
  { name: "as data", form: "data" },
  { name: "as files", form: "files" },
];

for (const { name, form } of forms) {
  controlPlane(
    `a kubeconfig with its credential ${name} lists the own pods and no others`,
    async () => {
      const { server, tls } = readKubeconfig(cluster.nodeKubeconfig("node1", { form }));
      const { api, disconnect } = connectApi(server, { ...tls, isVerified: true });
      const own = await api("GET", podsOfNode);
      assert.equal(own.status, 200, own.text);
      assert.equal(items(own.body).length, given.filter(({ kind }) => kind === "Pod").length);
      assert.equal((await api("GET", "/api/v1/pods")).status, 403);
      assert.equal((await api("GET", podsOfNode.replace("node1", "node2"))).status, 403);
      disconnect();
    },
  );
}

controlPlane("a kubeconfig with files that is written again has rotated", () => {
  const file = cluster.nodeKubeconfig("node1", { form: "files" });
  const pem = join(file, "../kubelet-client-current.pem");
  const [before, text] = [realpathSync(pem), readFileSync(pem, "utf8")];
  assert.equal(cluster.nodeKubeconfig("node1", { form: "files" }), file);
  assert.notEqual(realpathSync(pem), before);
  assert.notEqual(readFileSync(pem, "utf8"), text);
});

const validities = [
  { name: "expired", notBefore: -2 * hourMs, notAfter: -hourMs },
  { name: "not yet valid", notBefore: hourMs, notAfter: 2 * hourMs },
];

for (const { name, notBefore, notAfter } of validities) {
  controlPlane(`a certificate that is ${name} is nobody's`, async () => {
    const validity = {
      notBefore: new Date(Date.now() + notBefore),
      notAfter: new Date(Date.now() + notAfter),
    };
    const { server, tls } = readKubeconfig(cluster.nodeKubeconfig("node1", { validity }));
    const { api, disconnect } = connectApi(server, { ...tls, isVerified: true });
    assert.equal((await api("GET", podsOfNode)).status, 401);
    disconnect();
  });
}

controlPlane("nobody is anonymous", async () => {
  const none = { certificate: "", key: "" };
  const { api } = connectApi(cluster.url, {
    ca: readFileSync(cluster.caFile, "utf8"),
    client: none,
    isVerified: true,
  });
  assert.equal((await api("GET", "/version")).status, 401);
});

controlPlane("a node gets a token for a pod of its own", async () => {
  const pod = (made as unknown as readonly FixtureObject[]).find(
    ({ kind, metadata }) => kind === "Pod" && metadata.name.startsWith("coredns-"),
  );
  assert.ok(pod !== undefined);
  const { name, uid } = pod.metadata;
  const answer = await cluster.apiAs(node1)(
    "POST",
    "/api/v1/namespaces/kube-system/serviceaccounts/coredns/token",
    {
      spec: {
        // Those of its token volume, which names none: the server's own.
        audiences: [],
        expirationSeconds: 3607,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
      },
    },
  );
  assert.equal(answer.status, 201, answer.text);
  const { token } = answer.body["status"] as { readonly token: string };
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  assert.equal(claims["kubernetes.io"].pod.uid, uid);
});

controlPlane("a pod that was on its way out still is, with its debugging container", async () => {
  const metadata = { namespace: "new", name: "leaving" };
  const containers = [{ name: "main", image: "local/none" }];
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
    spec: {
      nodeName: "node1",
      serviceAccountName: "own",
      containers,
      ephemeralContainers: [{ name: "debug", image: "local/none" }],
    },
    status: { phase: "Running", podIP: "10.0.0.9", podIPs: [{ ip: "10.0.0.9" }] },
  };
  const [created] = await cluster.apply([pod]);
  const found = created as unknown as {
    readonly metadata: Json;
    readonly spec: { readonly ephemeralContainers: readonly Json[] };
    readonly status: Json;
  };
  assert.equal(typeof found.metadata["deletionTimestamp"], "string");
  assert.equal(found.spec.ephemeralContainers[0]?.["name"], "debug");
  assert.equal(found.status["podIP"], "10.0.0.9");
  await demand(cluster.api, "GET", "/api/v1/namespaces/new/configmaps/kube-root-ca.crt");
  await demand(cluster.api, "GET", "/api/v1/namespaces/new/serviceaccounts/own");
});

for (const how of ["graceful", "kill"] as const) {
  controlPlane(`an apiserver stopped by ${how} comes back on its port with its data`, async () => {
    const before = (await cluster.api("GET", podsOfNode)).body;
    const { apiserver } = cluster.pids();
    await cluster.stopApiserver(how);
    assert.ok(!existsSync(`/proc/${apiserver}`));
    await assert.rejects(cluster.api("GET", "/readyz"), /ECONNREFUSED/);
    await cluster.startApiserver();
    const after = (await cluster.api("GET", podsOfNode)).body;
    assert.deepEqual(after["items"], before["items"]);
  });
}

controlPlane("after a compaction and a restart an old revision is gone", async () => {
  const path = "/api/v1/namespaces/default/configmaps";
  const old = await cluster.revision();
  await demand(cluster.api, "POST", path, { metadata: { name: "changes" } });
  await demand(cluster.api, "PATCH", `${path}/changes`, { data: { a: "b" } });
  assert.ok((await cluster.revision()) >= old + 2);
  const list = `${path}?resourceVersion=${old}&resourceVersionMatch=Exact`;
  const watch = `${path}?watch=1&timeoutSeconds=1&resourceVersion=${old}`;
  assert.equal((await cluster.api("GET", list)).status, 200);
  assert.match((await cluster.api("GET", watch)).text, /^\{"type":"ADDED"/);

  await cluster.compact();
  await cluster.stopApiserver("kill");
  await cluster.startApiserver();
  assert.equal((await cluster.api("GET", list)).status, 410);
  assert.match((await cluster.api("GET", watch)).text, /^\{"type":"ERROR".*"code":410/);
});

controlPlane("flags make a watch end early", async () => {
  await cluster.stopApiserver("kill");
  await cluster.startApiserver(["--min-request-timeout=1"]);
  const started = performance.now();
  await cluster.api("GET", `${podsOfNode}&watch=1`);
  assert.ok(performance.now() - started < 10_000);
});

controlPlane("no server outlives a test that is killed", async () => {
  const script = `
    import { startControlPlane } from ${JSON.stringify(join(import.meta.dirname, "control-plane.ts"))};
    const cluster = await startControlPlane({ dir: ${JSON.stringify(join(dir, "killed"))} });
    console.log(JSON.stringify(cluster.pids()));
    setInterval(() => {}, 1000);
  `;
  const test = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await test.stdout.take(1).toArray();
  const pids = Object.values(JSON.parse(String(line)) as Readonly<Record<string, number>>);
  assert.deepEqual(pids.map(isAlive), [true, true]);
  test.kill("SIGKILL");
  for (let wait = 0; wait < 100 && pids.some(isAlive); wait += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(pids.map(isAlive), [false, false]);
});

controlPlane("disposed, nothing is left but its files", async () => {
  const { etcd, apiserver } = cluster.pids();
  await cluster.dispose();
  assert.deepEqual([isAlive(etcd), isAlive(apiserver)], [false, false]);
});

interface Owned {
  readonly kind: string;
  readonly metadata: {
    readonly uid: string;
    readonly ownerReferences?: readonly { readonly kind: string; readonly uid: string }[];
  };
}

/** Without what each server makes anew, and the uids of owners. */
function withoutOrigin(object: FixtureObject): unknown {
  const origin = ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"];
  return JSON.parse(
    JSON.stringify(object, (key, value) => {
      if (key === "metadata") {
        return Object.fromEntries(
          Object.entries(value).filter(([field]) => !origin.includes(field)),
        );
      }
      return key === "ownerReferences" || key.endsWith("controller-uid") ? undefined : value;
    }),
  );
}

function items(list: Json): readonly unknown[] {
  return list["items"] as readonly unknown[];
}

/** What a client makes of a kubeconfig, whichever form its credential has. */
function readKubeconfig(file: string) {
  const config = parse(readFileSync(file, "utf8"));
  const [{ cluster: entry }] = config.clusters;
  const [{ user }] = config.users;
  const text = (fields: Readonly<Record<string, string>>, field: string) =>
    fields[field] === undefined
      ? atob(fields[`${field}-data`] ?? "")
      : readFileSync(fields[field], "utf8");
  const client = { certificate: text(user, "client-certificate"), key: text(user, "client-key") };
  const server: string = entry.server;
  return { server, tls: { ca: text(entry, "certificate-authority"), client } };
}

function isAlive(pid: number): boolean {
  // A process that nobody has waited for yet is dead all the same.
  const status = existsSync(`/proc/${pid}/status`)
    ? readFileSync(`/proc/${pid}/status`, "utf8")
    : "";
  return status !== "" && !/^State:\s*Z/m.test(status);
}

controlPlane.run();
