import assert from "node:assert/strict";
import { suite } from "uvu";
import { Failure, type FailureCode } from "../../src/errors.ts";
import { chooseGeneration, type GenerationFile } from "../../src/store/choice.ts";

const test = suite("store/choice");

/** One generation: "bad" does not open, a number is what is left of its attempts, "*" is blessed. */
type Sketch = "3" | "0" | "1*" | "0*" | "bad" | "bad*";

const cases: readonly {
  readonly name: string;
  /** Newest first, numbered downwards to 1. */
  readonly store: readonly Sketch[];
  readonly mode?: "ignore";
  readonly expect: number | FailureCode;
}[] = [
  { name: "the newest that opens is used", store: ["3", "3"], expect: 2 },
  {
    name: "case 4: the one before is used when the newest is damaged",
    store: ["bad", "3"],
    expect: 1,
  },
  { name: "two damaged ones are passed over", store: ["bad", "bad*", "3"], expect: 1 },
  {
    name: "an unblessed one is fallen back to from a damaged one",
    store: ["bad", "3", "1*"],
    expect: 2,
  },
  { name: "used up: the newest blessed one is used", store: ["0", "3", "1*"], expect: 1 },
  { name: "used up: an unblessed one is no better", store: ["0", "3"], expect: "E_BOOT_LOOP" },
  { name: "used up, and the blessed one is damaged", store: ["0", "bad*", "1*"], expect: 1 },
  { name: "used up, and the blessed one too", store: ["0", "0*", "1*"], expect: 1 },
  { name: "case 33: all used up", store: ["0", "0*"], expect: "E_BOOT_LOOP" },
  { name: "case 33: used up and damaged", store: ["bad", "0"], expect: "E_BOOT_LOOP" },
  {
    name: "a blessed newest one that is used up is not used again",
    store: ["0*"],
    expect: "E_BOOT_LOOP",
  },
  { name: "attempts do not count for reading", store: ["0", "1*"], mode: "ignore", expect: 2 },
  {
    name: "case 29: none opens: the newest one's own code",
    store: ["bad", "bad"],
    expect: "E_MAC",
  },
  { name: "none at all", store: [], expect: "E_NO_CHECKPOINT" },
];

for (const { name, store, mode, expect } of cases) {
  test(name, () => {
    const files = store.map((_, index) => file(store, index));
    const choice = chooseGeneration(files, (one) => open(store, one), mode ?? "count");
    const got = choice.kind === "chosen" ? choice.opened : choice.failure.code;
    assert.equal(got, expect);
  });
}

test("what was passed over is told", () => {
  const store = ["bad", "0", "3", "1*"] as const;
  const files = store.map((_, index) => file(store, index));
  const choice = chooseGeneration(files, (one) => open(store, one), "count");
  assert.deepEqual(
    choice.refusals.map(({ generation, failure }) => [generation, failure.code]),
    [[4, "E_MAC"]],
  );
  assert.deepEqual(choice.exhausted, [3]);
});

test("case 33: the message names the generation and its boots, and exits 0", () => {
  const store = ["0"] as const;
  const choice = chooseGeneration([file(store, 0)], (one) => open(store, one), "count");
  assert.ok(choice.kind === "none");
  assert.match(choice.failure.message, /generation 1 failed 3 boots.*--reset-attempts/);
  assert.equal(choice.failure.exit, 0);
});

function file(store: readonly Sketch[], index: number): GenerationFile {
  const sketch = store[index] ?? "3";
  const left = sketch.startsWith("bad") ? 3 : Number(sketch[0]);
  return {
    generation: store.length - index,
    file: `/gen-${store.length - index}`,
    sizeBytes: 1,
    mode: 0o600,
    blessed: sketch.endsWith("*"),
    attempts: { left, done: 3 - left },
  };
}

function open(store: readonly Sketch[], { generation }: GenerationFile): number | Failure {
  const sketch = store[store.length - generation];
  return sketch?.startsWith("bad") ? new Failure("E_MAC", { what: "damaged" }) : generation;
}

test.run();
