import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { LivePins } from "../../src/cli/live-pins.ts";
import { openSession } from "../../src/cli/session.ts";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { encodeMessage } from "../../src/runtime/message.ts";
import { type FakeAnswer, fakeRuntime } from "../runtime/fake-runtime.ts";

const livePins = suite("cli/live-pins");

livePins("a silent runtime is asked again after a minute, one that answers after ten", async () => {
  using node = mkdtempDisposableSync(join(tmpdir(), "pins-"));
  const kubelet = join(node.path, "var/lib/kubelet");
  mkdirSync(kubelet, { recursive: true });
  writeFileSync(join(kubelet, "config.yaml"), "containerRuntimeEndpoint: unix:///c.sock\n");
  const session = await openSession({ root: node.path, config: undefined, verbose: false });
  const silent: FakeAnswer = { status: 14, words: "starting" };
  let version: FakeAnswer = silent;
  await using runtime = await fakeRuntime(
    ({ method }) => (method.endsWith("/Version") ? version : { message: new Uint8Array() }),
    join(node.path, "c.sock"),
  );
  let now = 1_800_000_000_000;
  const clock = { now: () => now, sleep: async () => undefined, random: () => 0 };
  const pins = new LivePins(session, ringOf(StoreKey.generate()), "node1", clock);
  const asksAt = async (ms: number) => {
    now = 1_800_000_000_000 + ms;
    const before = runtime.asked.length;
    await pins.run();
    return runtime.asked.length > before;
  };
  assert.ok(await asksAt(0));
  assert.ok(!(await asksAt(59_000)));
  version = { message: encodeMessage([2, "containerd"], [3, "v2.3.7"]) };
  assert.ok(await asksAt(60_000));
  assert.ok(!(await asksAt(600_000)));
  pins.note();
  assert.ok(await asksAt(600_001), "a generation was made");
  assert.ok(await asksAt(1_200_001));
});

livePins.run();
