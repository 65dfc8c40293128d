import assert from "node:assert/strict";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import type { Cluster } from "./cluster.ts";
import { privateKeysOf, tokensOf } from "./cluster-secrets.ts";
import { etcdKeyBefore, readEtcd } from "./etcd-content.ts";
import { inEnvironment, makeMarks, markedObjects, namespace } from "./marked-workloads.ts";
import type { Node } from "./node.ts";
import { isParent, isReady, projectedPods, waitUntilProjectedRun } from "./projected.ts";
import { cutPower, handAllBack, recover, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { type Found, formsOf, type Marks, placesIn, searchFiles } from "./secret-marks.ts";
import { impatient, makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";

const noLeaks = suite("e2e/node/no-secret-leaks");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED the search for secrets where none should be: ${lacking}`);
}
const scenario = lacking === undefined ? noLeaks : noLeaks.skip;

/** Where, outside our own memory, values of Secrets are, and why. That pods of the API put them there too is asserted. */
const platform: readonly { readonly files: RegExp; readonly why: string }[] = [
  {
    files: /^var\/lib\/containerd\/io\.containerd\.metadata\.v1\.bolt\/meta\.db$/,
    why: "containerd keeps the specification of each container, with its environment",
  },
  {
    files: /^run\/containerd\/io\.containerd\.runtime\.v2\.task\/k8s\.io\/ID\/config\.json$/,
    why: "runc reads the specification there; a tmpfs",
  },
];

scenario("no secret is where none was before, and none in the API but in Secrets", async () => {
  const steps = startSteps("no-secret-leaks");
  const { step } = steps;
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  const marks = makeMarks();
  const said: string[] = [];
  const say = (...words: readonly string[]) => {
    const { stdout, stderr, status } = node.blackstart(words);
    said.push(`blackstart ${words.join(" ")}: ${status}\n${stdout}${stderr}`);
  };

  await switchOn(steps, node);
  const first = await recover(steps, node, cluster);
  const oldTokens = tokensOf(node, "first");
  await handAllBack(steps, node, cluster, first.copies);
  await step("create the workloads", () => cluster.apply(markedObjects(node.name, marks)));
  await step("they are Ready", () => workloadsRun(cluster));
  const byApi = new Map([...marks, ...privateKeysOf(cluster), ...oldTokens]);
  const runBefore = await step("search what is in memory", () => inMemory(node, byApi));
  const tellsBefore = placesIn(JSON.stringify(await node.kubeletPods()), formsOf(byApi));
  await step("capture", () => say("capture", "-v"));
  assert.match(said.join(), /generation 3 of node/);
  await cutPower(steps, node, cluster);
  const before = await step("search the disk", () => onDisk(node, byApi));

  await switchOn(steps, node);
  const forms = (words: string) =>
    ["text", "json", "yaml"].map((form) => [...words.split(" "), "-o", form]);
  for (const words of [...forms("restore --dry-run --force"), ["restore", "-v"]]) {
    await step(words.join(" "), () => say(...words));
  }
  const copies = projectedPods(node);
  await step("kubelet", () => node.startKubelet(impatient));
  await step("/readyz", () => cluster.waitUntilReady(180_000));
  await step("all projected pods", () => waitUntilProjectedRun(node, copies, 180_000));
  await step("their parents beside them", () => workloadsRun(cluster));
  const shown = copies.map(({ namespace: of, name }) => `show ${of}/${name} -v`);
  for (const words of [
    ...shown,
    "status -v",
    "verify -v",
    "restore -v",
    "capture -v",
    "settle -v",
  ]) {
    for (const all of /^(show|status)/.test(words) ? forms(words) : [words.split(" ")]) {
      say(...all);
    }
  }
  // A person's mistake, with a Secret in hand.
  say("capture", "--from", "/var/tmp/there-is-no-such-file");

  const newTokens = tokensOf(node, "second");
  assert.ok(newTokens.size > oldTokens.size, `${newTokens.size} tokens`);
  const all: Marks = new Map([...byApi, ...newTokens]);
  const secrets = formsOf(all);

  // What the search must find, or it is blind.
  const projected = searchFiles(node.path("/run/blackstart"), secrets);
  const inVolumes = ["projected", "volume", "volume-sub-path", ...newTokens.keys()];
  assert.deepEqual(placesOf(projected, /^pods\//, marks, newTokens), inVolumes.toSorted());
  assert.deepEqual(
    placesOf(projected, /^manifests\//, marks, newTokens),
    inEnvironment.toSorted(),
    "only what secretEnv: inline needs",
  );
  assert.deepEqual(searchFiles(join(node.disk, "etc/kubernetes/manifests"), secrets), []);
  assertLinksOnly(join(node.disk, "etc/kubernetes/manifests"));
  assertMemoryOnly(node);

  const entries = await step("read all of etcd", () => readEtcd(node, cluster));
  const found = entries.flatMap(({ key, value }) =>
    placesIn(value.toString("latin1"), secrets).map((place) => `${key} ${place}`),
  );
  const elsewhere = found.filter((line) => !line.startsWith("/registry/secrets/"));
  assert.deepEqual(elsewhere, []);
  const kept = [...new Set(found.map((line) => line.slice(line.indexOf(" ") + 1)))].sort();
  assert.deepEqual(kept, [...marks.keys(), ...privateKeysOf(cluster).keys()].toSorted());
  const mirrors = entries
    .map(({ key }) => key)
    .filter((key) => key.startsWith(`/registry/pods/${namespace}/`) && key.endsWith(node.name));
  assert.deepEqual(mirrors, [`/registry/pods/${namespace}/files-${node.name}`]);
  console.log(`# etcd: ${entries.length} keys, ${found.length} hold a secret, all of them Secrets`);

  const told = placesIn(JSON.stringify(await node.kubeletPods()), secrets);
  assert.deepEqual(tellsBefore, []);
  assert.deepEqual(told, inEnvironment.toSorted(), "the kubelet's own list of pods");
  assert.deepEqual(placesIn(said.join("\n"), secrets), [], "what blackstart printed");
  const runAfter = await step("search what is in memory", () => inMemory(node, all));
  await cutPower(steps, node, cluster);

  const after = await step("search the disk", () => onDisk(node, all));
  assertOnlyPlatform([...runBefore, ...before], [...runAfter, ...after]);
  await step("search etcd's files", () => assertEtcdFiles(node, all, marks));
  assert.deepEqual(searchFiles(node.logDir, secrets), [], "the logs");
  const log = readFileSync(join(node.logDir, "kubelet.log"), "utf8");
  assert.match(log, /mirror.*resourceVersion should not be set/, "the refusal of a mirror pod");

  await step("secretEnv: refuse", async () => {
    await node.boot();
    node.run(["sh", "-c", "echo 'secretEnv: refuse' >> /etc/blackstart/config.yaml"]);
    const { stdout, stderr } = node.blackstart(["restore", "--force"]);
    assert.match(stdout + stderr, new RegExp(`left out ${namespace}/env: `));
    assert.deepEqual(searchFiles(node.path("/run/blackstart/manifests"), secrets), []);
  });
});

async function workloadsRun(cluster: Cluster): Promise<void> {
  await eventually("the workloads are Ready", 180_000, async () => {
    const ours = (await cluster.pods()).filter(
      (pod) => pod.metadata.namespace === namespace && isParent(pod) && isReady(pod),
    );
    const names = ours.map(({ metadata }) => metadata.name).sort();
    assert.deepEqual(names, ["env", "env-binary", "files"]);
    return true;
  });
}

function placesOf(
  found: readonly Found[],
  files: RegExp,
  ...ours: readonly Marks[]
): readonly string[] {
  const places = found.filter(({ file }) => files.test(file)).map(({ place }) => place);
  const isOurs = (place: string) => ours.some((marks) => marks.has(place));
  return [...new Set(places)].filter(isOurs).sort();
}

/** `FILE PLACE`, what differs from one container to the next left out. */
type Traces = readonly string[];

function tracesOf(folder: string, found: readonly Found[]): Traces {
  const lines = found.map(({ file, place }) => `${join(folder, file)} ${place}`);
  return [...new Set(lines.map((line) => line.replace(/\b[0-9a-f]{64}\b/g, "ID")))].sort();
}

/** Everything that lasts, but etcd's own files. */
function onDisk(node: Node, marks: Marks): Traces {
  const found = searchFiles(node.disk, formsOf(marks));
  return tracesOf(
    "",
    found.filter(({ file }) => !file.startsWith("var/lib/etcd/")),
  );
}

/** /run and /tmp, without our tmpfs, and without what containers see, which is searched at its source. */
function inMemory(node: Node, marks: Marks): Traces {
  return ["run", "tmp"].flatMap((folder) =>
    tracesOf(
      folder,
      searchFiles(node.path(`/${folder}`), formsOf(marks), ["blackstart", "rootfs"]),
    ),
  );
}

function assertOnlyPlatform(before: Traces, after: Traces): void {
  const fileOf = (trace: string) => trace.slice(0, trace.indexOf(" "));
  const unexplained = [...before, ...after].filter(
    (trace) => !platform.some(({ files }) => files.test(fileOf(trace))),
  );
  assert.deepEqual(unexplained, []);
  assert.deepEqual(
    after.filter((trace) => !before.includes(trace)),
    [],
    "new by blackstart",
  );
  for (const { files, why } of platform) {
    const places = before.filter((trace) => files.test(fileOf(trace)));
    console.log(`# ${places.length} secrets of pods of the API: ${why}`);
    assert.ok(places.length > 0, `no longer so: ${why}`);
  }
}

/** In what etcd has ever written, current or not, secrets stand in records of Secrets only. */
function assertEtcdFiles(node: Node, all: Marks, marks: Marks): void {
  const dir = join(node.disk, "var/lib/etcd");
  const contents = new Map<string, Buffer>();
  const records = searchFiles(dir, formsOf(all)).map(({ file, offset, place }) => {
    const bytes = contents.get(file) ?? readFileSync(join(dir, file));
    contents.set(file, bytes);
    return { file, place, key: etcdKeyBefore(bytes, offset) };
  });
  const elsewhere = records.filter(({ key }) => !key.startsWith("/registry/secrets/"));
  assert.deepEqual(elsewhere, []);
  const inDatabase = records.filter(({ file }) => file.endsWith("/db")).map(({ place }) => place);
  assert.deepEqual(
    [...marks.keys()].filter((place) => !inDatabase.includes(place)),
    [],
  );
  console.log(`# etcd's files: ${records.length} secrets, all of them in records of Secrets`);
}

function assertLinksOnly(dir: string): void {
  for (const name of readdirSync(dir)) {
    assert.ok(lstatSync(join(dir, name)).isSymbolicLink(), name);
  }
}

/** What lies there cannot come onto a disk by way of swap. */
function assertMemoryOnly(node: Node): void {
  const mounts = readFileSync(`/proc/${node.machine().pid}/mountinfo`, "utf8").split("\n");
  const [mount = ""] = mounts.filter((line) => line.includes(" /run/blackstart "));
  const [, after = ""] = mount.split(" - ");
  const swaps = readFileSync("/proc/swaps", "utf8").trim().split("\n").slice(1);
  assert.match(after, /^(tmpfs|ramfs) /);
  assert.ok(after.startsWith("ramfs ") || after.includes("noswap") || swaps.length === 0, mount);
}

noLeaks.run();
