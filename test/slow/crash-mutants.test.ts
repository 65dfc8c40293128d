import assert from "node:assert/strict";
import { suite } from "uvu";
import { allScenarios, missingForCrashes, openBench } from "./crash/bench.ts";
import { describeViolations, pointsOf, type Shot, shootAll } from "./crash/campaign.ts";
import { buildMutant, type Mutant, mutants } from "./crash/mutants.ts";
import { commitSteps } from "./crash/outcome.ts";
import { isChanging, isReading } from "./crash/points.ts";
import { cutPower, cutPowerAfterRepeat } from "./crash/power.ts";
import type { Program } from "./crash/run.ts";
import type { Bench, Scenario } from "./crash/scenario.ts";

/** A crash test that sees no mistake is worth nothing: each of these mistakes must be seen. */
const test = suite("crash-mutants");
const why = missingForCrashes();

if (why !== undefined) {
  test("mutants", () => console.log(`SKIPPED mutants of the crash tests: ${why}`));
} else {
  test("every mutant is seen, and the program without one is not", async () => {
    using bench = await openBench();
    const scenarios = await allScenarios(bench);
    const survivors: string[] = [];
    for (const mutant of mutants) {
      const scenario = scenarios.find(({ name }) => name === mutant.scenario);
      assert.ok(scenario !== undefined, mutant.scenario);
      const program = await buildMutant(bench.fresh("mutant"), mutant);
      const seen = await look(bench, program, scenario, mutant.seenBy);
      console.log(`  ${mutant.name}: ${seen ?? "NOT SEEN"}`);
      if (seen === undefined) {
        survivors.push(mutant.name);
      }
    }
    assert.deepEqual(survivors, []);
    assert.equal(await lookAtOriginal(bench, scenarios), undefined);
    console.log(`mutants: ${mutants.length} seen`);
  });
}

/** The same eyes on the same source without a mistake, where that is quick. */
async function lookAtOriginal(bench: Bench, scenarios: readonly Scenario[]) {
  const program = await buildMutant(bench.fresh("original"));
  for (const scenario of scenarios) {
    const name = scenario.name;
    const seen =
      name.startsWith("key") || name.startsWith("a capture that thins")
        ? await look(bench, program, scenario, "kill")
        : await look(bench, program, scenario, "power");
    if (seen !== undefined) {
      return seen;
    }
  }
  return undefined;
}

/** What a test sees first; undefined when it sees nothing. */
async function look(
  bench: Bench,
  program: Program,
  scenario: Scenario,
  by: Mutant["seenBy"],
): Promise<string | undefined> {
  switch (by) {
    case "power":
      return (await cutPower(bench, program, scenario, true)).violations[0];
    case "power after a repeat": {
      for (const point of await pointsOf(bench, program, scenario, isChanging)) {
        const { violations } = await cutPowerAfterRepeat(bench, program, scenario, point);
        if (violations[0] !== undefined) {
          return violations[0];
        }
      }
      return undefined;
    }
    case "kill":
      return lookAtShots(bench, program, scenario, "KILL");
    case "errno":
    case "read":
      return lookAtShots(bench, program, scenario, "EIO", by);
  }
}

async function lookAtShots(
  bench: Bench,
  program: Program,
  scenario: Scenario,
  effect: string,
  by: "kill" | "errno" | "read" = "kill",
): Promise<string | undefined> {
  const isWanted = by === "read" ? isReading : isChanging;
  const points = await pointsOf(bench, program, scenario, isWanted);
  const steps = new Set(commitSteps(scenario, points));
  const shots: readonly Shot[] = points
    .filter(({ succeeded }) => succeeded || by !== "kill")
    .map((point) => ({ scenario, point, effect }));
  const results = await shootAll(
    bench,
    program,
    shots,
    ({ acknowledged }, { point }) =>
      by === "errno" && acknowledged && steps.has(point) ? ["acknowledged all the same"] : [],
    true,
  );
  const found = describeViolations(results).split("\n").filter(Boolean);
  return found.find((line) => !line.includes("the fault never hit"));
}

test.run();
