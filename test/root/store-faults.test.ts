import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempDisposableSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { ringOf, StoreKey } from "../../src/model/store-key.ts";
import { commitGeneration } from "../../src/store/commit.ts";
import { bless } from "../../src/store/marks.ts";
import { listGenerations, openGeneration, openNewest } from "../../src/store/store.ts";
import { type CallPoint, isMutating, listCalls, runWithFault, straceMissing } from "./strace.ts";

/*
 * Kills a commit at every system call on the store, and fails every one, with a store that has retention,
 * quarantine and leftovers to do. Afterwards: the acknowledged generation is there, the newest that opens is the old
 * or the new one, nothing good was deleted, and the next commit succeeds and leaves nothing behind.
 */
const test = suite("root/store-faults");
const driver = new URL("../store/commit-once.ts", import.meta.url).pathname;
const ring = ringOf(StoreKey.generate());
const keyHex = Buffer.from(ring.primary.expose()).toString("hex");

/** Faults; "all" also at calls that only read. */
const faults: readonly { readonly fault: string; readonly at: "all" | "mutating" }[] = [
  { fault: "signal=KILL", at: "all" },
  { fault: "error=EIO", at: "all" },
  { fault: "error=EMFILE", at: "mutating" },
  { fault: "error=ENOSPC", at: "mutating" },
  { fault: "error=EROFS", at: "mutating" },
];

/** Code that each errno must end in when it ends the commit at all. */
const expected: Readonly<Record<string, RegExp>> = {
  "error=EIO": /^E_(IO|FSYNC) /,
  "error=EMFILE": /^E_(RESOURCES|FSYNC) /,
  "error=ENOSPC": /^E_NOSPACE /,
  "error=EROFS": /^E_(READONLY|FSYNC) /,
};

for (const { fault, at } of faults) {
  test(`${fault} at every ${at === "all" ? "" : "mutating "}call of a commit`, async () => {
    const why = straceMissing();
    if (why !== undefined) {
      console.log(`SKIPPED ${fault}: ${why}`);
      return;
    }
    using place = mkdtempDisposableSync(join(tmpdir(), "blackstart-faults-"));
    const seed = join(place.path, "seed");
    await makeSeed(seed);
    const dir = join(place.path, "run");
    const command = [process.execPath, driver, dir, keyHex, "3000"];
    reset(seed, dir);
    const all = listCalls(command, dir);
    const points = all.filter((point) => at === "all" || isMutating(point));
    assert.ok(points.length >= 20, `only ${points.length} points`);
    let missed = 0;
    for (const point of points) {
      const run = inject(seed, dir, command, point, fault);
      if (run === undefined) {
        missed += 1;
        continue;
      }
      await checkStore(dir, run.stdout, fault, point);
    }
    assert.ok(
      missed <= points.length / 20,
      `${missed} of ${points.length} faults missed their call`,
    );
    console.log(`${fault}: ${points.length - missed} points`);
  });
}

/** Generations 1 (blessed), 2, 3, 4 and a damaged 5; a leftover of a dead process; keep is 2. */
async function makeSeed(dir: string): Promise<void> {
  for (const text of ["one", "two", "three", "four"]) {
    await commit(dir, text, 9);
  }
  bless(dir, 1);
  spawnSync("sh", ["-c", `head -c 500 gen-*4.jwe > gen-00000000000000000005.jwe`], { cwd: dir });
  spawnSync("sh", ["-c", "chmod 600 gen-*; echo half > .tmp-999999999-aa"], { cwd: dir });
}

function commit(dir: string, text: string, keep: number) {
  const content = { plaintext: Buffer.from(text), node: "n1", capturedAt: "2026-01-02T03:04:05Z" };
  return commitGeneration(dir, content, ring, [], { keep });
}

/** Start-up is not quite deterministic, so that a call's number can be off: undefined when it was three times. */
function inject(
  seed: string,
  dir: string,
  command: readonly string[],
  point: CallPoint,
  fault: string,
) {
  for (let run = 0; run < 3; run += 1) {
    reset(seed, dir);
    const result = runWithFault(command, point, fault);
    if (result.injected?.includes(dir)) {
      return result;
    }
  }
  return undefined;
}

function reset(seed: string, dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  cpSync(seed, dir, { recursive: true });
}

async function checkStore(dir: string, stdout: string, fault: string, point: CallPoint) {
  const what = `${fault} at ${point.text}\n${stdout}`;
  const acknowledged = /^ok (\d+)/.exec(stdout)?.[1];
  if (acknowledged === undefined && fault in expected) {
    assert.match(stdout, expected[fault] ?? /./, what);
  }
  const reading = openNewest(dir, ring, "n1");
  assert.ok(reading.kind === "opened", what);
  const { generation, plaintext } = reading.opened;
  assert.ok(generation === 4 || generation === 6, what);
  assert.equal(plaintext.length, generation === 4 ? 4 : 3000, what);
  if (acknowledged !== undefined) {
    assert.equal(generation, Number(acknowledged), what);
  }
  // The two newest valid ones and the blessed one are there in any case.
  for (const kept of generation === 6 ? [6, 4, 1] : [4, 3, 1]) {
    assert.doesNotThrow(() => openGeneration(dir, kept, ring, "n1"), what);
  }
  assert.ok((await commit(dir, "again", 2)).generation >= 6, what);
  const numbers = listGenerations(dir).generations.map((one) => one.generation);
  assert.deepEqual(numbers.length, 3, `${what}${numbers}`);
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.startsWith(".")),
    [],
    what,
  );
}

test.run();
