import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, cpSync, mkdirSync, mkdtempDisposableSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { takeAttempt } from "../../src/store/marks.ts";
import { listGenerations, openGeneration, openNewest } from "../../src/store/store.ts";
import { rejects } from "../rejects.ts";
import { type TemporaryStore, temporaryStore } from "../store/temporary-store.ts";

const test = suite("root/store");
const driver = new URL("../store/commit-once.ts", import.meta.url).pathname;
const isRoot = process.geteuid?.() === 0;

test("case 25: a device is E_NOT_REGULAR and is not read", async () => {
  using store = temporaryStore();
  const { file } = await store.commit("one");
  rmSync(file);
  if (!runs("mknod", file, "c", "1", "5")) {
    return;
  }
  await rejects(() => openNewest(store.dir, store.ring, "n1"), "E_NOT_REGULAR");
});

test("cases 26, 27: a foreign owner is E_PERMS, of a file and of the directory", async () => {
  if (!isRoot) {
    console.log("SKIPPED a foreign owner: not root");
    return;
  }
  using store = temporaryStore();
  const { file } = await store.commit("one");
  chownSync(file, 12345, 12345);
  const opened = openGeneration(store.dir, 1, store.ring, "n1");
  assert.equal(opened.concerns[0]?.code, "E_PERMS");
  chownSync(store.dir, 12345, 12345);
  assert.equal(listGenerations(store.dir).concerns[0]?.code, "E_PERMS");
  await rejects(() => store.commit("two"), "E_PERMS");
});

test("case 30: no access is E_PERMS", async () => {
  using store = temporaryStore();
  await store.commit("one");
  const words = ["--reuid=12345", "--clear-groups", "--bounding-set=-all", process.execPath];
  const { stdout } = spawnSync("setpriv", [...words, driver, store.dir, key(store), "9"], {
    encoding: "utf8",
  });
  if (stdout === "" && !isRoot) {
    console.log("SKIPPED no access: not root");
    return;
  }
  assert.match(stdout, /^E_PERMS /);
});

test("case 80: on a full disk at every size the old generation stays, and space is named", async () => {
  using place = mounted("size=64k,mode=700");
  if (place === undefined) {
    return;
  }
  using store = temporaryStore();
  await store.commit("one");
  let full = 0;
  for (let size = 1000; size <= 61_000; size += 2000) {
    const dir = join(place.path, "store");
    rmSync(dir, { recursive: true, force: true });
    cpSync(store.dir, dir, { recursive: true });
    const { stdout } = commitOnce(dir, store, size);
    if (!stdout.startsWith("ok")) {
      full += 1;
      assert.match(stdout, /^E_NOSPACE .*needs .* MB, .* MB free; checkpoint 1 stays valid/);
      assert.equal(openGeneration(dir, 1, store.ring, "n1").plaintext.toString(), "one");
      assert.deepEqual(listGenerations(dir).temporaries, []);
    }
  }
  assert.ok(full >= 5, `${full} were full`);
});

test("case 80: old generations give way when the disk is full, the newest stays", async () => {
  using place = mounted("size=96k,mode=700");
  if (place === undefined) {
    return;
  }
  using store = temporaryStore();
  const dir = join(place.path, "store");
  for (const size of [20_000, 20_000, 20_000]) {
    assert.match(commitOnce(dir, store, size).stdout, /^ok/);
  }
  const { stdout } = commitOnce(dir, store, 30_000);
  assert.match(stdout, /^ok 4 /);
  assert.equal(listGenerations(dir).generations[0]?.generation, 4);
});

test("case 82: a read-only disk opens; committing is E_READONLY; an attempt is allowed with a warning", async () => {
  using place = mounted("size=1m,mode=700");
  if (place === undefined) {
    return;
  }
  using store = temporaryStore();
  await store.commit("one");
  const dir = join(place.path, "store");
  cpSync(store.dir, dir, { recursive: true });
  execFileSync("mount", ["-o", "remount,ro", place.path]);
  assert.equal(openNewest(dir, store.ring, "n1", "count").kind, "opened");
  assert.match(commitOnce(dir, store, 9).stdout, /^E_READONLY .*checkpoint 1 stays valid/);
  const attempt = takeAttempt(dir, 1);
  assert.deepEqual([attempt.left, attempt.warnings.map(({ code }) => code)], [3, ["W_ATTEMPTS"]]);
});

function commitOnce(dir: string, store: TemporaryStore, size: number) {
  return spawnSync(process.execPath, [driver, dir, key(store), String(size)], { encoding: "utf8" });
}

function key({ ring }: TemporaryStore): string {
  return Buffer.from(ring.primary.expose()).toString("hex");
}

/** A tmpfs of its own; undefined, and said so, where none can be mounted. */
function mounted(options: string) {
  const parent = mkdtempDisposableSync(join(tmpdir(), "blackstart-"));
  const path = join(parent.path, "disk");
  mkdirSync(path);
  if (!runs("mount", "-t", "tmpfs", "-o", options, "blackstart-test", path)) {
    parent.remove();
    return undefined;
  }
  return {
    path,
    [Symbol.dispose]: () => {
      execFileSync("umount", [path]);
      parent.remove();
    },
  };
}

function runs(command: string, ...words: readonly string[]): boolean {
  const { status, stderr } = spawnSync(command, words, { encoding: "utf8" });
  if (status !== 0) {
    console.log(`SKIPPED what needs ${command}: ${stderr?.trim() ?? "it is missing"}`);
  }
  return status === 0;
}

test.run();
