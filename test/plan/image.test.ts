import assert from "node:assert/strict";
import { suite } from "uvu";
import type { CheckpointImage } from "../../src/model/checkpoint.ts";
import { manifestOf, planOf, pod } from "./plan-of.ts";

const image = suite("plan/image");

const digest = `quay.io/etcd@sha256:${"1".repeat(64)}`;
const id = `sha256:${"2".repeat(64)}`;

const web = pod({
  initContainers: [{ name: "first", image: "busybox:1.37" }],
  containers: [
    {
      name: "main",
      image: "quay.io/etcd:3.6",
      volumeMounts: [{ name: "model", mountPath: "/model" }],
    },
    { name: "side", image: "side:1" },
  ],
  volumes: [
    { name: "model", image: { reference: "quay.io/model:1" } },
    { name: "unused", image: { reference: "quay.io/unused:1" } },
  ],
});

function planWith(images: readonly Partial<CheckpointImage>[] | undefined) {
  const plan = planOf(
    [web],
    images === undefined
      ? {}
      : {
          images: images.map((one) => ({
            namespace: "prod",
            pod: "web",
            place: "containers/main",
            name: "quay.io/etcd:3.6",
            ...one,
          })),
        },
  );
  const { spec } = manifestOf(plan);
  return {
    planned: plan.pods[0]?.images,
    main: spec.containers[0]?.["image"],
    side: spec.containers[1]?.["image"],
    first: (spec["initContainers"] as readonly { readonly image: string }[])[0]?.image,
    model: Reflect.get(Object(spec.volumes[0]?.["image"]), "reference"),
  };
}

image("the manifest names the digest that ran", () => {
  const { planned, main, side, first, model } = planWith([
    { digest, id },
    { place: "initContainers/first", name: "busybox:1.37", digest: `busybox@${id}` },
    { place: "volumes/model", name: "quay.io/model:1", digest: `quay.io/model@${id}` },
  ]);
  assert.equal(main, digest);
  assert.equal(side, "side:1");
  assert.equal(first, `busybox@${id}`);
  assert.equal(model, `quay.io/model@${id}`);
  assert.deepEqual(planned, [
    {
      place: "initContainers/first",
      name: "busybox:1.37",
      reference: `busybox@${id}`,
      id: undefined,
    },
    { place: "containers/main", name: "quay.io/etcd:3.6", reference: digest, id },
    { place: "containers/side", name: "side:1", reference: "side:1", id: undefined },
    {
      place: "volumes/model",
      name: "quay.io/model:1",
      reference: `quay.io/model@${id}`,
      id: undefined,
    },
  ]);
});

const byName = [
  { name: "a checkpoint that knows no images", images: undefined },
  { name: "an image that the runtime has under no digest", images: [{ id }] },
  { name: "facts of another name", images: [{ name: "quay.io/etcd:3.5", digest, id }] },
  { name: "facts of another pod", images: [{ pod: "web-2", digest, id }] },
  { name: "facts of another container", images: [{ place: "containers/side", digest, id }] },
];

for (const { name, images } of byName) {
  image(`the name stays for ${name}`, () => {
    const { main, side } = planWith(images);
    assert.equal(main, "quay.io/etcd:3.6");
    assert.equal(side, "side:1");
  });
}

image("the repository stays as the pod spells it: by that a kubelet's pull record knows it", () => {
  const place = "initContainers/first";
  const named = (name: string) =>
    planWith([{ place, name: "busybox:1.37", digest: `${name}@${id}` }]).first;
  assert.equal(named("docker.io/library/busybox"), `busybox@${id}`);
  assert.equal(named("mirror.example/busybox"), `mirror.example/busybox@${id}`);
});

image.run();
