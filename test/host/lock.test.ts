import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempDisposableSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { acquireLock, isRunning } from "../../src/host/lock.ts";
import { rejects } from "../rejects.ts";

const test = suite("host/lock");
const now = new Date("2026-01-02T03:04:05Z");

test("the lock is released at the end of its block, and can be taken again", () => {
  using parent = temporary();
  for (let run = 0; run < 2; run += 1) {
    using lock = acquireLock(parent.path);
    assert.deepEqual(lock.warnings, []);
    assert.deepEqual(readdirSync(parent.path), ["lock"]);
  }
  assert.deepEqual(readdirSync(parent.path), []);
});

test("case 85: a second instance is E_LOCKED and names the first", async () => {
  using parent = temporary();
  using _lock = acquireLock(parent.path, now);
  const failure = await rejects(() => acquireLock(parent.path), "E_LOCKED");
  assert.equal(failure.exit, 75);
  assert.match(
    failure.message,
    new RegExp(`pid ${process.pid} holds the lock since 2026-01-02T03:04:05`),
  );
});

const stale: readonly { readonly name: string; readonly text: () => string }[] = [
  { name: "of a dead process", text: () => owner({ pid: spawnSync("true").pid }) },
  { name: "of a process whose number was used again", text: () => owner({ starttime: "1" }) },
  { name: "of another boot", text: () => owner({ bootId: "0".repeat(32) }) },
  { name: "that is empty", text: () => "" },
  { name: "that is not JSON", text: () => "pid 1" },
  { name: "of a process without a number", text: () => owner({ pid: -1 }) },
];

for (const { name, text } of stale) {
  test(`case 86: a lock ${name} is taken over with I_STALE_LOCK`, async () => {
    using parent = temporary();
    writeFileSync(join(parent.path, "lock"), text());
    using lock = acquireLock(parent.path);
    assert.deepEqual(
      lock.warnings.map(({ code }) => code),
      ["I_STALE_LOCK"],
    );
    await rejects(() => acquireLock(parent.path), "E_LOCKED");
    assert.deepEqual(readdirSync(parent.path), ["lock"]);
  });
}

test("a lock of another running process holds, and is stale when that is killed", async () => {
  using parent = temporary();
  const other = spawn(process.execPath, [
    "--input-type=module",
    "--eval",
    `import { acquireLock } from ${JSON.stringify(new URL("../../src/host/lock.ts", import.meta.url))};
     acquireLock(${JSON.stringify(parent.path)}); console.log("held"); setInterval(() => {}, 1e6);`,
  ]);
  await new Promise((resolve) => other.stdout.once("data", resolve));
  await rejects(() => acquireLock(parent.path), "E_LOCKED");
  other.kill("SIGKILL");
  await new Promise((resolve) => other.once("exit", resolve));
  using lock = acquireLock(parent.path);
  assert.equal(lock.warnings.length, 1);
});

test("releasing leaves a lock alone that somebody else took meanwhile", () => {
  using parent = temporary();
  const lock = acquireLock(parent.path);
  writeFileSync(join(parent.path, "lock"), "theirs");
  lock[Symbol.dispose]();
  assert.equal(readFileSync(join(parent.path, "lock"), "utf8"), "theirs");
});

test("a process runs or it does not", () => {
  assert.equal(isRunning(process.pid), true);
  assert.equal(isRunning(1), true);
  assert.equal(isRunning(spawnSync("true").pid), false);
  assert.equal(isRunning(0), false);
  assert.equal(isRunning(Number.NaN), false);
});

/** A lock as this process would write it, changed in some members. */
function owner(change: object): string {
  using parent = temporary();
  using _lock = acquireLock(parent.path, now);
  const text = readFileSync(join(parent.path, "lock"), "utf8");
  return JSON.stringify({ ...JSON.parse(text), ...change });
}

function temporary() {
  return mkdtempDisposableSync(join(tmpdir(), "blackstart-"));
}

test.run();
