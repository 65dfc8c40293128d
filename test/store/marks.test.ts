import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { attemptsName } from "../../src/store/layout.ts";
import { bless, giveAttemptBack, resetAttempts, takeAttempt } from "../../src/store/marks.ts";
import { listGenerations, openNewest } from "../../src/store/store.ts";
import { rejects } from "../rejects.ts";
import { temporaryStore } from "./temporary-store.ts";

const test = suite("store/marks");

test("three boots, then none", async () => {
  using store = temporaryStore();
  await store.commit("one");
  for (const expected of [
    { left: 2, done: 1, warnings: [] },
    { left: 1, done: 2, warnings: [] },
    { left: 0, done: 3, warnings: [] },
  ]) {
    assert.equal(openNewest(store.dir, store.ring, "n1", "count").kind, "opened");
    assert.deepEqual(takeAttempt(store.dir, 1), expected);
    assert.equal(counters(store.dir).length, 1);
  }
  assert.equal(openNewest(store.dir, store.ring, "n1", "count").kind, "boot-loop");
  const failure = await rejects(() => takeAttempt(store.dir, 1), "E_BOOT_LOOP");
  assert.equal(failure.exit, 0);
});

test("an attempt that is given back is the one that was taken", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const first = takeAttempt(store.dir, 1);
  assert.deepEqual(giveAttemptBack(store.dir, 1, first), []);
  assert.deepEqual(takeAttempt(store.dir, 1), first);
  const second = takeAttempt(store.dir, 1);
  assert.deepEqual(giveAttemptBack(store.dir, 1, second), []);
  assert.deepEqual(takeAttempt(store.dir, 1), second);
  assert.equal(counters(store.dir).length, 1);
});

test("an attempt that cannot be given back stays taken, with a warning", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const taken = takeAttempt(store.dir, 1);
  resetAttempts(store.dir);
  const [warning] = giveAttemptBack(store.dir, 1, taken);
  assert.equal(warning?.code, "W_ATTEMPTS");
});

test("reset gives all attempts back, garbage included", async () => {
  using store = temporaryStore();
  await store.commit("one");
  writeFileSync(join(store.dir, attemptsName(1, { left: 0, done: 3 })), "");
  writeFileSync(join(store.dir, "attempts-00000000000000000002+x-y"), "");
  resetAttempts(store.dir);
  resetAttempts(store.dir);
  assert.deepEqual(counters(store.dir), []);
  assert.equal(openNewest(store.dir, store.ring, "n1", "count").kind, "opened");
});

test("case 32: a counter that is garbage leaves no attempt", async () => {
  using store = temporaryStore();
  await store.commit("one");
  writeFileSync(join(store.dir, "attempts-00000000000000000001+999999-0"), "");
  const reading = openNewest(store.dir, store.ring, "n1", "count");
  assert.equal(reading.kind, "boot-loop");
  assert.ok(reading.warnings.some(({ code }) => code === "W_ATTEMPTS"));
  await rejects(() => takeAttempt(store.dir, 1), "E_BOOT_LOOP");
});

test("blessing marks one generation, gives its attempts back, and can be repeated", async () => {
  using store = temporaryStore();
  await store.commit("one");
  await store.commit("two");
  takeAttempt(store.dir, 1);
  takeAttempt(store.dir, 2);
  bless(store.dir, 1);
  bless(store.dir, 1);
  const [two, one] = listGenerations(store.dir).generations;
  assert.deepEqual([one?.blessed, one?.attempts.left], [true, 3]);
  assert.deepEqual([two?.blessed, two?.attempts.left], [false, 2]);
});

test("blessing what is not there is E_NO_CHECKPOINT", async () => {
  using store = temporaryStore();
  await store.commit("one");
  await rejects(() => bless(store.dir, 2), "E_NO_CHECKPOINT");
});

test("a store that is not there has no attempts to take or reset", async () => {
  using store = temporaryStore();
  await rejects(() => takeAttempt(store.dir, 1), "E_NO_STORE");
  await rejects(() => resetAttempts(store.dir), "E_NO_STORE");
});

function counters(dir: string): readonly string[] {
  return readdirSync(dir).filter((name) => name.startsWith("attempts-"));
}

test.run();
