import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import type { FailureCode } from "../../src/errors.ts";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { attemptsName, blessedName, generationName } from "../../src/store/layout.ts";
import { listGenerations, openFile, openGeneration, openNewest } from "../../src/store/store.ts";
import { rejects } from "../rejects.ts";
import { type TemporaryStore, temporaryStore } from "./temporary-store.ts";

const test = suite("store/store");

test("case 1: a missing directory is E_NO_STORE and says what to do", async () => {
  using store = temporaryStore();
  const failure = await rejects(() => openNewest(store.dir, store.ring, "n1"), "E_NO_STORE");
  assert.equal(failure.exit, 66);
  assert.match(failure.message, /blackstart capture/);
});

test("case 2: an empty directory is E_NO_CHECKPOINT", async () => {
  using store = temporaryStore();
  mkdirSync(store.dir);
  const failure = await rejects(() => openNewest(store.dir, store.ring, "n1"), "E_NO_CHECKPOINT");
  assert.equal(failure.exit, 66);
});

test("case 3: an unfinished capture alone is E_NO_CHECKPOINT and is mentioned", async () => {
  using store = temporaryStore();
  mkdirSync(store.dir);
  writeFileSync(join(store.dir, ".tmp-1-abc"), "half");
  const failure = await rejects(() => openNewest(store.dir, store.ring, "n1"), "E_NO_CHECKPOINT");
  assert.match(failure.message, /unfinished capture was found and ignored/);
});

/** Damage of the newest generation, of two: the one before is used, and both numbers are told. */
const damages: readonly {
  readonly name: string;
  readonly damage: (file: string, store: TemporaryStore) => void;
  readonly code: FailureCode;
}[] = [
  { name: "case 4: 0 bytes", damage: (file) => truncateSync(file), code: "E_TRUNCATED" },
  { name: "case 5: truncated", damage: (file) => truncateSync(file, 500), code: "E_TRUNCATED" },
  {
    name: "case 15: 65 MiB",
    damage: (file) => truncateSync(file, 65 * 2 ** 20),
    code: "E_TOO_BIG",
  },
  {
    name: "case 15: a sparse terabyte",
    damage: (file) => truncateSync(file, 2 ** 40),
    code: "E_TOO_BIG",
  },
  {
    name: "case 18: another generation under its name",
    damage: (file) => copyFileSync(file.replace("02.jwe", "01.jwe"), file),
    code: "E_GEN_MISMATCH",
  },
  {
    name: "case 24: a symlink",
    damage: (file) => {
      renameSync(file, `${file}.away`);
      symlinkSync(`${file}.away`, file);
    },
    code: "E_NOT_REGULAR",
  },
  { name: "case 25: a pipe", damage: (file) => replace(file, "mkfifo"), code: "E_NOT_REGULAR" },
  { name: "case 25: a directory", damage: (file) => replace(file, "mkdir"), code: "E_NOT_REGULAR" },
];

for (const { name, damage, code } of damages) {
  test(`${name} → ${code}, the generation before is used, nothing is changed`, async () => {
    using store = temporaryStore();
    await store.commit("one");
    const { file } = await store.commit("two");
    damage(file, store);
    const before = readdirSync(store.dir);
    const reading = openNewest(store.dir, store.ring, "n1");
    assert.ok(reading.kind === "opened");
    assert.equal(reading.opened.plaintext.toString(), "one");
    assert.deepEqual(
      reading.refusals.map(({ generation, failure }) => [generation, failure.code]),
      [[2, code]],
    );
    assert.ok(
      reading.warnings.some(({ message }) => /generation 2 .*generation 1 is used/.test(message)),
    );
    assert.deepEqual(readdirSync(store.dir), before);
  });
}

test("case 25: a socket is E_NOT_REGULAR", async () => {
  using store = temporaryStore();
  const { file } = await store.commit("one");
  rmSync(file);
  const server = createServer().listen(file);
  await new Promise((resolve) => server.once("listening", resolve));
  await rejects(() => openNewest(store.dir, store.ring, "n1"), "E_NOT_REGULAR");
  server.close();
});

test("case 5: none left: the newest one's code, exit 65", async () => {
  using store = temporaryStore();
  const { file } = await store.commit("one");
  truncateSync(file, 500);
  const failure = await rejects(() => openNewest(store.dir, store.ring, "n1"), "E_TRUNCATED");
  assert.equal(failure.exit, 65);
});

test("case 19: another node's store is E_NODE and names both", async () => {
  using store = temporaryStore();
  await store.commit("one", { node: "cp-7" });
  const failure = await rejects(() => openNewest(store.dir, store.ring, "cp-8"), "E_NODE");
  assert.match(failure.message, /"cp-7".*"cp-8"/);
});

test("case 20: a generation of another store is E_STORE_ID", async () => {
  using store = temporaryStore();
  using other = temporaryStore();
  await store.commit("one");
  const { file } = await other.commit("two", { ring: store.ring });
  copyFileSync(file, join(store.dir, generationName(1)));
  await rejects(() => openGeneration(store.dir, 1, store.ring, "n1"), "E_STORE_ID");
});

test("case 21: an older store put back is E_ROLLBACK, loudly, and is used", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const { file } = await store.commit("two");
  rmSync(file);
  const reading = openNewest(store.dir, store.ring, "n1");
  assert.ok(reading.kind === "opened");
  assert.equal(reading.opened.generation, 1);
  assert.equal(reading.rollback?.code, "E_ROLLBACK");
  assert.ok(reading.warnings.some(({ message }) => message.startsWith("E_ROLLBACK")));
});

test("a damaged newest generation is no rollback", async () => {
  using store = temporaryStore();
  await store.commit("one");
  truncateSync((await store.commit("two")).file);
  assert.equal(openNewest(store.dir, store.ring, "n1").rollback, undefined);
});

const marks: readonly { readonly name: string; readonly damage: (file: string) => void }[] = [
  { name: "missing", damage: (file) => rmSync(file) },
  { name: "empty", damage: (file) => truncateSync(file) },
  { name: "not JSON", damage: (file) => writeFileSync(file, "x") },
  { name: "another number", damage: (file) => writeFileSync(file, swapOne(file)) },
  { name: "a directory", damage: (file) => replace(file, "mkdir") },
];

for (const { name, damage } of marks) {
  test(`case 22: a high-water mark that is ${name} is W_HWM and no more`, async () => {
    using store = temporaryStore();
    await store.commit("one");
    damage(join(store.dir, "hwm"));
    const reading = openNewest(store.dir, store.ring, "n1");
    assert.equal(reading.kind, "opened");
    assert.equal(reading.rollback, undefined);
    assert.deepEqual(
      reading.warnings.map(({ code }) => code),
      ["W_HWM"],
    );
  });
}

test("case 23: a name beyond 2^53 is ignored with W_NAME", async () => {
  using store = temporaryStore();
  const { file } = await store.commit("one");
  copyFileSync(file, join(store.dir, "gen-99999999999999999999.jwe"));
  const reading = openNewest(store.dir, store.ring, "n1");
  assert.ok(reading.kind === "opened");
  assert.equal(reading.opened.generation, 1);
  assert.deepEqual(
    reading.warnings.map(({ code }) => code),
    ["W_NAME"],
  );
});

test("case 26: a file that others can read opens with the concern E_PERMS", async () => {
  using store = temporaryStore();
  const { file } = await store.commit("one");
  chmodSync(file, 0o644);
  const { concerns } = openGeneration(store.dir, 1, store.ring, "n1");
  assert.deepEqual(
    concerns.map(({ code, exit }) => [code, exit]),
    [["E_PERMS", 77]],
  );
  assert.match(concerns[0]?.message ?? "", /mode 0644.*expected 0600; secrets may have been read/);
});

test("case 27: a directory that others can write is the concern E_PERMS; nothing is committed", async () => {
  using store = temporaryStore();
  await store.commit("one");
  chmodSync(store.dir, 0o770);
  const { concerns } = listGenerations(store.dir);
  assert.deepEqual(
    concerns.map(({ code }) => code),
    ["E_PERMS"],
  );
  await rejects(() => store.commit("two"), "E_PERMS");
  assert.equal(openNewest(store.dir, store.ring, "n1").kind, "opened");
});

test("case 33: all attempts used up is E_BOOT_LOOP", async () => {
  using store = temporaryStore();
  await store.commit("one");
  writeFileSync(join(store.dir, attemptsName(1, { left: 0, done: 3 })), "");
  const reading = openNewest(store.dir, store.ring, "n1", "count");
  assert.ok(reading.kind === "boot-loop");
  assert.equal(reading.failure.code, "E_BOOT_LOOP");
  assert.equal(openNewest(store.dir, store.ring, "n1").kind, "opened");
});

test("a blessed older generation is used when the newest has failed too often", async () => {
  using store = temporaryStore();
  await store.commit("one");
  await store.commit("two");
  await store.commit("three");
  writeFileSync(join(store.dir, attemptsName(3, { left: 0, done: 3 })), "");
  writeFileSync(join(store.dir, blessedName(1)), "");
  const reading = openNewest(store.dir, store.ring, "n1", "count");
  assert.ok(reading.kind === "opened");
  assert.equal(reading.opened.plaintext.toString(), "one");
  assert.deepEqual(reading.exhausted, [3]);
});

test("case 40: a key of another kid is E_NO_KEY", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const foreign = ringOf(StoreKey.generate());
  await rejects(() => openNewest(store.dir, foreign, "n1"), "E_NO_KEY");
});

test("the list says what names and stat say", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const { sizeBytes } = await store.commit("two");
  writeFileSync(join(store.dir, blessedName(2)), "");
  writeFileSync(join(store.dir, attemptsName(1, { left: 1, done: 2 })), "");
  const { generations } = listGenerations(store.dir);
  assert.deepEqual(
    generations.map(({ file: _, sizeBytes: __, ...rest }) => rest),
    [
      { generation: 2, mode: 0o600, blessed: true, attempts: { left: 3, done: 0 } },
      { generation: 1, mode: 0o600, blessed: false, attempts: { left: 1, done: 2 } },
    ],
  );
  assert.equal(generations[0]?.sizeBytes, sizeBytes);
});

test("a missing generation is E_NO_CHECKPOINT", async () => {
  using store = temporaryStore();
  await store.commit("one");
  await rejects(() => openGeneration(store.dir, 9, store.ring, "n1"), "E_NO_CHECKPOINT");
});

test("a generation elsewhere, under any name, opens as a file", async () => {
  using store = temporaryStore();
  const { file } = await store.commit("one");
  const elsewhere = join(store.dir, "copy.jwe");
  copyFileSync(file, elsewhere);
  assert.equal(openFile(elsewhere, store.ring, "n1").plaintext.toString(), "one");
  await rejects(() => openFile(elsewhere, store.ring, "n2"), "E_NODE");
});

test("opening changes nothing, not even with marks and leftovers about", async () => {
  using store = temporaryStore();
  await store.commit("one");
  writeFileSync(join(store.dir, ".tmp-1-abc"), "");
  rmSync(join(store.dir, "store.json"));
  const before = stamp(store.dir);
  openNewest(store.dir, store.ring, "n1", "count");
  assert.deepEqual(stamp(store.dir), before);
});

function replace(file: string, command: "mkfifo" | "mkdir"): void {
  rmSync(file);
  execFileSync(command, [file]);
}

function swapOne(file: string): string {
  return readFileSync(file, "utf8").replace('"generation":1', '"generation":9');
}

function stamp(dir: string) {
  const entries = readdirSync(dir).sort();
  return [
    statSync(dir).mtimeMs,
    ...entries.map((name) => [name, statSync(join(dir, name)).mtimeMs]),
  ];
}

test.run();
