import assert from "node:assert/strict";
import { suite } from "uvu";
import { allScenarios, expectNoViolation, missingForCrashes, openBench } from "./crash/bench.ts";
import { pointsOf, type Result, type Shot, shootAll } from "./crash/campaign.ts";
import { ourLinks } from "./crash/kubelet-view.ts";
import { copyRoot } from "./crash/node-root.ts";
import { commitSteps, judgeOutcome } from "./crash/outcome.ts";
import { isChanging } from "./crash/points.ts";
import { restoreScenarios } from "./crash/restore-scenarios.ts";
import { runTraced } from "./crash/run.ts";

/**
 * Lets every system call that changes a file system fail with each errno that a disk may give. The command
 * says which, in one line, with the documented status; the old state is intact, and a second run ends well.
 */
const test = suite("crash-errno");
const why = missingForCrashes();

/** Every errno at every point. */
const everywhere = ["EIO", "ENOSPC", "EROFS"];
/** These take the same paths through the code as others, so that every fourth point does. */
const sampled = ["EMFILE", "EDQUOT"];
const stride = 4;

/** Measured: 2,812; without root a fifth less, when nothing is given away. */
const leastPoints = process.getuid?.() === 0 ? 2700 : 2100;

test("whatever a call returns, the failure is told as it is and nothing is lost", async () => {
  if (why !== undefined) {
    console.log(`SKIPPED errors of every system call: ${why}`);
    return;
  }
  using bench = await openBench();
  const results: Result[] = [];
  for (const scenario of await allScenarios(bench)) {
    const points = await pointsOf(bench, bench.program, scenario, isChanging);
    const steps = new Set(commitSteps(scenario, points));
    const shots: Shot[] = [
      ...everywhere.flatMap((effect) => points.map((point) => ({ scenario, point, effect }))),
      ...sampled.flatMap((effect, at) =>
        points
          .filter((_, index) => index % stride === at)
          .map((point) => ({ scenario, point, effect })),
      ),
    ];
    const done = await shootAll(bench, bench.program, shots, (interrupted, { point, effect }) => [
      ...judgeOutcome(interrupted),
      ...(interrupted.acknowledged && steps.has(point) && !isFull(effect)
        ? ["acknowledged all the same"]
        : []),
    ]);
    console.log(`  ${scenario.name}: ${done.length} runs`);
    results.push(...done);
  }
  expectNoViolation("errors", results);
  assert.ok(results.length >= leastPoints, `only ${results.length} points`);
});

test("on a disk that came up read-only, pods come up by the links of the boot before", async () => {
  if (why !== undefined) {
    console.log(`SKIPPED a disk that came up read-only: ${why}`);
    return;
  }
  using bench = await openBench();
  // There is a link of a pod that the newest generation does not have, and it cannot be removed.
  const scenario = (await restoreScenarios(bench)).find(({ name }) => name.includes("choose"));
  assert.ok(scenario !== undefined);
  const root = bench.fresh("read-only");
  copyRoot(scenario.template, root);
  const fault = { syscall: "unlink", when: 1, always: true, effect: "EROFS" };
  const words = scenario.words(root);
  const { ended } = await runTraced(bench.program, words, bench.fresh("log"), { fault });
  assert.equal(ended.status, 73, ended.stderr);
  assert.match(ended.stderr, /^W_LEFTOVER: E_READONLY: /m);
  const links = [...ourLinks(root)].map(([name, leads]) => `${name} ${leads}`).sort();
  assert.deepEqual(links, [
    "blackstart_a_agent.json true",
    "blackstart_a_gone.json false",
    "blackstart_a_web.json true",
  ]);
});

/** Capture makes room on a full disk, and begins again. */
function isFull(effect: string): boolean {
  return effect === "ENOSPC" || effect === "EDQUOT";
}

test.run();
