import assert from "node:assert/strict";
import { suite } from "uvu";
import { allScenarios, missingForCrashes, openBench } from "./crash/bench.ts";
import { pointsOf } from "./crash/campaign.ts";
import { isChanging } from "./crash/points.ts";
import { cutPower, cutPowerAfterRepeat } from "./crash/power.ts";
import { inLanes } from "./crash/run.ts";

/**
 * A killed process leaves its writes in the page cache, so that no kill shows a missing fsync. Here every
 * state that a disk may hold after a power cut is made from a trace, and looked at.
 */
const test = suite("crash-power");
const why = missingForCrashes();

/** Measured: 215 and 711. */
const leastStates = 205;
const leastRepeated = 680;

test("whatever a file system has persisted when the power fails, all is old or new", async () => {
  if (why !== undefined) {
    console.log(`SKIPPED power cuts: ${why}`);
    return;
  }
  using bench = await openBench();
  let states = 0;
  const violations: string[] = [];
  for (const scenario of await allScenarios(bench)) {
    const result = await cutPower(bench, bench.program, scenario);
    console.log(`  ${scenario.name}: ${result.states} states`);
    states += result.states;
    violations.push(...result.violations);
  }
  console.log(`power cuts: ${states} states`);
  assert.deepEqual(violations.slice(0, 20), []);
  assert.ok(states >= leastStates, `only ${states} states`);
});

test("what is acknowledged after a killed run outlives a power cut", async () => {
  if (why !== undefined) {
    console.log(`SKIPPED power cuts after a killed run: ${why}`);
    return;
  }
  using bench = await openBench();
  let states = 0;
  const violations: string[] = [];
  for (const scenario of await allScenarios(bench)) {
    if (/capture|key init|records/.test(scenario.name)) {
      const points = await pointsOf(bench, bench.program, scenario, isChanging);
      const results = await inLanes(points, (point) =>
        cutPowerAfterRepeat(bench, bench.program, scenario, point),
      );
      states += results.reduce((sum, result) => sum + result.states, 0);
      violations.push(...results.flatMap((result) => result.violations));
    }
  }
  console.log(`power cuts after a killed run: ${states} states`);
  assert.deepEqual(violations.slice(0, 20), []);
  assert.ok(states >= leastRepeated, `only ${states} states`);
});

test.run();
