import { rmSync } from "node:fs";
import { copyRoot } from "./node-root.ts";
import { findPoint, isHitAt, isHitOnPath, listPoints, type Point } from "./points.ts";
import { type Ended, inLanes, type Program, run, runTraced, type Tracing } from "./run.ts";
import type { Bench, Interrupted, Scenario } from "./scenario.ts";
import { snapshotOf } from "./snapshot.ts";
import type { Call, Trace } from "./trace.ts";

/** A fault at one point. */
export interface Shot {
  readonly scenario: Scenario;
  readonly point: Point;
  /** "KILL" or an errno. */
  readonly effect: string;
}

/** What a fault led to. */
export interface Result extends Shot {
  readonly ended: Ended;
  /** One line each; empty when every promise holds. */
  readonly violations: readonly string[];
  /** Runs that the fault did not hit at its point. */
  readonly misses: number;
}

/** How often: start-up may make a call more or less, so that a number leads elsewhere. */
const tries = 12;

/** The calls of an undisturbed run under strace. */
export async function traceClean(
  bench: Bench,
  program: Program,
  scenario: Scenario,
  tracing?: Tracing,
): Promise<{ readonly trace: Trace; readonly root: string }> {
  const root = bench.fresh("clean");
  copyRoot(scenario.template, root);
  const log = bench.fresh("log");
  const { ended, trace } = await runTraced(program, scenario.words(root), log, tracing);
  const { status, stderr } = ended;
  if (status !== 0) {
    throw new Error(`${scenario.name}: ${status}: ${stderr}`);
  }
  return { trace, root };
}

/** The points of a scenario, from an undisturbed run. */
export async function pointsOf(
  bench: Bench,
  program: Program,
  scenario: Scenario,
  isWanted: (call: Call) => boolean,
): Promise<readonly Point[]> {
  const { trace, root } = await traceClean(bench, program, scenario);
  rmSync(root, { recursive: true });
  const { about } = scenario;
  const points = listPoints(trace, root, isWanted);
  return about === undefined ? points : points.filter(({ paths }) => paths.some(about));
}

/** Does one shot in a root of its own: run with the fault, judge, run again, judge. */
export async function shoot(
  bench: Bench,
  program: Program,
  shot: Shot,
  more: (result: Interrupted) => readonly string[] = () => [],
): Promise<Result> {
  const { scenario, point, effect } = shot;
  const target = targetOf(point);
  let { when } = target;
  for (let misses = 0; misses < tries; misses += 1) {
    const root = bench.fresh("root");
    try {
      copyRoot(scenario.template, root);
      const fault = {
        syscall: point.syscall,
        when,
        effect,
        ...(target.path === undefined ? {} : { path: root + target.path }),
      };
      const words = scenario.words(root);
      const { ended, trace } = await runTraced(program, words, bench.fresh("log"), { fault });
      const isHit =
        target.path === undefined
          ? isHitAt(trace, root, effect, point)
          : isHitOnPath(trace, effect, point.syscall);
      if (!isHit) {
        // Too early, it is one later; too late, the run has shown where it was. A count on a path is right.
        when =
          target.path !== undefined || misses % 4 === 3
            ? target.when
            : (findPoint(trace, root, point) ?? when + 1);
        continue;
      }
      const acknowledged = scenario.isAcknowledged(ended);
      const interrupted = { ended, acknowledged, effect };
      const violations = [...scenario.judge(root, interrupted), ...more(interrupted)];
      const after = await repeat(program, scenario, root, interrupted);
      return { ...shot, ended, violations: [...violations, ...after], misses };
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }
  const ended = { status: null, stdout: "", stderr: "" };
  return { ...shot, ended, violations: [`the fault never hit in ${tries} runs`], misses: tries };
}

/**
 * How strace is told where. The runtime writes and reads by itself, and not always equally often, so that
 * these are counted on their path alone, where the path can be known.
 */
function targetOf(point: Point): { readonly when: number; readonly path?: string } {
  const [path = ""] = point.paths;
  return /^(write|read|pread64)$/.test(point.syscall) && !path.includes("*")
    ? { when: point.occurrence, path }
    : { when: point.when };
}

/** States from which a second run has ended well: many faults leave the same. */
const repeated = new Set<string>();

async function repeat(
  program: Program,
  scenario: Scenario,
  root: string,
  interrupted: Interrupted,
): Promise<readonly string[]> {
  const state = JSON.stringify([program, scenario.name, ...snapshotOf(root)]);
  if (repeated.has(state)) {
    return [];
  }
  const again = await run(program, scenario.words(root));
  const found = scenario.judgeAgain(root, again, interrupted);
  if (found.length === 0) {
    repeated.add(state);
  }
  return found.map((line) => `after a second run: ${line}`);
}

/** Does all shots, two at a time. `stop` ends it early, after the first violation. */
export async function shootAll(
  bench: Bench,
  program: Program,
  shots: readonly Shot[],
  more?: (result: Interrupted, shot: Shot) => readonly string[],
  stop = false,
): Promise<Result[]> {
  let isOver = false;
  const results = await inLanes(shots, async (shot) => {
    if (isOver) {
      return undefined;
    }
    const result = await shoot(
      bench,
      program,
      shot,
      (interrupted) => more?.(interrupted, shot) ?? [],
    );
    isOver = stop && result.violations.length > 0;
    return result;
  });
  return results.filter((result) => result !== undefined);
}

/** One line for each violation. */
export function describeViolations(results: readonly Result[]): string {
  return results
    .flatMap(({ scenario, point, effect, violations }) =>
      violations.map(
        (line) => `${effect} at ${point.label} #${point.occurrence} of ${scenario.name}: ${line}`,
      ),
    )
    .join("\n");
}
