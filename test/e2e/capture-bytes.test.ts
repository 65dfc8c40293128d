import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { encodeJson } from "../../src/model/json.ts";
import { demand } from "./api.ts";
import { captureNode, ended } from "./capture-node.ts";
import { startControlPlane } from "./control-plane.ts";
import { note } from "./measured.ts";
import { objectsOfSet } from "./objects-of-set.ts";
import { assertTrue, find, namesIn } from "./truth.ts";

const bytes = suite("e2e/capture-bytes");

const dir = mkdtempSync(join(tmpdir(), "blackstart-e2e-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const cluster = await startControlPlane({
  dir: join(dir, "cluster"),
  // A field that is new and off, so that nothing of ours can have heard of it.
  apiserverFlags: ["--feature-gates=EmptyDirVolumeMode=true"],
});
const { api } = cluster;
const isCaptured = (name: string) => !["explicit-false", "static-web-node1"].includes(name);
const given = objectsOfSet("setA");
await cluster.apply(given);
await makeOddObjects();

const once = captureNode("node1", cluster.nodeKubeconfig("node1"));
const watched = captureNode("node1", cluster.nodeKubeconfig("node1"));

bytes("capture holds what the apiserver returns, byte for byte", async () => {
  const run = ended(await once.once());
  assert.match(run.stdout, /^generation 1 of node node1: /);
  const checkpoint = once.open(1);
  note(`capture: ${await assertTrue(api, checkpoint)} objects equal byte for byte`);
  const expected = given
    .filter(({ kind, metadata }) => kind === "Pod" && isCaptured(metadata.name))
    .filter(({ metadata }) => !metadata.name.startsWith("etcd-defrag"))
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  assert.deepEqual(namesIn(checkpoint, "Pod"), [...expected, "default/odd"].sort());
  assert.deepEqual(checkpoint.unprojectable, []);
  for (const kind of ["Secret", "ConfigMap", "Service", "Endpoints", "Node"]) {
    assert.ok(namesIn(checkpoint, kind).length > 0, kind);
  }
});

bytes("capture again writes nothing", async () => {
  ended(await once.once());
  assert.deepEqual(once.generations(), [1]);
});

bytes("capture --watch holds the same, byte for byte", async () => {
  const watching = watched.watch();
  assert.equal(await watched.after(0, 90_000), 1);
  const checkpoint = watched.open(1);
  note(`capture --watch: ${await assertTrue(api, checkpoint)} objects equal byte for byte`);
  assert.equal(checkpoint.items.length, once.open(1).items.length);
  // What comes by a watch instead of a list.
  await demand(api, "PATCH", "/api/v1/namespaces/default/configmaps/odd", {
    data: { "<&>": null, later: "\u2028<&>" },
  });
  await assertTrue(api, watched.open(await watched.after(1)));
  await watching.stop();
});

bytes("a field that is newer than anything of ours and integers of 64 bits survive", () => {
  for (const node of [once, watched]) {
    const text = encodeJson(find(node.open(1), "Pod", "default", "odd"));
    assert.match(text, /"emptyDir":\{"mode":1000\}/);
    assert.match(text, /"terminationGracePeriodSeconds":9007199254740993/);
    assert.match(text, /"tolerationSeconds":9223372036854775807/);
    assert.match(text, /"x\.example\/unknown":"<&>\u2028 é 😀"/);
  }
});

/** Objects that a client with types of its own, or with JavaScript's numbers, would damage. */
async function makeOddObjects(): Promise<void> {
  const path = "/api/v1/namespaces/default";
  await demand(api, "POST", `${path}/configmaps`, {
    metadata: { name: "odd" },
    data: { "a.json": '{"n": 9007199254740993}', html: "<&>\u2028\u2029" },
    binaryData: { bin: "AAECA/8=" },
  });
  await demand(api, "POST", `${path}/secrets`, {
    metadata: { name: "odd", finalizers: ["example.com/unknown"] },
    immutable: true,
    data: { constructor: "", toString: "AA==" },
  });
  const pod = {
    metadata: { name: "odd", annotations: { "x.example/unknown": "<&>\u2028 é 😀" } },
    spec: {
      nodeName: "node1",
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: "Exists", effect: "NoExecute", tolerationSeconds: 2 }],
      containers: [
        {
          name: "c",
          image: "registry.example/odd:1",
          envFrom: [{ configMapRef: { name: "odd" } }],
          volumeMounts: [
            { name: "scratch", mountPath: "/scratch" },
            { name: "secret", mountPath: "/secret" },
          ],
        },
      ],
      volumes: [
        { name: "scratch", emptyDir: { mode: 0o1750 } },
        { name: "secret", secret: { secretName: "odd" } },
      ],
    },
  };
  const text = JSON.stringify(pod)
    .replace(
      '"terminationGracePeriodSeconds":1',
      '"terminationGracePeriodSeconds":9007199254740993',
    )
    .replace('"tolerationSeconds":2', '"tolerationSeconds":9223372036854775807');
  await demand(api, "POST", `${path}/pods`, text);
}

bytes.run();
