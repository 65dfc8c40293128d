import assert from "node:assert/strict";
import { copyFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { buildIfStale } from "../../../scripts/build.mjs";
import { describeViolations, type Result } from "./campaign.ts";
import { openWorkshop } from "./node-root.ts";
import { recordScenarios } from "./record-scenarios.ts";
import { restoreScenarios } from "./restore-scenarios.ts";
import { missingStrace } from "./run.ts";
import type { Bench, Scenario } from "./scenario.ts";
import { captureScenarios, keyScenarios } from "./store-scenarios.ts";

/** Why no crash can be tested here; undefined when it can. */
export function missingForCrashes(): string | undefined {
  return statfsSync("/dev/shm", { bigint: false }).type === 0x01021994
    ? missingStrace()
    : "/dev/shm is not a tmpfs, and restore writes to nothing else";
}

/** A workshop with the executable as it is now: a build that another run makes does not change it. */
export async function openBench(): Promise<Bench & Disposable> {
  const workshop = openWorkshop();
  const executable = join(workshop.dir, "blackstart");
  copyFileSync(await buildIfStale(), executable);
  const { fresh, objects } = workshop;
  return {
    program: [executable],
    fresh,
    objects,
    [Symbol.dispose]: () => workshop[Symbol.dispose](),
  };
}

/** Every command on every node. */
export async function allScenarios(bench: Bench): Promise<readonly Scenario[]> {
  const [keys, captures, restores, records] = await Promise.all([
    keyScenarios(bench),
    captureScenarios(bench),
    restoreScenarios(bench),
    recordScenarios(bench),
  ]);
  return [...keys, ...captures, ...restores, ...records];
}

/** Prints what was done, and fails on the first twenty things that do not hold. */
export function expectNoViolation(what: string, results: readonly Result[]): void {
  const misses = results.reduce((sum, result) => sum + result.misses, 0);
  console.log(
    `${what}: ${results.length} points, ${misses} runs repeated because the fault missed`,
  );
  const found = describeViolations(results).split("\n").filter(Boolean);
  assert.equal(found.length, 0, `\n${found.slice(0, 20).join("\n")}\n${found.length} violations`);
}
