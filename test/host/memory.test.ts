import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { getHeapCodeStatistics } from "node:v8";
import { suite } from "uvu";
import { collectGarbage, preferSmall } from "../../src/host/memory.ts";

const memory = suite("src/host/memory.ts");

memory("what nobody holds is gone once garbage is collected", async () => {
  const ref = new WeakRef({ some: "thing" });
  assert.ok(ref.deref());
  await setImmediate(); // what was looked at stays until the end of its turn
  collectGarbage();
  assert.equal(ref.deref(), undefined);
});

/** By how much V8's machine code grows while new functions are called often. */
function compiledBytes(): number {
  const before = getHeapCodeStatistics().code_and_metadata_size;
  for (let at = 0; at < 100; at += 1) {
    const run = new Function("n", `let sum = ${at}; for (; n > 0; n -= 1) sum += n; return sum;`);
    for (let round = 0; round < 5; round += 1) {
      run(20_000);
    }
  }
  return getHeapCodeStatistics().code_and_metadata_size - before;
}

memory("a process that prefers to be small compiles nothing for being called often", () => {
  const usual = compiledBytes();
  preferSmall();
  const small = compiledBytes();
  assert.ok(small < usual / 10, `${small} bytes, ${usual} before`);
});

memory.run();
