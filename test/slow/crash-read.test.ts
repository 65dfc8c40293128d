import assert from "node:assert/strict";
import { suite } from "uvu";
import type { FailureCode } from "../../src/errors.ts";
import { allScenarios, expectNoViolation, missingForCrashes, openBench } from "./crash/bench.ts";
import { pointsOf, type Result, shootAll } from "./crash/campaign.ts";
import { judgeOutcome } from "./crash/outcome.ts";
import { isReading, type Point } from "./crash/points.ts";

/**
 * Lets every system call that only looks fail. What cannot be read is no proof of damage: no generation is
 * deleted or set aside for it, no foreign file is taken for ours, and a second run ends well.
 */
const test = suite("crash-read");
const why = missingForCrashes();
const effects = ["EIO", "EMFILE", "EACCES"];

/** Measured: 3,000. */
const leastPoints = 1000;

test("whatever cannot be read, no generation and no foreign file is lost", async () => {
  if (why !== undefined) {
    console.log(`SKIPPED errors of every reading call: ${why}`);
    return;
  }
  using bench = await openBench();
  const results: Result[] = [];
  for (const scenario of await allScenarios(bench)) {
    const points = await pointsOf(bench, bench.program, scenario, isReading);
    const shots = effects.flatMap((effect) => points.map((point) => ({ scenario, point, effect })));
    const done = await shootAll(bench, bench.program, shots, (interrupted, { point }) =>
      judgeOutcome(interrupted, alsoFor(point)),
    );
    console.log(`  ${scenario.name}: ${done.length} runs`);
    results.push(...done);
  }
  expectNoViolation("reading errors", results);
  assert.ok(results.length >= leastPoints, `only ${results.length} points`);
});

/** What is not a file of ours has codes of its own. */
function alsoFor({ paths }: Point): readonly FailureCode[] {
  const [path = ""] = paths;
  return path.startsWith("/etc/blackstart/config")
    ? ["E_CONFIG"]
    : path.startsWith("/etc/kubernetes/manifests")
      ? ["E_MANIFEST_DIR", "E_RACE"]
      : [];
}

test.run();
