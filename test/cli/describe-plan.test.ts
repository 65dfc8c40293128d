import assert from "node:assert/strict";
import { suite } from "uvu";
import { warningLines } from "../../src/cli/describe-plan.ts";
import type { Warning, WarningCode } from "../../src/model/plan.ts";

const describePlan = suite("cli/describe-plan");

const warn = (code: WarningCode, name: string, message = "says this"): Warning => ({
  code,
  namespace: "lab",
  name,
  message,
});

const cases = [
  {
    name: "pods with the same warning share a line, and the others are counted",
    warnings: [warn("W_DNS", "a"), warn("W_DNS", "b"), warn("W_DNS", "c")],
    lines: ["W_DNS lab/a: says this (and 2 more pods alike)"],
  },
  {
    name: "each pod that its image keeps from running is named, once",
    warnings: ["a", "b", "a", "b", "c"].map((name) => warn("W_IMAGE_CREDENTIALS", name)),
    lines: ["W_IMAGE_CREDENTIALS lab/a: says this (alike: lab/b, lab/c)"],
  },
  {
    name: "containers of one pod with the same image make one line",
    warnings: [warn("W_IMAGE_MISSING", "a"), warn("W_IMAGE_MISSING", "a")],
    lines: ["W_IMAGE_MISSING lab/a: says this"],
  },
  {
    name: "other images have lines of their own",
    warnings: [warn("W_IMAGE_MISSING", "a", "one"), warn("W_IMAGE_MISSING", "b", "two")],
    lines: ["W_IMAGE_MISSING lab/a: one", "W_IMAGE_MISSING lab/b: two"],
  },
];

for (const { name, warnings, lines } of cases) {
  describePlan(name, () => {
    assert.deepEqual(warningLines(warnings), lines);
  });
}

describePlan.run();
