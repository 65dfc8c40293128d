import assert from "node:assert/strict";
import { suite } from "uvu";
import { allScenarios, expectNoViolation, missingForCrashes, openBench } from "./crash/bench.ts";
import { pointsOf, type Result, shootAll } from "./crash/campaign.ts";
import { isChanging } from "./crash/points.ts";

/**
 * Kills the executable at every system call that changes a file system, in every command that writes. Each
 * time the store opens at the old or the new generation, a kubelet sees whole pods only, and a second run
 * leaves what an undisturbed one leaves.
 */
const test = suite("crash-kill");
const why = missingForCrashes();

/** Measured: 760, and 600 without root, when nothing is given away. Fewer means that calls are no longer seen. */
const leastPoints = process.getuid?.() === 0 ? 740 : 580;

test("killed at every call that changes something, all is old or new, and a second run ends well", async () => {
  if (why !== undefined) {
    console.log(`SKIPPED kills at every system call: ${why}`);
    return;
  }
  using bench = await openBench();
  const results: Result[] = [];
  for (const scenario of await allScenarios(bench)) {
    const points = await pointsOf(bench, bench.program, scenario, isChanging);
    // One that fails changes nothing: a kill there is the same as at the next.
    const shots = points
      .filter(({ succeeded }) => succeeded)
      .map((point) => ({ scenario, point, effect: "KILL" }));
    const shot = await shootAll(bench, bench.program, shots);
    console.log(`  ${scenario.name}: ${shot.length} points`);
    results.push(...shot);
  }
  expectNoViolation("kills", results);
  assert.ok(results.length >= leastPoints, `only ${results.length} points`);
});

test.run();
