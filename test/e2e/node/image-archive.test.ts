import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { bless } from "../../../src/store/marks.ts";
import { ctr } from "./containerd.ts";
import type { Node } from "./node.ts";
import { cutPower, recover, succeed, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";

const imageArchive = suite("e2e/node/image-archive");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED archiving images of a real node: ${lacking}`);
}
const scenario = lacking === undefined ? imageArchive : imageArchive.skip;

const archiveDir = "/var/lib/blackstart/images";
const image = (name: string) => `docker.io/library/${name}:lab`;
/** Of the example's pods, and of their sandboxes. */
const archived = ["pause", "busybox", "etcd", "kube"].map(image);

scenario("a wiped image store is filled from the archive before the kubelet starts", async () => {
  const steps = startSteps("image-archive");
  const { step } = steps;
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  turnOn(node);
  await switchOn(steps, node);
  const before = names(node);
  const said = await step("images archive", () => succeed(node, "images", "archive"));
  assert.match(said, /the archive holds \d images of generation 2: \d+ blobs, [\d.]+ MB/);
  await cutPower(steps, node, cluster);

  wipe(node);
  await switchOn(steps, node);
  assert.deepEqual(names(node), []);
  const told = await step("images import", () => importNow(node));
  assert.equal(told.status, 0, told.stderr);
  const report = JSON.parse(told.stdout);
  assert.deepEqual(report.failed, []);
  for (const name of archived) {
    assert.ok(report.imported.includes(name), `${name} in ${report.imported}`);
  }
  assert.deepEqual(
    names(node),
    before.filter((name) => report.imported.includes(name)),
  );
  // A collection of garbage takes nothing of them.
  ctr(node.machine(), ["images", "rm", "--sync", "docker.io/library/none:lab"]);
  const again = JSON.parse((await step("images import again", () => importNow(node))).stdout);
  assert.deepEqual([again.imported, again.failed, again.importedBytes], [[], [], 0]);
  await recover(steps, node, cluster);

  await cutPower(steps, node, cluster);
  await switchOn(steps, node);
  // Blobs are gone, one is cut off; the database knows nothing of it.
  const blobs = join(node.disk, "var/lib/containerd/io.containerd.content.v1.content/blobs/sha256");
  const [first = "", second = ""] = documents(node);
  rmSync(join(blobs, first));
  chmodSync(join(blobs, second), 0o600);
  truncateSync(join(blobs, second), 10);
  const repaired = JSON.parse((await step("images import repairs", () => importNow(node))).stdout);
  assert.deepEqual([repaired.failed, repaired.imported.length > 0], [[], true]);
  const whole = JSON.parse(importNow(node).stdout);
  assert.deepEqual([whole.imported, whole.failed], [[], []]);
});

scenario("altered and truncated blobs cost their images, and no others", async () => {
  const steps = startSteps("image-archive, damaged");
  const { step } = steps;
  const { node, cluster } = await makeSettledNode(steps);
  await using _ = node;
  turnOn(node);
  await switchOn(steps, node);
  await step("images archive", () => succeed(node, "images", "archive"));
  await cutPower(steps, node, cluster);

  const [etcd = "", kube = ""] = ["etcd", "kube"].map((name) => layerOf(node, image(name)));
  alter(etcd);
  chmodSync(kube, 0o600);
  truncateSync(kube, 1_000_000);
  wipe(node);
  await switchOn(steps, node);
  const { status, stdout, stderr } = await step("images import", () => importNow(node));
  assert.equal(status, 73, stderr);
  const report = JSON.parse(stdout);
  const bare = (list: readonly string[]) => list.filter((name) => !name.startsWith("sha256:"));
  assert.deepEqual(bare(report.imported).toSorted(), [image("busybox"), image("pause")]);
  assert.deepEqual(bare(report.failed).toSorted(), [image("etcd"), image("kube")]);
  assert.match(
    stderr,
    /W_IMAGE_ARCHIVE: \S+etcd:lab is not imported: E_DIGEST: the blob is altered \(\S+\): expected sha256:\w+, found sha256:\w+/,
  );
  assert.match(
    stderr,
    /W_IMAGE_ARCHIVE: \S+kube:lab is not imported: E_DIGEST: the blob is truncated \(\S+\): expected \d+ bytes of sha256:\w+, found 1000000 bytes/,
  );
  assert.deepEqual(names(node), report.imported.toSorted());
});

/** The archive is on, and the generation is blessed. */
function turnOn(node: Node): void {
  appendFileSync(
    join(node.disk, "etc/blackstart/config.yaml"),
    `images: {archive: ${archiveDir}}\n`,
  );
  bless(join(node.disk, "var/lib/blackstart"), 2);
}

function importNow(node: Node) {
  return node.blackstart(["images", "import", "-o", "json"]);
}

/** As if the disk of the runtime had been replaced. */
function wipe(node: Node): void {
  const root = join(node.disk, "var/lib/containerd");
  for (const name of readdirSync(root)) {
    rmSync(join(root, name), { recursive: true });
  }
}

function names(node: Node): readonly string[] {
  const { stdout } = ctr(node.machine(), ["images", "ls", "-q"]);
  return stdout
    .split("\n")
    .filter((name) => name !== "")
    .toSorted();
}

interface Document {
  readonly manifests: readonly {
    readonly digest: string;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
  readonly layers: readonly { readonly digest: string }[];
  readonly config: { readonly digest: string };
}

function blobFile(node: Node, digest: string): string {
  return join(node.disk, archiveDir, "blobs", digest.replace(":", "/"));
}

function readDocument(file: string): Document {
  return JSON.parse(readFileSync(file, "utf8"));
}

function manifestOf(node: Node, name: string): Document {
  const { manifests } = readDocument(join(node.disk, archiveDir, "index.json"));
  const entry = manifests.find(
    ({ annotations }) => annotations["io.containerd.image.name"] === name,
  );
  return readDocument(blobFile(node, entry?.digest ?? "sha256:none"));
}

function layerOf(node: Node, name: string): string {
  return blobFile(node, manifestOf(node, name).layers[0]?.digest ?? "sha256:none");
}

/** The configurations of two images, as names of files. */
function documents(node: Node): readonly string[] {
  return ["etcd", "kube"].map((name) =>
    manifestOf(node, image(name)).config.digest.slice("sha256:".length),
  );
}

/** One bit, in the middle. */
function alter(file: string): void {
  const bytes = readFileSync(file);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
}

imageArchive.run();
