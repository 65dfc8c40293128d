import { rmSync } from "node:fs";
import { traceClean } from "./campaign.ts";
import { readImage, writeImage } from "./disk.ts";
import { Recorder } from "./disk-steps.ts";
import { copyRoot } from "./node-root.ts";
import { type Persisted, persistedStates } from "./persisted.ts";
import type { Point } from "./points.ts";
import { inLanes, type Program, run, runTraced } from "./run.ts";
import type { Bench, Scenario } from "./scenario.ts";

/** Everything that was written is in the log, in order to be written again. */
const allBytes = 16_777_216;

/** Memory and what is not under the root are no disk. */
const isDisk = (name: string): boolean => name !== "run";

/** What a power cut led to. */
export interface PowerResult {
  readonly states: number;
  /** One line each. */
  readonly violations: readonly string[];
}

/**
 * Cuts the power at every moment of a clean run, in every way that a file system allows: the state is old or
 * new, new once that was acknowledged, and the command ends well when it is run again.
 *
 * @param stop  true leaves the rest out after the first violation
 */
export async function cutPower(
  bench: Bench,
  program: Program,
  scenario: Scenario,
  stop = false,
): Promise<PowerResult> {
  const { trace, root } = await traceClean(bench, program, scenario, { bytes: allBytes });
  rmSync(root, { recursive: true });
  const recorder = new Recorder(readImage(scenario.template, isDisk), root);
  recorder.add(trace, scenario.isAcknowledged);
  const states = persistedStates(recorder.inodes, recorder.steps);
  let isOver = false;
  const violations = await inLanes(states, async (state) => {
    const found = isOver ? [] : await judgeState(bench, program, scenario, state);
    isOver ||= stop && found.length > 0;
    return found;
  });
  return { states: states.length, violations: violations.flat() };
}

async function judgeState(
  bench: Bench,
  program: Program,
  scenario: Scenario,
  { image, acknowledged, after }: Persisted,
): Promise<string[]> {
  const root = bench.fresh("image");
  try {
    writeImage(image, root);
    const ended = { status: null, stdout: "", stderr: "" };
    const interrupted = { ended, acknowledged, effect: "POWER" };
    const found = scenario.judge(root, interrupted);
    if (found.length === 0) {
      const again = await run(program, scenario.words(root));
      found.push(...scenario.judgeAgain(root, again, interrupted));
    }
    return found.map((line) => `${scenario.name}, power cut after step ${after}: ${line}`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/**
 * Kills a run at a point, runs the command again to its end, and then cuts the power: what the second run
 * acknowledged must not rest on what the first one left unsynced.
 */
export async function cutPowerAfterRepeat(
  bench: Bench,
  program: Program,
  scenario: Scenario,
  point: Point,
): Promise<PowerResult> {
  const root = bench.fresh("root");
  try {
    copyRoot(scenario.template, root);
    const recorder = new Recorder(readImage(root, isDisk), root);
    const fault = { syscall: point.syscall, when: point.when, effect: "KILL" };
    const words = scenario.words(root);
    // Where exactly the kill hits does not matter: each run says what it did.
    const killed = await runTraced(program, words, bench.fresh("log"), {
      fault,
      bytes: allBytes,
      all: true,
    });
    recorder.add(killed.trace, () => false);
    const again = await runTraced(program, words, bench.fresh("log"), { bytes: allBytes });
    recorder.add(again.trace, () => false);
    const states = persistedStates(recorder.inodes, recorder.steps, recorder.steps.length);
    const violations = states.flatMap(({ image }) => {
      const place = bench.fresh("image");
      writeImage(image, place);
      const found = scenario.judgeKept(place, again.ended);
      rmSync(place, { recursive: true });
      return found.map((line) => `${scenario.name}, killed at ${point.label}, repeated: ${line}`);
    });
    return { states: states.length, violations };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
