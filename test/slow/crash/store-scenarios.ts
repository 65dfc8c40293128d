import { cpSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths, under } from "../../../src/config.ts";
import { readPlainKey } from "../../../src/host/key-slots.ts";
import { attemptsName, blessedName, generationName } from "../../../src/store/layout.ts";
import { copyRoot, makeRoot, node } from "./node-root.ts";
import { run } from "./run.ts";
import type { Bench, Interrupted, Scenario } from "./scenario.ts";
import { namesIn, type StoreView, viewStore } from "./store-view.ts";

/** The newest one that is blessed, where there is a store. */
const blessed = 2;

const storeOf = (root: string) => under(root, paths.store);

/** Runs a preparing step, which must succeed. */
export async function prepare(bench: Bench, root: string, words: readonly string[]): Promise<void> {
  const { status, stderr } = await run(bench.program, [...words, "--root", root]);
  if (status !== 0) {
    throw new Error(`${words.join(" ")}: ${status}: ${stderr}`);
  }
}

/** `capture` on three nodes: without a store, with one to thin out, with one to repair. */
export async function captureScenarios(bench: Bench): Promise<Scenario[]> {
  const first = bench.fresh("capture-first");
  makeRoot(first);
  await prepare(bench, first, ["key", "init", "--slot", "plain"]);

  const captured = bench.fresh("captured");
  copyRoot(first, captured);
  const capture = ["capture", "--from", bench.objects.old, "--node", node];
  await prepare(bench, captured, capture);
  const store = storeOf(captured);
  writeFileSync(join(store, blessedName(1)), "", { mode: 0o600 });
  await prepare(bench, captured, capture); // keeps generation 1, the only blessed one
  writeFileSync(join(store, blessedName(2)), "", { mode: 0o600 });
  writeFileSync(join(store, attemptsName(1, { left: 2, done: 1 })), "", { mode: 0o600 });

  const broken = bench.fresh("capture-repair");
  copyRoot(captured, broken);
  breakStore(broken);
  const { documents } = viewStore(captured);
  return Promise.all([
    captureScenario(bench, "the first capture", first, undefined, 1),
    captureScenario(bench, "a capture that thins out", captured, documents.get(2), 1),
    captureScenario(bench, "a capture that repairs", broken, documents.get(2), 2),
  ]);
}

/** A damaged newest generation, a full quarantine, a lost identity, what killed runs have left. */
function breakStore(root: string): void {
  const store = storeOf(root);
  writeFileSync(
    under(root, paths.config),
    "swap: allow\nretention: {generations: 2}\n", // so that a damaged one is not simply old
  );
  cpSync(join(store, generationName(2)), join(store, generationName(3)));
  truncateSync(join(store, generationName(3)), 1000);
  mkdirSync(join(store, "quarantine"), { mode: 0o700 });
  for (const generation of [7, 8, 9]) {
    writeFileSync(join(store, "quarantine", `gen-0000000000000000000${generation}.jwe`), "{}");
  }
  writeFileSync(join(store, "store.json"), "{");
  writeFileSync(join(store, ".tmp-999999999-0123456789ab"), "unfinished");
  writeFileSync(join(under(root, paths.run), "lock"), "{");
}

async function captureScenario(
  bench: Bench,
  name: string,
  template: string,
  old: string | undefined,
  keep: number,
): Promise<Scenario> {
  const words = (root: string) => [
    ...["capture", "--from", bench.objects.new, "--node", node, "--root", root],
  ];
  const clean = bench.fresh("golden");
  copyRoot(template, clean);
  const { status, stderr } = await run(bench.program, words(clean));
  if (status !== 0) {
    throw new Error(`${name}: ${status}: ${stderr}`);
  }
  const before = viewStore(template);
  const golden = viewStore(clean);
  const newest = golden.newest ?? 0;
  const wanted = golden.documents.get(newest);

  const judge = (root: string, { acknowledged, effect }: Interrupted): string[] => {
    const now = viewStore(root);
    const isCommitted = now.documents.has(newest);
    const isFull = effect === "ENOSPC" || effect === "EDQUOT";
    const removable = (generation: number) =>
      !golden.documents.has(generation) && (isCommitted || isFull);
    return [
      ...[...before.documents.keys()]
        .filter((generation) => !now.documents.has(generation) && !removable(generation))
        .map((generation) => `generation ${generation} is lost`),
      ...[...now.broken]
        .filter(([generation]) => !before.broken.has(generation))
        .map(([generation, code]) => `generation ${generation} is half: ${code}`),
      ...(isCommitted && now.documents.get(newest) !== wanted
        ? ["the new generation is another"]
        : []),
      ...(acknowledged && now.newest !== newest ? ["the acknowledged generation is lost"] : []),
      ...(now.newest === undefined && old !== undefined ? ["nothing opens"] : []),
      ...(now.newest !== undefined && now.newest !== newest && now.newest !== before.newest
        ? [`generation ${now.newest} opens, neither old nor new`]
        : []),
      ...(now.rollback ? ["the high-water mark is ahead of the generations"] : []),
    ];
  };
  return {
    name,
    template,
    words,
    isAcknowledged: ({ stdout }) => stdout.startsWith(`generation ${newest} of node`),
    judge,
    judgeAgain: (root, again) => [
      ...(again.status === 0 ? [] : [`the second run ended with ${again.status}: ${again.stderr}`]),
      ...judgeRepeated(root, [...before.documents.keys()], golden, wanted, keep),
    ],
    judgeKept: (root, { status, stdout }) => {
      const told = Number(/^generation (\d+) of node/.exec(stdout)?.[1]);
      const now = viewStore(root);
      return [
        ...(status === 0 ? [] : [`the second run ended with ${status}`]),
        ...(now.newest === told ? [] : [`generation ${told} was acknowledged, not ${now.newest}`]),
        ...(now.rollback ? ["the high-water mark is ahead of the generations"] : []),
      ];
    },
  };
}

/** The newest is new, what retention keeps is there, and nothing lies about. */
function judgeRepeated(
  root: string,
  before: readonly number[],
  golden: StoreView,
  wanted: string | undefined,
  keep: number,
): string[] {
  const now = viewStore(root);
  const newest = now.newest ?? 0;
  // An interrupted run may have committed a generation of its own, so that there are two new ones.
  const added = Array.from({ length: newest - (golden.newest ?? 0) + 1 }, (_, at) => newest - at);
  const all = [...added, ...before.toSorted((a, b) => b - a)];
  const kept = all.filter((generation, at) => at < keep || generation === blessed).join();
  const found = [...now.documents.keys()].sort((a, b) => b - a).join();
  const others = (view: StoreView) =>
    (view.names ?? []).filter((name) => !name.startsWith("gen-")).join(" ");
  const run = (namesIn(under(root, paths.run)) ?? []).join(" ");
  const quarantine = (namesIn(join(storeOf(root), "quarantine")) ?? []).length;
  return [
    ...(now.documents.get(newest) === wanted ? [] : ["the newest is not what was given"]),
    ...(now.broken.size === 0 ? [] : [`broken: ${[...now.broken.keys()]}`]),
    ...(found === kept ? [] : [`generations ${found}, not ${kept}`]),
    ...(others(now) === others(golden) ? [] : [`left: ${others(now)}, not ${others(golden)}`]),
    ...(now.freshnessUnknown ? ["no high-water mark"] : []),
    ...(now.rollback ? ["the high-water mark is ahead of the generations"] : []),
    ...(run === "" ? [] : [`left in /run/blackstart: ${run}`]),
    ...(quarantine <= 3 ? [] : [`${quarantine} in quarantine`]),
  ];
}

/** `key init` where there is a directory for us and where there is none; `key publish`. */
export async function keyScenarios(bench: Bench): Promise<Scenario[]> {
  const installed = bench.fresh("key-init");
  makeRoot(installed);
  const bare = bench.fresh("key-bare");
  mkdirSync(join(bare, "etc"), { recursive: true });
  const published = bench.fresh("key-publish");
  copyRoot(installed, published);
  await prepare(bench, published, ["key", "init", "--slot", "plain"]);
  return [
    keyInit("key init", installed),
    keyInit("key init on a bare node", bare),
    keyPublish("key publish", published),
  ];
}

function keyInit(name: string, template: string): Scenario {
  const keysOf = (root: string) => namesIn(under(root, paths.keys)) ?? [];
  const slotsOf = (root: string) => keysOf(root).filter((file) => !file.startsWith("."));
  const judge = (root: string, { acknowledged }: { readonly acknowledged: boolean }): string[] => {
    const slots = slotsOf(root);
    return [
      ...slots
        .filter((file) => keyIn(join(under(root, paths.keys), file)) !== file.split(".")[0])
        .map((file) => `${file} is no key`),
      ...(slots.length > 1 ? ["there are two keys"] : []),
      ...(acknowledged && slots.length === 0 ? ["the acknowledged key is lost"] : []),
    ];
  };
  return {
    name,
    template,
    words: (root) => ["key", "init", "--slot", "plain", "--root", root],
    isAcknowledged: ({ stdout }) => stdout.startsWith("key "),
    judge,
    judgeAgain: (root, again) => {
      // A key that was complete without being acknowledged is kept, and said to be there.
      const isKept = again.status === 73 && again.stderr.includes("E_KEY_EXISTS");
      return [
        ...(again.status === 0 || isKept ? [] : [`${again.status}: ${again.stderr}`]),
        ...judge(root, { acknowledged: true }),
        ...keysOf(root)
          .filter((file) => file.startsWith("."))
          .map((file) => `${file} is left`),
      ];
    },
    judgeKept: (root) => judge(root, { acknowledged: true }),
  };
}

type Judged = Pick<Interrupted, "acknowledged" | "effect">;

function keyPublish(name: string, template: string): Scenario {
  const [slot = ""] = namesIn(under(template, paths.keys)) ?? [];
  const judge = (root: string, { acknowledged, effect }: Judged): string[] => {
    const kid = keyIn(under(root, paths.key));
    const isThere = kid !== undefined || (namesIn(under(root, paths.run)) ?? []).includes("key");
    return [
      ...(isThere && kid !== slot.split(".")[0] ? ["another key is published"] : []),
      ...(acknowledged && !isThere && effect !== "POWER" ? ["the published key is missing"] : []),
    ];
  };
  return {
    name,
    template,
    words: (root) => ["key", "publish", "--root", root],
    isAcknowledged: ({ stderr }) => / published from /.test(stderr),
    judge,
    judgeAgain: (root, again) => [
      ...(again.status === 0 ? [] : [`${again.status}: ${again.stderr}`]),
      ...judge(root, { acknowledged: true, effect: "" }),
      ...(namesIn(under(root, paths.run)) ?? []).filter((file) => file !== "key"),
    ],
    judgeKept: () => [], // memory
  };
}

function keyIn(file: string): string | undefined {
  try {
    return readPlainKey(file).kid;
  } catch {
    return undefined;
  }
}
