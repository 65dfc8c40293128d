import assert from "node:assert/strict";
import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KubeletMinor } from "../binaries.ts";
import { makeAppImage, versionFile } from "../images/app.ts";
import { type Edge, makeEdge } from "./edge.ts";
import {
  deletePods,
  imagePod,
  joinEdge,
  kubeletSettings,
  namesOf,
  namespace,
  pullSecret,
  readIn,
  reconnect,
  refusalOf,
  switchEdgeOn,
  untilGone,
  untilRun,
} from "./image-pods.ts";
import { makePrivateRegistry, type PrivateRegistry } from "./private-registry.ts";
import { type ProjectedPod, projectedPods, waitUntilProjectedRun } from "./projected.ts";
import { hasRecord, type KeptRecord, pullRecords } from "./pull-records.ts";
import { succeed } from "./recovery.ts";
import { type Steps, startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";

const deadlineMs = 180_000;
const config = "select: all\nprobe: {deadline: 1s, network: 1s}\n";
const repository = "team/app";

/** What the images of the first life are known by. */
interface Images {
  /** What the pods' specs name. */
  readonly tag: string;
  /** `registry/repository@sha256:…` of what the captured pod ran. */
  readonly captured: string;
  /** The runtime's ids, `sha256:…`: of what the captured pod ran, and of what the tag means since. */
  readonly capturedId: string;
  readonly movedId: string;
}

/**
 * Two power cuts of a node with a private image, its registry gone: the record of the kubelet that would forbid a copy
 * its image is set aside and put back; left in its place it stops that copy alone.
 */
export async function runPulledImages(kubelet: KubeletMinor): Promise<void> {
  const steps = startSteps(`pulled-images-${kubelet}`);
  const { step } = steps;
  await using edge = await step("a control plane, a node, a cable", () =>
    makeEdge(config, kubelet),
  );
  using registry = await step("a registry", () => makePrivateRegistry(edge.node));
  const images = await live(steps, edge, registry);
  const before = pullRecords(edge.node);

  await step("power cut", () => edge.node.powerCut());
  const { copies, daemon } = await recoverSetAside(steps, edge, images);
  await handBack(steps, edge, copies, before);
  await step("stop the kubelet", () => daemon.stop("SIGTERM"));
  await isGuardedAgain(steps, edge, images);

  await step("power cut", () => edge.node.powerCut());
  await switchEdgeOn(steps, edge, "site");
  await step("restore", () => succeed(edge.node, "restore"));
  assert.equal(hasRecord(edge.node, images.capturedId), false);
  await step("power cut, before anything else", () => edge.node.powerCut());
  await recoverKept(steps, edge, images, before);
}

/** A pod that pulls with a secret and one that need not, captured; then the tag means another image. */
async function live(steps: Steps, edge: Edge, registry: PrivateRegistry): Promise<Images> {
  const { step } = steps;
  const { node, control } = edge;
  await joinEdge(steps, edge);
  await step("the registry", () => registry.start());
  const push = (version: string) => registry.push(makeAppImage(version), repository, "1");
  const digest = await step("push an image", () => push("one"));
  const tag = `${registry.name}/${repository}:1`;
  await step("create a Secret and pods", () =>
    control.apply([
      pullSecret(registry.name),
      imagePod(node.name, { name: "private", image: tag, isTrusted: true }),
      imagePod(node.name, { name: "public", image: "docker.io/library/busybox:lab" }),
    ]),
  );
  await step("they run", () => untilRun(edge, ["private", "public"]));
  assert.equal(readIn(edge, "private", versionFile), "one");
  const [record, ...others] = pullRecords(node);
  assert.ok(record !== undefined && others.length === 0);
  const { imageRef: capturedId, credentialMapping } = JSON.parse(record.text) as {
    readonly imageRef: string;
    readonly credentialMapping: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  const mapped = credentialMapping[`${registry.name}/${repository}`] ?? {};
  assert.match(JSON.stringify(mapped["kubernetesSecrets"]), /"name":"registry"/);
  assert.equal(mapped["nodePodsAccessible"], undefined);

  const captured = await step("capture", () => succeed(node, "capture"));
  assert.match(captured, /generation 1 of node edge1: 2 pods/);
  const reference = `${registry.name}/${repository}@${digest}`;
  const told = imageOf(edge, "private");
  assert.deepEqual(
    [told.digest, told.id, told.present, told.pinned],
    [reference, capturedId, true, true],
  );

  await step("push another under its tag", () => push("two"));
  const other = { name: "mover", image: tag, policy: "Always", isTrusted: true } as const;
  await step("a pod that pulls it", async () => {
    await control.apply([imagePod(node.name, other)]);
    await untilRun(edge, ["mover"]);
  });
  assert.equal(readIn(edge, "mover", versionFile), "two");
  const movedId = pullRecords(node)
    .map(({ text }) => (JSON.parse(text) as { readonly imageRef: string }).imageRef)
    .find((id) => id !== capturedId);
  assert.ok(movedId !== undefined);
  return { tag, captured: reference, capturedId, movedId };
}

/** The kubelet has no record of the image, so it takes it for one that nobody pulled. */
async function recoverSetAside(steps: Steps, edge: Edge, images: Images) {
  const { step } = steps;
  const { node } = edge;
  await switchEdgeOn(steps, edge, "site");
  const said = await step("restore", () => succeed(node, "restore"));
  assert.match(said, /restore 5\/5 project: 2 of 2 pods/);
  assert.ok(said.includes(`1 pull record set aside for ${images.tag}\n`), said);
  assert.doesNotMatch(said, /W_IMAGE_CREDENTIALS/);
  // Of what is projected, and of nothing else.
  assert.equal(hasRecord(node, images.capturedId), false);
  assert.equal(hasRecord(node, images.movedId), true);
  const copies = projectedPods(node);
  assert.deepEqual(namesOf(copies), ["private", "public"]);
  const [copy] = copies.filter(({ name }) => name === "private");
  assert.ok(copy !== undefined);
  const manifest = readFileSync(node.path(readlinkSync(copy.link)), "utf8");
  assert.ok(manifest.includes(JSON.stringify(images.captured)), manifest);
  assert.ok(!manifest.includes(images.tag));
  const daemon = await step("kubelet", () => node.startKubelet(kubeletSettings));
  await step("all copies", () => waitUntilProjectedRun(node, copies, deadlineMs));
  // Not what the tag means by now.
  assert.equal(readIn(edge, `private-${node.name}`, versionFile), "one");
  return { copies, daemon };
}

/** The copies go, the pods of the API are alone, and the kubelet's files are as they were. */
async function handBack(
  { step }: Steps,
  edge: Edge,
  copies: readonly ProjectedPod[],
  before: readonly KeptRecord[],
): Promise<void> {
  await step("the control plane is back", () => reconnect(edge, copies));
  const said = await step("restore --retire", () => succeed(edge.node, "restore", "--retire"));
  assert.match(said, /2 pods: \d+ paths removed, 1 pull record put back/);
  assert.deepEqual(pullRecords(edge.node), before);
  await step("the copies go", () => untilGone(edge, copies));
  // What the API server tells of them may be from before the power cut. The mover waits for the registry.
  await step("the pods of the API run", () =>
    eventually("private and public run", deadlineMs, () => {
      const running = edge.node.containers().map(({ pod }) => pod);
      return ["private", "public"].every((name) => running.includes(name)) ? true : undefined;
    }),
  );
}

/** A kubelet that has read the record lets a pod have the image only with the secret. */
async function isGuardedAgain({ step }: Steps, edge: Edge, images: Images): Promise<void> {
  const { node, control } = edge;
  await step("kubelet", () => node.startKubelet(kubeletSettings));
  const image = images.captured;
  await step("a pod without the secret is refused, one with it runs", async () => {
    await control.apply([
      imagePod(node.name, { name: "stranger", image }),
      imagePod(node.name, { name: "friend", image, isTrusted: true }),
    ]);
    await untilRun(edge, ["friend"]);
    assert.match(await refusalOf(edge, "stranger"), /^(ErrImagePull|ImagePullBackOff)$/);
  });
  assert.equal(readIn(edge, "friend", versionFile), "one");
  await deletePods(edge, ["stranger", "friend"]);
}

/**
 * With `keep` what an earlier boot has set aside is put back and no file of the kubelet's is touched otherwise: the
 * private pod waits for its registry, and nobody else.
 */
async function recoverKept(
  steps: Steps,
  edge: Edge,
  images: Images,
  before: readonly KeptRecord[],
): Promise<void> {
  const { step } = steps;
  const { node } = edge;
  const text = `${config}images: {pullRecords: keep}\n`;
  writeFileSync(join(node.disk, "etc/blackstart/config.yaml"), text);
  await switchEdgeOn(steps, edge, "site");
  const said = await step("restore, with keep", () => succeed(node, "restore"));
  assert.match(said, /restore 1\/5 boot: 1 pull record put back, set aside by an earlier boot/);
  assert.match(said, /W_IMAGE_CREDENTIALS[^\n]*lab\/private/);
  assert.doesNotMatch(said, /W_IMAGE_CREDENTIALS[^\n]*lab\/public/);
  assert.deepEqual(pullRecords(node), before);
  const status = succeed(node, "status");
  assert.match(status, /W_IMAGE_CREDENTIALS[^\n]*lab\/private/);
  assert.notEqual(imageOf(edge, "private").use, "usable");
  assert.equal(imageOf(edge, "public").use, "usable");
  const copies = projectedPods(node);
  assert.deepEqual(namesOf(copies), ["private", "public"]);
  await step("kubelet", () => node.startKubelet(kubeletSettings));
  const others = copies.filter(({ name }) => name !== "private");
  await step("all other copies", () => waitUntilProjectedRun(node, others, deadlineMs));
  const reason = await step("the kubelet refuses that one its image", () =>
    refusalOf(edge, `private-${node.name}`),
  );
  assert.match(reason, /^(ErrImagePull|ImagePullBackOff)$/);
  assert.deepEqual(pullRecords(node), before);
  assert.equal(hasRecord(node, images.capturedId), true);
}

/** What `status` tells of the one image of a pod. */
function imageOf({ node }: Edge, pod: string) {
  const { pods } = JSON.parse(node.blackstart(["status", "-o", "json"]).stdout) as {
    readonly pods: readonly {
      readonly namespace: string;
      readonly name: string;
      readonly images: readonly {
        readonly digest: string | null;
        readonly id: string | null;
        readonly present: boolean | null;
        readonly pinned: boolean | null;
        readonly use: string | null;
      }[];
    }[];
  };
  const found = pods.find((one) => one.namespace === namespace && one.name === pod)?.images;
  assert.equal(found?.length, 1);
  return found[0] as NonNullable<(typeof found)[0]>;
}
