import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { suite } from "uvu";
import {
  answerImages,
  type FakeImage,
  type FakeRuntime,
  fakeRuntime,
} from "../runtime/fake-runtime.ts";
import { describe, succeed } from "./executable.ts";
import { assertSecret } from "./live/bad-cluster.ts";
import { type FakeApiserver, fakeApiserver } from "./live/fake-apiserver.ts";
import {
  cluster,
  generations,
  kubeconfig,
  liveNode,
  login,
  opened,
  start,
} from "./live/live-node.ts";
import { memory, type NodeRoot } from "./node-root.ts";
import { configMap, objects, pod } from "./objects.ts";

const test = suite("images of a live capture");

const sha = (letter: string) => `sha256:${letter.repeat(64)}`;
const name = "registry.example/web:1";
const digest = `registry.example/web@${sha("a")}`;
const image: FakeImage = { id: sha("1"), repoTags: [name], repoDigests: [digest] };
const place = { namespace: "kube-system", pod: "web", place: "containers/web", name };
const known = { ...place, digest, id: sha("1") };

interface Scene {
  readonly node: NodeRoot;
  readonly server: FakeApiserver;
  /** Where the kubelet looks for its runtime when it is not told. */
  readonly socket: string;
}

/** A test with a node, its cluster, whose one pod has run, and perhaps a runtime. */
function scene(title: string, run: (scene: Scene) => Promise<void>): void {
  test(title, async () => {
    if (memory === undefined) {
      console.log(`SKIPPED ${title}: no tmpfs is writable`);
      return;
    }
    using node = liveNode();
    await using server = await fakeApiserver(cluster());
    server.put(ran(digest));
    login(node, kubeconfig(server.port));
    const socket = node.at("run/containerd/containerd.sock");
    mkdirSync(dirname(socket), { recursive: true });
    await run({ node, server, socket });
  });
}

/** The pod, once this has run in it. */
function ran(imageID: string) {
  return { ...pod(), status: { containerStatuses: [{ name: "web", imageID }] } };
}

async function capture({ root }: NodeRoot) {
  const result = await start(["capture", "--root", root]).result;
  assertSecret(result);
  assert.equal(result.status, 0, describe(result));
  return result;
}

const newest = (node: NodeRoot): number => generations(node).at(-1) ?? 0;
const runtimeWith = (socket: string, ...images: readonly FakeImage[]): Promise<FakeRuntime> =>
  fakeRuntime(answerImages(images), socket);

scene("the digest that ran is in the generation, in the manifest, and shown", async (it) => {
  await using _ = await runtimeWith(it.socket, image);
  const { stdout } = await capture(it.node);
  assert.doesNotMatch(stdout, /W_RUNTIME|W_IMAGE/);
  assert.ok(stdout.includes(digest), stdout);
  assert.deepEqual(opened(it.node, 3).images, [known]);
  const shown = succeed(["show", "kube-system/web", "--root", it.node.root, "-o", "json"]).stdout;
  const { images, manifest } = JSON.parse(shown);
  assert.deepEqual(images, [{ place: "containers/web", name, reference: digest, id: sha("1") }]);
  assert.equal(manifest.spec.containers[0].image, digest);
});

scene("a tag that has moved is no change; what runs now is", async (it) => {
  const held: FakeImage[] = [image];
  await using runtime = await fakeRuntime((call) => answerImages(held)(call), it.socket);
  await capture(it.node);
  held.splice(0, 1, { ...image, repoTags: [] });
  held.push({
    id: sha("2"),
    repoTags: [name],
    repoDigests: [digest.replaceAll("a".repeat(64), "b".repeat(64))],
  });
  assert.match((await capture(it.node)).stdout, /nothing has changed since generation 3/);
  it.server.put(ran(`registry.example/web@${sha("b")}`));
  await capture(it.node);
  assert.deepEqual(opened(it.node, 4).images, [
    { ...place, digest: `registry.example/web@${sha("b")}`, id: sha("2") },
  ]);
  assert.equal(runtime.connections(), 0);
});

scene("an image that the runtime does not have is said, and captured by its name", async (it) => {
  await using _ = await runtimeWith(it.socket);
  const { stdout } = await capture(it.node);
  assert.match(
    stdout,
    /W_IMAGE_MISSING kube-system\/web: container web: .*registry\.example\/web:1/,
  );
  assert.doesNotMatch(stdout, /W_RUNTIME/);
  assert.deepEqual(opened(it.node, 3).images, [place]);
});

scene("without a runtime there is one warning, and no images", async (it) => {
  const { stdout } = await capture(it.node);
  assert.equal(stdout.match(/W_RUNTIME/g)?.length, 1, stdout);
  assert.equal(opened(it.node, 3).images, undefined);
});

scene("a runtime that falls silent costs 2 s and a warning, and changes nothing", async (it) => {
  await using runtime = await runtimeWith(it.socket, image);
  const { ms: quickMs } = await capture(it.node);
  runtime.answer = () => () => undefined;
  const { stdout, ms } = await capture(it.node);
  assert.equal(stdout.match(/W_RUNTIME/g)?.length, 1, stdout);
  assert.match(stdout, /no answer within 2 s/);
  assert.match(stdout, /nothing has changed since generation 3/);
  assert.ok(ms >= 2_000 && ms < quickMs + 10_000, `${ms} ms, else ${quickMs} ms`);
  // A change is a generation all the same, with what was known.
  it.server.put(configMap({ level: "newer" }));
  await capture(it.node);
  assert.deepEqual(opened(it.node, 4).images, [known]);
});

scene("a watch says once what is wrong with an image, and once that it is well", async (it) => {
  const held: FakeImage[] = [];
  await using _ = await fakeRuntime((call) => answerImages(held)(call), it.socket);
  const running = start(["capture", "--watch", "--root", it.node.root]);
  await running.says(/generation 3: 1 pod/);
  for (const level of ["a", "b"]) {
    it.server.put(configMap({ level }));
    await running.says(new RegExp(`generation ${newest(it.node) + 1}: 1 pod`));
    await pause(100);
  }
  assert.equal(running.said().match(/W_IMAGE_MISSING/g)?.length, 1, running.said());
  held.push({ ...image, also: ["registry.example/web:2"] });
  // Another question, so that it is asked anew at once.
  const spec = { containers: [{ ...pod().spec.containers[0], image: "registry.example/web:2" }] };
  it.server.put({ ...pod({ spec }), status: ran(digest).status });
  await running.says(/no longer so: W_IMAGE_MISSING/);
  await running.says(/generation 6: 1 pod/);
  running.child.kill("SIGTERM");
  const result = await running.result;
  assertSecret(result);
  assert.equal(result.status, 0, describe(result));
  assert.equal(result.stderr.match(/W_IMAGE_MISSING/g)?.length, 2, result.stderr);
  assert.deepEqual(opened(it.node, 6).images, [{ ...known, name: "registry.example/web:2" }]);
});

scene("a capture from files asks no runtime", async (it) => {
  await using runtime = await runtimeWith(it.socket, image);
  const files = it.node.objects(...objects({ level: "file" }));
  succeed(["capture", "--from", files, "--root", it.node.root]);
  assert.equal(opened(it.node, 3).images, undefined);
  assert.deepEqual(runtime.asked, []);
});

test.run();
