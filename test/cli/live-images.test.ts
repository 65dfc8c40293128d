import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite } from "uvu";
import { LiveImages } from "../../src/cli/live-images.ts";
import { VirtualClock } from "../kube/virtual-clock.ts";
import {
  answerImages,
  askedImage,
  type FakeImage,
  type FakeRuntime,
  fakeRuntime,
} from "../runtime/fake-runtime.ts";

const test = suite("cli/live-images");

const second = 1_000;
const minute = 60_000;

interface Scene {
  readonly images: LiveImages;
  /** What the runtime has; it may change. */
  readonly held: FakeImage[];
  readonly runtime: FakeRuntime;
  /** Lets time pass for the code under test. */
  pass(ms: number): void;
  /** How often the runtime was asked since this was last called. */
  asked(): readonly string[];
}

function scene(name: string, run: (scene: Scene) => Promise<void>): void {
  test(name, async () => {
    const root = mkdtempSync(join(tmpdir(), "images-"));
    try {
      const path = join(root, "run/containerd/containerd.sock");
      mkdirSync(dirname(path), { recursive: true });
      const held: FakeImage[] = [{ id: "sha256:1", also: ["a"] }];
      await using runtime = await fakeRuntime((call) => answerImages(held)(call), path);
      const clock = new VirtualClock();
      await run({
        images: new LiveImages(root, clock),
        held,
        runtime,
        pass: (ms) => clock.set(clock.now() + ms),
        asked: () => runtime.asked.splice(0).map(({ message }) => askedImage(message)),
      });
    } finally {
      rmSync(root, { recursive: true });
    }
  });
}

scene("what is known is not asked for again within half a minute", async (it) => {
  const { answers, warnings } = await it.images.ask(["a", "b"]);
  assert.deepEqual([answers.get("a")?.kind, answers.get("b")?.kind], ["present", "absent"]);
  assert.deepEqual(warnings, []);
  assert.deepEqual(it.asked(), ["a", "b"]);
  it.pass(29 * second);
  await it.images.ask(["b"]);
  assert.deepEqual(it.asked(), []);
  it.pass(2 * second);
  await it.images.ask(["b"]);
  assert.deepEqual(it.asked(), ["b"]);
});

scene("what is not known is asked for at once, together with the rest", async (it) => {
  await it.images.ask(["a"]);
  it.asked();
  const { answers } = await it.images.ask(["a", "c"]);
  assert.deepEqual(it.asked(), ["a", "c"]);
  assert.equal(answers.get("a")?.kind, "present");
});

scene("after five minutes it is asked again, and only news counts", async (it) => {
  assert.equal(await it.images.recheck(), false);
  assert.deepEqual(it.asked(), [], "nothing has been asked before");
  await it.images.ask(["a", "b"]);
  it.asked();
  it.pass(4 * minute);
  assert.equal(await it.images.recheck(), false);
  assert.deepEqual(it.asked(), []);
  it.pass(minute);
  assert.equal(await it.images.recheck(), false);
  assert.deepEqual(it.asked(), ["a", "b"]);
  it.held.push({ id: "sha256:2", also: ["b"] });
  it.pass(5 * minute);
  assert.equal(await it.images.recheck(), true);
  const { answers } = await it.images.ask(["a", "b"]);
  assert.equal(answers.get("b")?.kind, "present");
  it.held.shift();
  it.pass(5 * minute);
  assert.equal(await it.images.recheck(), true);
  it.pass(5 * minute);
  assert.equal(await it.images.recheck(), false);
});

scene("a runtime that is away is one warning, asked again after a minute", async (it) => {
  await it.images.ask(["a"]);
  it.runtime.answer = () => (stream) => stream.session?.destroy();
  it.pass(minute);
  it.asked();
  const { answers, warnings, silent } = await it.images.ask(["a", "b"]);
  assert.equal(it.asked().length > 0, true);
  assert.deepEqual([answers.get("a")?.kind, answers.get("b")?.kind], ["unknown", "unknown"]);
  assert.deepEqual([silent, warnings.map(({ code }) => code)], [true, ["W_RUNTIME"]]);
  it.pass(59 * second);
  // Nobody waits for it in between, whatever else there is to ask.
  assert.equal((await it.images.ask(["c"])).silent, true);
  assert.equal(await it.images.recheck(), false);
  assert.deepEqual(it.asked(), []);
  it.runtime.answer = answerImages(it.held);
  it.pass(second);
  assert.equal(await it.images.recheck(), true);
  assert.deepEqual((await it.images.ask(["a", "b"])).warnings, []);
});

scene(
  "a runtime that tells of some images only is one warning, and what it tells counts",
  async (it) => {
    const answer = it.runtime.answer;
    it.runtime.answer = (call) => (askedImage(call.message) === "b" ? { status: 2 } : answer(call));
    const { answers, warnings, silent } = await it.images.ask(["a", "b"]);
    assert.deepEqual([answers.get("a")?.kind, answers.get("b")?.kind], ["present", "unknown"]);
    assert.deepEqual([silent, warnings.map(({ code }) => code)], [false, ["W_RUNTIME"]]);
    assert.match(warnings[0]?.message ?? "", /\(1 of 2 names\)/);
  },
);

scene("a node without pods asks nothing", async (it) => {
  assert.deepEqual((await it.images.ask([])).warnings, []);
  it.pass(10 * minute);
  assert.equal(await it.images.recheck(), false);
  assert.deepEqual(it.asked(), []);
});

scene("a clock that is set back does not make old answers new", async (it) => {
  await it.images.ask(["a"]);
  it.pass(-60 * minute);
  await it.images.ask(["a"]);
  it.asked();
  it.pass(31 * second);
  await it.images.ask(["a"]);
  assert.deepEqual(it.asked(), ["a"]);
});

test.run();
