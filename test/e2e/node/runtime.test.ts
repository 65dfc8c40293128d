import assert from "node:assert/strict";
import { suite } from "uvu";
import {
  ourLabel,
  pinImage,
  pinnedByUs,
  pinnedLabel,
  unpinImage,
} from "../../../src/runtime/containerd.ts";
import { imageStatus, runtimeVersion } from "../../../src/runtime/cri.ts";
import { openGrpcSocket } from "../../../src/runtime/grpc.ts";
import { containerdSocket, ctr } from "./containerd.ts";
import { makeNode } from "./node.ts";
import { lackingForNode } from "./requirements.ts";
import { startSteps } from "./steps.ts";

const runtime = suite("e2e/node/runtime");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED asking a real containerd: ${lacking}`);
}
const scenario = lacking === undefined ? runtime : runtime.skip;
const deadlineMs = 10_000;
const name = "docker.io/library/busybox:lab";

scenario("an image is told of, pinned and unpinned, and the pins of others stay", async () => {
  const { step } = startSteps("runtime");
  await using node = await step("make the node", () => makeNode());
  await step("boot", () => node.boot());
  await step("containerd, with images", () => node.startContainerd());
  using socket = openGrpcSocket(node.path(containerdSocket));
  const status = async (image: string) => {
    const found = await imageStatus(socket, image, deadlineMs);
    return found.kind === "present" ? found.image : undefined;
  };

  assert.equal((await runtimeVersion(socket, deadlineMs))?.name, "containerd");
  const image = await status(name);
  assert.match(image?.id ?? "", /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual(image?.repoTags, [name]);
  assert.deepEqual(image?.repoDigests, []);
  assert.ok((image?.size ?? 0) > 500_000);
  assert.equal(image?.pinned, false);
  // By its id, as the kubelet's records name it.
  assert.deepEqual(await status(image?.id ?? ""), image);
  const missing = await imageStatus(socket, "docker.io/library/none:lab", deadlineMs);
  assert.deepEqual(missing, { kind: "absent" });

  assert.deepEqual(await pinImage(socket, name, deadlineMs), { kind: "pinned" });
  assert.equal((await status(name))?.pinned, true);
  assert.deepEqual(await pinImage(socket, name, deadlineMs), { kind: "pinned" });
  assert.deepEqual(await pinnedByUs(socket, deadlineMs), [name]);
  assert.deepEqual(await unpinImage(socket, name, deadlineMs), { kind: "unpinned" });
  assert.equal((await status(name))?.pinned, false);
  assert.deepEqual(await pinnedByUs(socket, deadlineMs), []);
  const labels = () => ctr(node.machine(), ["images", "ls", `name==${name}`]).stdout;
  assert.ok(!labels().includes(ourLabel) && !labels().includes(pinnedLabel), labels());

  ctr(node.machine(), ["images", "label", name, `${pinnedLabel}=pinned`, "theirs=1"]);
  assert.deepEqual(await pinImage(socket, name, deadlineMs), { kind: "foreign" });
  assert.deepEqual(await unpinImage(socket, name, deadlineMs), { kind: "foreign" });
  assert.equal((await status(name))?.pinned, true);
  assert.match(labels(), /theirs=1/);

  const absent = await pinImage(socket, "docker.io/library/none:lab", deadlineMs);
  assert.deepEqual(absent, { kind: "absent" });
});

runtime.run();
