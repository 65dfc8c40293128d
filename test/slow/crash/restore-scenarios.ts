import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths, under } from "../../../src/config.ts";
import { readNames } from "../../../src/store/layout.ts";
import { judgeVisiblePods, manifestDir, ourLinks, runDir } from "./kubelet-view.ts";
import { copyRoot, makeRoot, node } from "./node-root.ts";
import { run } from "./run.ts";
import type { Bench, Interrupted, Scenario } from "./scenario.ts";
import { differences, type Snapshot, snapshotOf, withoutDates } from "./snapshot.ts";
import { prepare } from "./store-scenarios.ts";
import { namesIn, viewStore } from "./store-view.ts";

/** `restore` on four nodes: freshly booted, after a power cut, with an older generation projected, with two to choose. */
export async function restoreScenarios(bench: Bench): Promise<Scenario[]> {
  const first = bench.fresh("restore-first");
  makeRoot(first);
  await prepare(bench, first, ["key", "init", "--slot", "plain"]);
  await prepare(bench, first, ["capture", "--from", bench.objects.old, "--node", node]);
  rmSync(join(first, runDir), { recursive: true });

  const standing = bench.fresh("restored");
  copyRoot(first, standing);
  await prepare(bench, standing, ["restore", "--force"]);

  const booted = bench.fresh("restore-boot");
  copyRoot(standing, booted);
  rmSync(join(booted, runDir), { recursive: true });
  rmSync(join(booted, manifestDir, "blackstart_a_agent.json")); // links are not synced

  const update = bench.fresh("restore-update");
  copyRoot(standing, update);
  writeFileSync(under(update, paths.config), "swap: allow\n");
  await prepare(bench, update, ["capture", "--from", bench.objects.new, "--node", node]);
  leaveBehind(update);

  const cold = bench.fresh("restore-choice");
  copyRoot(update, cold);
  rmSync(join(cold, runDir), { recursive: true });

  const old: Look = {
    generation: 1,
    run: snapshotOf(join(standing, runDir)),
    links: snapshotOf(join(standing, manifestDir)),
  };
  const force = ["restore", "--force"];
  const second = [...force, "--generation", "2"];
  return [
    await restoreScenario(bench, "the first restore", first, force, {}),
    await restoreScenario(bench, "a restore after a power cut", booted, force, {}),
    await restoreScenario(bench, "a restore over another", update, second, { before: old }),
    await restoreScenario(bench, "a restore that can choose", cold, force, { instead: old }),
  ];
}

/** A generation, projected. */
interface Look {
  readonly generation: number;
  /** /run/blackstart. */
  readonly run: Snapshot;
  /** The manifest directory. */
  readonly links: Snapshot;
}

/** What a run that was killed has left. */
function leaveBehind(root: string): void {
  const pod = join(root, runDir, "pods/a_web");
  mkdirSync(join(pod, ".blackstart-0/deep"), { recursive: true, mode: 0o700 });
  writeFileSync(join(pod, ".blackstart-0/deep/file"), "half");
  writeFileSync(join(root, runDir, "manifests/.blackstart-new"), "{");
  symlinkSync(
    "../../../run/blackstart/manifests/a_web.json",
    join(root, manifestDir, ".blackstart-new"),
  );
}

/**
 * @param more.before  what was projected before
 * @param more.instead  what is projected when the newest generation cannot be read
 */
async function restoreScenario(
  bench: Bench,
  name: string,
  template: string,
  command: readonly string[],
  { before, instead }: { readonly before?: Look; readonly instead?: Look },
): Promise<Scenario> {
  const words = (root: string) => [...command, "--root", root];
  const clean = bench.fresh("golden");
  copyRoot(template, clean);
  const { status, stderr } = await run(bench.program, words(clean));
  if (status !== 0) {
    throw new Error(`${name}: ${status}: ${stderr}`);
  }
  const golden: Look = {
    generation: before === undefined && instead === undefined ? 1 : 2,
    run: snapshotOf(join(clean, runDir)),
    links: snapshotOf(join(clean, manifestDir)),
  };
  const ends = instead === undefined ? [golden] : [golden, instead];
  const visible = [...ends, ...(before === undefined ? [] : [before])].map((look) => look.run);
  const linksBefore = ourLinks(template);
  const dangled = new Set([...linksBefore].filter(([, leads]) => !leads).map(([link]) => link));
  const foreign = foreignOf(template, linksBefore);
  const stored = viewStore(template).documents;
  const isAttempted = (root: string) =>
    ends.some(
      ({ generation }) => attemptsDone(root, generation) > attemptsDone(template, generation),
    );

  const judge = (root: string, { ended, acknowledged, effect }: Interrupted): string[] => {
    const { documents } = viewStore(root);
    const isCounted = isAttempted(root) || ended.stderr.includes("W_ATTEMPTS");
    const isCut = effect === "POWER";
    const links = ourLinks(root);
    const shows = [...links].some(([link, leads]) =>
      isCut ? !linksBefore.has(link) : leads && !linksBefore.get(link),
    );
    const isDone = acknowledged && ended.status === 0;
    return [
      ...judgeVisiblePods(root, visible, isCut ? new Set(links.keys()) : dangled),
      ...differences(foreignOf(root, linksBefore), foreign).map((line) => `foreign: ${line}`),
      ...[...stored.keys()]
        .filter((generation) => documents.get(generation) !== stored.get(generation))
        .map((generation) => `generation ${generation} is lost`),
      ...(shows && !isCounted ? ["a pod is shown by a boot that was not counted"] : []),
      ...(isDone ? judgeEnd(root, ends, effect === "KILL" ? "all" : "seen") : []),
    ];
  };
  return {
    name,
    template,
    words,
    isAcknowledged: ({ stderr }) => /restore 5\/5 project: (\d+) of \1 pods/.test(stderr),
    judge,
    judgeAgain: (root, again, interrupted) => [
      ...(again.status === 0 ? [] : [`the second run ended with ${again.status}: ${again.stderr}`]),
      ...judge(root, { ...interrupted, acknowledged: false }),
      ...judgeEnd(root, ends, "all"),
      ...(namesIn(join(root, runDir)) ?? [])
        .filter((left) => left.includes("lock"))
        .map((left) => `${left} is left`),
    ],
    judgeKept: (root) => (isAttempted(root) ? [] : ["the boot is not counted"]),
  };
}

/** One of the ends is reached; else what is missing to the first. */
function judgeEnd(root: string, ends: readonly Look[], part: "all" | "seen"): string[] {
  const found = ends.map(({ run, links }) => judgeGolden(root, run, links, part));
  return found.some((lines) => lines.length === 0) ? [] : (found[0] ?? []);
}

/**
 * Everything is as in a clean run, but for the lock: an interrupted run may not have come to give it back.
 * "seen" leaves hidden names out: what cannot be removed now is left to the next run.
 */
function judgeGolden(
  root: string,
  golden: Snapshot,
  goldenLinks: Snapshot,
  part: "all" | "seen",
): string[] {
  const isWanted = (path: string) =>
    !/^\.?lock/.test(path) && (part === "all" || !/(^|\/)\.blackstart-/.test(path));
  const filtered = (dir: string) =>
    new Map([...snapshotOf(join(root, dir))].filter(([path]) => isWanted(path)));
  const links = new Map([...goldenLinks].filter(([path]) => isWanted(path)));
  return [
    ...differences(withoutDates(filtered(runDir)), withoutDates(golden)),
    ...differences(filtered(manifestDir), links),
  ];
}

/** All that is not ours in the manifest directory: names of ours, hidden or not, are links to our memory. */
function foreignOf(root: string, linksBefore: ReadonlyMap<string, boolean>): Snapshot {
  const links = ourLinks(root);
  return new Map(
    [...snapshotOf(join(root, manifestDir))].filter(
      ([name, line]) =>
        !links.has(name) && !linksBefore.has(name) && !/^link .*\/run\/blackstart\//.test(line),
    ),
  );
}

function attemptsDone(root: string, generation: number): number {
  const { attempts } = readNames(namesIn(under(root, paths.store)) ?? []);
  return attempts.get(generation)?.done ?? 0;
}
