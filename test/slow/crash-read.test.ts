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
/** This at every point. */
const everywhere = "EIO";
/** These take the same paths through the code, so that every sixth point does. */
const sampled = ["EMFILE", "EACCES"];
const stride = 6;

/** Measured: 1,764. */
const leastPoints = 1650;

test("whatever cannot be read, no generation and no foreign file is lost", async () => {
  if (why !== undefined) {
    console.log(`SKIPPED errors of every reading call: ${why}`);
    return;
  }
  using bench = await openBench();
  const results: Result[] = [];
  for (const scenario of await allScenarios(bench)) {
    const points = await pointsOf(bench, bench.program, scenario, isReading);
    const shots = [
      ...points.map((point) => ({ scenario, point, effect: everywhere })),
      ...sampled.flatMap((effect, at) =>
        points
          .filter((_, index) => index % stride === at)
          .map((point) => ({ scenario, point, effect })),
      ),
    ];
    const done = await shootAll(bench, bench.program, shots, (interrupted, { point }) =>
      judgeOutcome(interrupted, alsoFor(point)),
    );
    console.log(`  ${scenario.name}: ${done.length} runs`);
    results.push(...done);
  }
  expectNoViolation("reading errors", results);
  assert.ok(results.length >= leastPoints, `only ${results.length} points`);
});

/** What is not in the store has codes of its own. */
function alsoFor({ paths }: Point): readonly FailureCode[] {
  const [path = ""] = paths;
  const found = codesByPath.find(([start]) => path.startsWith(start));
  return found?.[1] ?? [];
}

const codesByPath: readonly (readonly [string, readonly FailureCode[]])[] = [
  ["/etc/blackstart/config", ["E_CONFIG"]],
  ["/etc/blackstart/keys", ["E_KEY_SLOT"]],
  ["/run/blackstart/lock", ["E_LOCKED"]],
  ["/run/blackstart/.lock", ["E_LOCKED"]],
];

test.run();
