import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { pinImages } from "../../src/cli/pin-images.ts";
import { openSession } from "../../src/cli/session.ts";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { encodeMessage } from "../../src/runtime/message.ts";
import { type FakeAnswer, fakeRuntime } from "../runtime/fake-runtime.ts";

const test = suite("cli/pin-images");

/** Of a containerd in which we have pinned one image. */
const answers: Readonly<Record<string, FakeAnswer>> = {
  Version: { message: encodeMessage([2, "containerd"], [3, "v2.3.7"]) },
  List: { message: encodeMessage([1, encodeMessage([1, "sha256:ours"])]) },
  Get: {
    message: encodeMessage([
      1,
      encodeMessage(
        [1, "sha256:ours"],
        [2, new Map([["blackstart.dev/pinned", "true"]])],
        [3, encodeMessage([2, "sha256:target"])],
      ),
    ]),
  },
  Update: { message: new Uint8Array() },
};

const cases: readonly {
  readonly name: string;
  readonly store: boolean;
  readonly config?: string;
  readonly answer?: Readonly<Record<string, FakeAnswer>>;
  readonly codes: readonly string[];
  readonly unpinned: number;
}[] = [
  {
    name: "a generation that nobody can read keeps its pins, and is told",
    store: true,
    codes: ["W_IMAGE_PIN"],
    unpinned: 0,
  },
  { name: "without a store nothing is unpinned or told", store: false, codes: [], unpinned: 0 },
  {
    name: "who wants no pins loses ours, whatever can be read",
    store: true,
    config: "images: {pin: false}\n",
    codes: [],
    unpinned: 1,
  },
  {
    name: "an answer that is no message is a warning",
    store: true,
    config: "images: {pin: false}\n",
    answer: { List: { message: Buffer.from([0x0a, 0xff, 0xff]) } },
    codes: ["W_IMAGE_PIN"],
    unpinned: 0,
  },
];

for (const { name, store, config = "", answer = {}, codes, unpinned } of cases) {
  test(name, async () => {
    const root = mkdtempSync(join(tmpdir(), "pins-"));
    try {
      const file = join(root, "config.yaml");
      writeFileSync(file, config);
      const session = await openSession({ root, config: file, verbose: false });
      if (store) {
        mkdirSync(session.storeDir, { recursive: true, mode: 0o700 });
        const generation = join(session.storeDir, "gen-00000000000000000001.jwe");
        writeFileSync(generation, "half of a generation", { mode: 0o600 });
      }
      await using runtime = await fakeRuntime(({ method }) => {
        const word = method.split("/").at(-1) ?? "";
        return answer[word] ?? answers[word] ?? { status: 12 };
      });
      const ring = ringOf(StoreKey.generate());
      const pinning = await pinImages(session, ring, "node1", runtime.path);
      assert.deepEqual(
        pinning.warnings.map(({ code }) => code),
        codes,
      );
      assert.equal(pinning.unpinned, unpinned);
      const updates = runtime.asked.filter(({ method }) => method.endsWith("/Update"));
      assert.equal(updates.length, unpinned);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
}

test.run();
