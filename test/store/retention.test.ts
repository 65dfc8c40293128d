import assert from "node:assert/strict";
import { suite } from "uvu";
import { type Proof, planQuarantine, planRetention } from "../../src/store/retention.ts";

const test = suite("store/retention");

const proofs: Readonly<Record<string, Proof>> = { v: "valid", d: "damaged", u: "unknown" };

const cases: readonly {
  readonly name: string;
  /** Newest first, numbered downwards to 1: v valid, d damaged, u unknown; "*" blessed. */
  readonly store: string;
  readonly keep: number;
  readonly remove: readonly number[];
  readonly quarantine?: readonly number[];
}[] = [
  { name: "the newest are kept", store: "v v v v v", keep: 3, remove: [2, 1] },
  { name: "fewer than wanted: nothing is old", store: "v v", keep: 3, remove: [] },
  { name: "the blessed one is kept as well", store: "v v v v v*", keep: 3, remove: [2] },
  { name: "only the newest blessed one is", store: "v v v v* v*", keep: 3, remove: [1] },
  { name: "a kept one is the blessed one", store: "v v* v v v*", keep: 3, remove: [2, 1] },
  { name: "damaged ones do not count", store: "v d v v v", keep: 3, remove: [1], quarantine: [4] },
  { name: "unknown ones stay and do not count", store: "v u v v v", keep: 3, remove: [1] },
  { name: "all unknown: nothing happens", store: "u u u u u", keep: 1, remove: [] },
  {
    name: "all damaged: nothing is removed by age",
    store: "d d",
    keep: 1,
    remove: [],
    quarantine: [2, 1],
  },
  {
    name: "a damaged blessed one gives way",
    store: "v v d* v*",
    keep: 2,
    remove: [],
    quarantine: [2],
  },
  {
    name: "an unknown blessed one stays, and so does the next",
    store: "v v u* v*",
    keep: 2,
    remove: [],
  },
  { name: "none", store: "", keep: 3, remove: [] },
];

for (const { name, store, keep, remove, quarantine } of cases) {
  test(`${name}: ${store} keep ${keep}`, () => {
    const sketches = store.split(" ").filter((sketch) => sketch !== "");
    const files = sketches.map((sketch, index) => ({
      generation: sketches.length - index,
      file: "/x",
      sizeBytes: 1,
      mode: 0o600,
      blessed: sketch.endsWith("*"),
      attempts: { left: 3, done: 0 },
    }));
    const prove = ({ generation }: { generation: number }) =>
      proofs[sketches[sketches.length - generation]?.[0] ?? ""] ?? "unknown";
    const plan = planRetention(files, keep, prove);
    assert.deepEqual(plan, { remove, quarantine: quarantine ?? [] });
  });
}

test("quarantine holds 3 at most, the newest", () => {
  assert.deepEqual(planQuarantine(["gen-4", "gen-1", "gen-3", "gen-2", "gen-5"]), [
    "gen-1",
    "gen-2",
  ]);
  assert.deepEqual(planQuarantine(["gen-4"]), []);
});

test.run();
