import assert from "node:assert/strict";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { suite } from "uvu";
import { askImages } from "../../src/runtime/ask-images.ts";
import { type ImageFinding, imageStatus, runtimeVersion } from "../../src/runtime/cri.ts";
import { openGrpcSocket } from "../../src/runtime/grpc.ts";
import {
  answerImages,
  askedImage,
  type FakeAnswer,
  fakeRuntime,
  imageStatusResponse,
} from "./fake-runtime.ts";

const test = suite("runtime/cri");

const id = `sha256:${"1".repeat(64)}`;
const image = {
  id,
  repoTags: ["r.example/a:1", "r.example/a:2"],
  repoDigests: [`r.example/a@sha256:${"2".repeat(64)}`],
  size: 2 ** 40,
  pinned: true,
};

const cases: readonly { name: string; answer: FakeAnswer; gives: ImageFinding }[] = [
  {
    name: "an image is all that is told of it",
    answer: { message: imageStatusResponse(image) },
    gives: { kind: "present", image },
  },
  {
    name: "an image without names has none",
    answer: { message: imageStatusResponse({ id }) },
    gives: {
      kind: "present",
      image: { id, repoTags: [], repoDigests: [], size: 1, pinned: false },
    },
  },
  {
    name: "fields that nobody here knows are passed over",
    answer: {
      message: Buffer.concat([
        new BinaryWriter().tag(9, WireType.Bit32).fixed32(7).finish(),
        imageStatusResponse(image),
        new BinaryWriter().tag(2, WireType.LengthDelimited).string("info").finish(),
      ]),
    },
    gives: { kind: "present", image },
  },
  {
    name: "an answer without an image means that it is absent",
    answer: { message: Buffer.alloc(0) },
    gives: { kind: "absent" },
  },
  { name: "NOT_FOUND means that it is absent", answer: { status: 5 }, gives: { kind: "absent" } },
  {
    name: "any other refusal means that nobody knows",
    answer: { status: 14, words: "not ready" },
    gives: { kind: "unknown", problem: "not ready" },
  },
  {
    name: "a message that is cut off means that nobody knows",
    answer: { message: imageStatusResponse(image).subarray(0, -3) },
    gives: { kind: "unknown", problem: "its answer cannot be read" },
  },
  {
    name: "an image that is no message means that nobody knows",
    answer: {
      message: new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(Buffer.of(255)).finish(),
    },
    gives: { kind: "unknown", problem: "its answer cannot be read" },
  },
];
for (const { name, answer, gives } of cases) {
  test(name, async () => {
    await using runtime = await fakeRuntime(() => answer);
    using socket = openGrpcSocket(runtime.path);
    assert.deepEqual(await imageStatus(socket, "r.example/a:1", 10_000), gives);
    assert.deepEqual(
      runtime.asked.map(({ message }) => askedImage(message)),
      ["r.example/a:1"],
    );
    assert.equal(runtime.asked[0]?.method, "/runtime.v1.ImageService/ImageStatus");
  });
}

test("name and version of the runtime are told, or nothing", async () => {
  const message = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string("0.1.0")
    .tag(2, WireType.LengthDelimited)
    .string("containerd")
    .tag(3, WireType.LengthDelimited)
    .string("v2.3.7")
    .finish();
  await using runtime = await fakeRuntime(() => ({ message }));
  using socket = openGrpcSocket(runtime.path);
  const version = { name: "containerd", version: "v2.3.7" };
  assert.deepEqual(await runtimeVersion(socket, 10_000), version);
  runtime.answer = () => ({ status: 12 });
  assert.equal(await runtimeVersion(socket, 10_000), undefined);
});

test("several images are asked for at once, over one connection that is closed afterwards", async () => {
  await using runtime = await fakeRuntime(answerImages([{ ...image, also: ["short"] }]));
  const answers = await askImages(runtime.path, ["short", "other", id], 10_000);
  assert.deepEqual(
    [...answers].map(([name, { kind }]) => [name, kind]),
    [
      ["short", "present"],
      ["other", "absent"],
      [id, "present"],
    ],
  );
  for (let left = 200; runtime.connections() > 0; left -= 1) {
    assert.ok(left > 0, "the connection stays open");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

test("a silent runtime takes the deadline once, however many images are asked for", async () => {
  const silent = (name: string) => name.startsWith("silent");
  await using runtime = await fakeRuntime(({ message }) =>
    silent(askedImage(message)) ? () => undefined : { message: imageStatusResponse(image) },
  );
  const names = ["told", ...Array.from({ length: 40 }, (_, at) => `silent${at}`)];
  const startMs = performance.now();
  const answers = await askImages(runtime.path, names, 300);
  const tookMs = performance.now() - startMs;
  assert.deepEqual(
    names.map((name) => answers.get(name)?.kind),
    names.map((name) => (silent(name) ? "unknown" : "present")),
  );
  assert.ok(tookMs < 5_000, `${tookMs} ms`);
});

test.run();
