import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { generationName } from "../../src/store/layout.ts";
import { bless } from "../../src/store/marks.ts";
import { listGenerations, openGeneration, openNewest } from "../../src/store/store.ts";
import { rejects } from "../rejects.ts";
import { type TemporaryStore, temporaryStore } from "./temporary-store.ts";

const test = suite("store/commit");

test("the first commit makes the store, private", async () => {
  using store = temporaryStore();
  const { generation, file, sizeBytes, warnings } = await store.commit("one");
  assert.equal(generation, 1);
  assert.deepEqual(warnings, []);
  assert.equal(statSync(file).size, sizeBytes);
  assert.equal(statSync(store.dir).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(store.dir).sort(), [generationName(1), "hwm", "store.json"]);
  for (const name of readdirSync(store.dir)) {
    assert.equal(statSync(join(store.dir, name)).mode & 0o777, 0o600, name);
  }
});

test("each generation names the tag of the one before", async () => {
  using store = temporaryStore();
  await store.commit("one");
  await store.commit("two");
  const one = openGeneration(store.dir, 1, store.ring, "n1");
  const two = openGeneration(store.dir, 2, store.ring, "n1");
  assert.equal(one.header.previousTag, "");
  assert.equal(two.header.previousTag, one.tag);
  assert.equal(two.header.storeId, one.header.storeId);
});

test("the newest three and the blessed one are kept, marks go with their generation", async () => {
  using store = temporaryStore();
  await store.commit("one");
  await store.commit("two");
  bless(store.dir, 1);
  bless(store.dir, 2);
  for (const text of ["three", "four", "five", "six"]) {
    await store.commit(text);
  }
  assert.deepEqual(numbers(store), [6, 5, 4, 2]);
  assert.ok(!existsSync(join(store.dir, "blessed-00000000000000000001")));
});

test("the number never falls, also when the newest file is gone", async () => {
  using store = temporaryStore();
  await store.commit("one");
  await store.commit("two");
  rmSync(join(store.dir, generationName(2)));
  assert.equal((await store.commit("three")).generation, 3);
});

test("case 23: the number does not jump because of a strange name", async () => {
  using store = temporaryStore();
  await store.commit("one");
  writeFileSync(join(store.dir, "gen-99999999999999999999.jwe"), "");
  writeFileSync(join(store.dir, "gen-0000000009.jwe"), "");
  assert.equal((await store.commit("two")).generation, 2);
});

test("a damaged generation goes to quarantine, at most three stay there", async () => {
  using store = temporaryStore();
  for (let run = 1; run <= 5; run += 1) {
    const { file } = await store.commit("good");
    truncateSync(file, 400);
  }
  await store.commit("good");
  assert.deepEqual(numbers(store), [6]);
  assert.deepEqual(
    readdirSync(join(store.dir, "quarantine")).sort(),
    [3, 4, 5].map((generation) => generationName(generation)),
  );
});

test("with the key lost nothing is deleted, and the old generations keep their store", async () => {
  using store = temporaryStore();
  for (const text of ["one", "two", "three"]) {
    await store.commit(text);
  }
  rmSync(join(store.dir, "store.json"));
  const other = ringOf(StoreKey.generate());
  await store.commit("four", { ring: other });
  await store.commit("five", { ring: other });
  assert.deepEqual(numbers(store), [5, 4, 3, 2, 1]);
  assert.equal(openGeneration(store.dir, 3, store.ring, "n1").plaintext.toString(), "three");
});

test("a newer format is never deleted while it could be needed", async () => {
  using store = temporaryStore();
  const newer = Buffer.from('{"typ":"blackstart-checkpoint+json","blackstart":{"version":2}}');
  await store.commit("one");
  writeFileSync(
    join(store.dir, generationName(2)),
    `{"protected":"${newer.toString("base64url")}","other":1}`,
    { mode: 0o600 },
  );
  await store.commit("three");
  await store.commit("four");
  assert.deepEqual(numbers(store), [4, 3, 2, 1]);
});

test("a damaged store.json is made anew from a valid generation", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const file = join(store.dir, "store.json");
  const before = readFileSync(file, "utf8");
  truncateSync(file, 3);
  assert.equal(openNewest(store.dir, store.ring, "n1").kind, "opened");
  await store.commit("two");
  assert.equal(readFileSync(file, "utf8"), before);
});

test("case 19: committing into another node's store is E_NODE", async () => {
  using store = temporaryStore();
  await store.commit("one");
  await rejects(() => store.commit("two", { node: "n2" }), "E_NODE");
  assert.deepEqual(numbers(store), [1]);
});

test("leftovers of dead processes are swept, those of running ones stay", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const dead = spawnSync("true").pid;
  const running = spawn("sleep", ["30"]);
  writeFileSync(join(store.dir, `.tmp-${dead}-aa`), "");
  writeFileSync(join(store.dir, `.tmp-${running.pid}-aa`), "");
  writeFileSync(join(store.dir, ".tmp-odd"), "");
  await store.commit("two");
  running.kill();
  assert.deepEqual(listGenerations(store.dir).temporaries, [`.tmp-${running.pid}-aa`]);
});

test("40 racing commits without a lock give 40 valid generations", async () => {
  using store = temporaryStore();
  await store.commit("first");
  const texts = Array.from({ length: 40 }, (_, index) => `text ${index}`);
  const committed = await Promise.all(texts.map((text) => store.commit(text, { keep: 100 })));
  assert.equal(new Set(committed.map(({ generation }) => generation)).size, 40);
  const opened = committed.map(({ generation }) =>
    openGeneration(store.dir, generation, store.ring, "n1").plaintext.toString(),
  );
  assert.deepEqual(opened, texts);
});

test("case 81: a file size limit is E_NOSPACE, and the generation before stays", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const driver = new URL("commit-once.ts", import.meta.url).pathname;
  const key = Buffer.from(store.ring.primary.expose()).toString("hex");
  const limited = spawnSync(
    "prlimit",
    ["--fsize=2048", process.execPath, driver, store.dir, key, "4000"],
    { encoding: "utf8" },
  );
  assert.match(limited.stdout, /^E_NOSPACE .*needs 0.1 MB.*checkpoint 1 stays valid/);
  assert.deepEqual(numbers(store), [1]);
  assert.deepEqual(listGenerations(store.dir).temporaries, []);
});

function numbers({ dir }: TemporaryStore): readonly number[] {
  return listGenerations(dir).generations.map(({ generation }) => generation);
}

test.run();
