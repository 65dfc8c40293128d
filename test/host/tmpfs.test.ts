import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { ensureMemory } from "../../src/host/tmpfs.ts";
import { isMemory, makeRoot } from "../project/plans.ts";

const test = suite("host/tmpfs");
const log = (): void => {};

test("a directory on a disk is refused, named, and not made", () => {
  const root = mkdtempSync("/var/tmp/blackstart-tmpfs-");
  try {
    if (isMemory(root)) {
      console.log("SKIPPED a run directory on a disk: /var/tmp is a tmpfs");
      return;
    }
    assert.throws(
      () => ensureMemory("/run/blackstart", { root, swap: "refuse", log }),
      (error: Error & { code?: string; exit?: number }) =>
        error.code === "E_NOT_MEMORY" &&
        error.exit === 78 &&
        /refusing to write secrets to \w+/.test(error.message),
    );
    assert.equal(existsSync(join(root, "run")), false);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a directory in memory is made, closed to others", () => {
  if (!isMemory("/dev/shm")) {
    console.log("SKIPPED a run directory in memory: /dev/shm is not a tmpfs");
    return;
  }
  using site = makeRoot("/dev/shm");
  rmSync(join(site.root, "run"), { recursive: true });
  const memory = ensureMemory("/run/blackstart", { root: site.root, swap: "allow", log });
  assert.equal(memory.kind, "tmpfs");
  assert.equal(lstatSync(join(site.root, "run/blackstart")).mode & 0o777, 0o700);
});

test.run();
