import { describeImage, type Image, type Inode } from "./disk.ts";
import type { Step } from "./disk-steps.ts";

/** What a disk may hold after a power cut. */
export interface Persisted {
  readonly image: Image;
  readonly acknowledged: boolean;
  /** How many steps the program had done. */
  readonly after: number;
}

/** Sets of names that may each be persisted or not are all tried up to this many; beyond, some are drawn. */
const exhaustive = 10;
const drawn = 600;

/**
 * Pure. Every state that a file system may legally leave when the power fails at some moment of a run.
 *
 * After each step: what an fsync has covered is there. Of everything else any part may be: each change of a
 * name by itself and in any order, a file's bytes whole, half, as zeros of the right length, or not at all.
 * An fsync of a file does not cover its name, one of a directory not the files in it.
 * Source: Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, the weakest of its models.
 *
 * Each image once; `from` is the first step after which the power may fail.
 */
export function persistedStates(
  inodes: ReadonlyMap<number, Inode>,
  steps: readonly Step[],
  from = 0,
): readonly Persisted[] {
  const states = new Map<string, Persisted>();
  const random = makeRandom(steps.length);
  for (let after = from; after <= steps.length; after += 1) {
    if (isWithinGroup(steps[after - 1], steps[after])) {
      continue;
    }
    const done = steps.slice(0, after);
    const acknowledged = done.some(({ kind }) => kind === "acknowledged");
    const loose = done.filter((step, at) => !isSynced(step, done.slice(at + 1)));
    const groups = [...new Set(loose.flatMap((step) => (step.kind === "entry" ? step.group : [])))];
    const files = [...new Set(loose.flatMap((step) => (isContent(step) ? step.inode : [])))];
    for (const lost of subsets(groups, random)) {
      for (const kept of contents(files)) {
        const image = apply(inodes, done, new Set(loose), new Set(lost), kept);
        const key = `${acknowledged} ${describeImage(image)}`;
        if (!states.has(key)) {
          states.set(key, { image, acknowledged, after });
        }
      }
    }
  }
  return [...states.values()];
}

/** A rename is two changes of names that no power cut parts. */
function isWithinGroup(before: Step | undefined, after: Step | undefined): boolean {
  return before?.kind === "entry" && after?.kind === "entry" && before.group === after.group;
}

/** What became of bytes that no fsync covers. */
type Content = "all" | "half" | "zeros" | "none";

function isContent(step: Step): step is Extract<Step, { kind: "bytes" | "empty" }> {
  return step.kind === "bytes" || step.kind === "empty";
}

function isSynced(step: Step, later: readonly Step[]): boolean {
  const inode = step.kind === "entry" ? step.dir : isContent(step) ? step.inode : undefined;
  return (
    inode === undefined || later.some((other) => other.kind === "sync" && other.inode === inode)
  );
}

function subsets(groups: readonly number[], random: () => number): readonly (readonly number[])[] {
  if (groups.length <= exhaustive) {
    return Array.from({ length: 2 ** groups.length }, (_, bits) =>
      groups.filter((_, at) => (bits & (1 << at)) !== 0),
    );
  }
  return [
    [],
    groups,
    ...groups.map((group) => [group]),
    ...groups.map((group) => groups.filter((other) => other !== group)),
    ...groups.map((_, at) => groups.slice(at)),
    ...Array.from({ length: drawn }, () => groups.filter(() => random() < 0.5)),
  ];
}

function contents(files: readonly number[]): readonly ReadonlyMap<number, Content>[] {
  const choices: readonly Content[] = ["all", "half", "zeros", "none"];
  return files.reduce<readonly ReadonlyMap<number, Content>[]>(
    (all, file) =>
      all.flatMap((map) => choices.map((choice) => new Map([...map, [file, choice] as const]))),
    [new Map()],
  );
}

function apply(
  inodes: ReadonlyMap<number, Inode>,
  steps: readonly Step[],
  loose: ReadonlySet<Step>,
  lost: ReadonlySet<number>,
  kept: ReadonlyMap<number, Content>,
): Image {
  const image = new Map(inodes);
  const entriesOf = (number: number): Map<string, number> => {
    const inode = image.get(number);
    if (inode?.kind !== "directory") {
      throw new Error(`inode ${number} is no directory`);
    }
    const entries = new Map(inode.entries);
    image.set(number, { ...inode, entries });
    return entries;
  };
  for (const step of steps) {
    const isLoose = loose.has(step);
    if (step.kind === "entry" && !(isLoose && lost.has(step.group))) {
      const entries = entriesOf(step.dir);
      if (step.inode === undefined) {
        entries.delete(step.name);
      } else {
        entries.set(step.name, step.inode);
      }
    } else if (isContent(step)) {
      const inode = image.get(step.inode);
      const content = isLoose ? (kept.get(step.inode) ?? "all") : "all";
      if (inode?.kind === "file" && content !== "none") {
        image.set(step.inode, { ...inode, bytes: written(inode.bytes, step, content) });
      }
    }
  }
  return image;
}

function written(
  before: Buffer,
  step: Extract<Step, { kind: "bytes" | "empty" }>,
  content: Content,
): Buffer {
  if (step.kind === "empty") {
    return Buffer.alloc(0);
  }
  const { at, bytes } = step;
  const what =
    content === "zeros"
      ? Buffer.alloc(bytes.length)
      : content === "half"
        ? bytes.subarray(0, bytes.length >> 1)
        : bytes;
  const after = Buffer.alloc(Math.max(before.length, at + what.length));
  before.copy(after);
  what.copy(after, at);
  return after;
}

/** The same numbers for the same seed. */
function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
