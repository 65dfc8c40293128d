import assert from "node:assert/strict";
import { suite } from "uvu";
import { imageStatus } from "../../../src/runtime/cri.ts";
import { openGrpcSocket } from "../../../src/runtime/grpc.ts";
import { containerdSocket, ctr } from "./containerd.ts";
import { handAllBack, recover, succeed, switchOn } from "./recovery.ts";
import { lackingForNode } from "./requirements.ts";
import { checkpointed, makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";
import { eventually } from "./wait.ts";

const images = suite("e2e/node/images");

const lacking = lackingForNode();
if (lacking !== undefined) {
  console.log(`SKIPPED the images of a real node: ${lacking}`);
}
const scenario = lacking === undefined ? images : images.skip;
const deadlineMs = 10_000;

/** What `show` says of an image. */
interface ShownImage {
  readonly place: string;
  readonly name: string;
  readonly reference: string;
  readonly id?: string;
}

/** What a pod has in the newest generation. */
interface Shown {
  readonly images: readonly ShownImage[];
  readonly manifest: {
    readonly spec: Readonly<
      Record<"containers" | "initContainers", readonly NamedImage[] | undefined>
    >;
  };
}

interface NamedImage {
  readonly name: string;
  readonly image: string;
}

scenario(
  "a live capture knows the image of each container, and a missing one is said",
  async () => {
    const steps = startSteps("images");
    const { step } = steps;
    const { node, cluster } = await makeSettledNode(steps);
    await using _ = node;
    await switchOn(steps, node);
    using socket = openGrpcSocket(node.path(containerdSocket));
    const idOf = async (name: string) => {
      const found = await imageStatus(socket, name, deadlineMs);
      return found.kind === "present" ? found.image.id : undefined;
    };

    const { copies } = await recover(steps, node, cluster);
    assert.equal(copies.length, checkpointed);
    const show = (pod: string): Shown =>
      JSON.parse(node.blackstart(["show", pod, "-o", "json"]).stdout);
    await step("each captured image is what the runtime has by its name", async () => {
      for (const { namespace, name } of copies) {
        const { images: shown, manifest } = show(`${namespace}/${name}`);
        const { initContainers = [], containers = [] } = manifest.spec;
        assert.deepEqual(
          shown.map(({ place, reference }) => [place, reference]),
          [
            ...initContainers.map((one) => [`initContainers/${one.name}`, one.image]),
            ...containers.map((one) => [`containers/${one.name}`, one.image]),
          ],
        );
        for (const image of shown) {
          // Imported images have no digest: the name stays.
          assert.equal(image.reference, image.name);
          assert.match(image.id ?? "", /^sha256:[0-9a-f]{64}$/);
          assert.equal(image.id, await idOf(image.name), `${name} ${image.place}`);
        }
      }
    });

    await handAllBack(steps, node, cluster, copies);
    const first = await step("capture", () => succeed(node, "capture"));
    assert.doesNotMatch(first, /W_RUNTIME|W_IMAGE_MISSING/);
    const again = await step("capture again", () => succeed(node, "capture"));
    assert.match(again, /nothing has changed/);
    const pod = `${copies[0]?.namespace}/${copies[0]?.name}`;
    const lost = show(pod).images[0]?.name ?? "";
    ctr(node.machine(), ["images", "rm", lost]);
    await step("the runtime has lost it", () =>
      eventually("the image is gone", 30_000, async () =>
        (await idOf(lost)) === undefined ? true : undefined,
      ),
    );
    const missing = await step("capture without it", () => succeed(node, "capture"));
    assert.ok(missing.includes("W_IMAGE_MISSING") && missing.includes(lost), missing);
    assert.doesNotMatch(missing, /W_RUNTIME/);
  },
);

images.run();
