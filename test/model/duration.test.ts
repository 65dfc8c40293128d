import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseDuration } from "../../src/model/duration.ts";

const test = suite("model/duration");

/** Cases of Go 1.26 `time/time_test.go: parseDurationTests`, in milliseconds. */
const cases: readonly { text: string; ms: number | undefined }[] = [
  { text: "0", ms: 0 },
  { text: "5s", ms: 5_000 },
  { text: "-5s", ms: -5_000 },
  { text: "+5s", ms: 5_000 },
  { text: "-0", ms: -0 },
  { text: "5.0s", ms: 5_000 },
  { text: "5.s", ms: 5_000 },
  { text: ".5s", ms: 500 },
  { text: "1.004s", ms: 1_004 },
  { text: "12µs", ms: 0.012 },
  { text: "12μs", ms: 0.012 },
  { text: "13ms", ms: 13 },
  { text: "14s", ms: 14_000 },
  { text: "15m", ms: 900_000 },
  { text: "3h30m", ms: 12_600_000 },
  { text: "10.5s4m", ms: 250_500 },
  { text: "39h9m14.425s", ms: 140_954_425 },
  { text: "", ms: undefined },
  { text: "3", ms: undefined },
  { text: "-", ms: undefined },
  { text: "s", ms: undefined },
  { text: ".", ms: undefined },
  { text: "-.", ms: undefined },
  { text: ".s", ms: undefined },
  { text: "+.s", ms: undefined },
  { text: "1d", ms: undefined },
  { text: "5 s", ms: undefined },
  { text: " 5s", ms: undefined },
  { text: "5s ", ms: undefined },
  { text: "10 MB", ms: undefined },
];
for (const { text, ms } of cases) {
  test(`${JSON.stringify(text)} is ${ms ?? "no duration"}`, () => {
    const parsed = parseDuration(text);
    assert.equal(
      parsed === undefined ? undefined : parsed + 0,
      ms === undefined ? undefined : ms + 0,
    );
  });
}

test.run();
