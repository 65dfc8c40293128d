import assert from "node:assert/strict";
import { suite } from "uvu";
import { backoffMs } from "../../src/kube/backoff.ts";
import { steadyTime, systemClock } from "../../src/kube/clock.ts";
import { VirtualClock } from "./virtual-clock.ts";

const test = suite("kube/clock");

test("a sleep of the machine's clock rejects with the signal's own reason, before and while it sleeps", async () => {
  const reason = new Error("enough");
  await assert.rejects(
    systemClock.sleep(1_000, AbortSignal.abort(reason)),
    (error) => error === reason,
  );
  const stop = new AbortController();
  const sleeping = assert.rejects(
    systemClock.sleep(60_000, stop.signal),
    (error) => error === reason,
  );
  stop.abort(reason);
  await sleeping;
});

test("a sleep of more than 24 days is no sleep of none", async () => {
  const stop = new AbortController();
  const sleeping = systemClock.sleep(1e12, stop.signal);
  const first = await Promise.race([
    sleeping.then(() => "awake").catch(() => "stopped"),
    systemClock.sleep(50, new AbortController().signal).then(() => "asleep"),
  ]);
  stop.abort(new Error("enough"));
  assert.equal(first, "asleep");
});

test("steady time goes on from where a clock that is set back was", async () => {
  const clock = new VirtualClock();
  const now = steadyTime(clock);
  const began = now();
  await clock.run(1_000);
  assert.equal(now() - began, 1_000);
  clock.set(clock.now() - 7_200_000);
  assert.equal(now() - began, 1_000);
  await clock.run(500);
  assert.equal(now() - began, 1_500);
});

const growth = { firstMs: 1_000, mostMs: 30_000 };
const waits: readonly (readonly [number, number, number, number])[] = [
  // failures, random, Retry-After, wait
  [1, 0, 0, 500],
  [1, 1, 0, 1_000],
  [2, 0, 0, 1_000],
  [5, 1, 0, 16_000],
  [6, 1, 0, 30_000],
  [1e9, 0, 0, 15_000],
  [1, 0, 5_000, 5_000],
  [1, 1, 5_000, 7_500],
  [9, 0, 5_000, 15_000],
  [1, 0, 1e9, 60_000],
  [1, 1, 1e9, 90_000],
];

for (const [failures, random, retryAfter, wait] of waits) {
  test(`after ${failures} failures, at ${random}, asked for ${retryAfter} ms: ${wait} ms`, () => {
    assert.equal(backoffMs(failures, growth, random, retryAfter), wait);
  });
}

test.run();
