import assert from "node:assert/strict";
import { suite } from "uvu";
import { isoTime } from "../../src/model/iso-time.ts";

const isoTimes = suite("src/model/iso-time.ts");

const moments: readonly { readonly name: string; readonly ms: number }[] = [
  { name: "the beginning", ms: 0 },
  { name: "the last moment of a leap day", ms: Date.UTC(2028, 1, 29, 23, 59, 59, 999) },
  { name: "one digit in each field", ms: Date.UTC(2026, 0, 2, 3, 4, 5, 6) },
  { name: "before 1970", ms: -1 },
  { name: "the first year", ms: new Date("0000-01-01T00:00:00Z").getTime() },
  { name: "the last year of four digits", ms: new Date("9999-12-31T23:59:59.999Z").getTime() },
  { name: "a year of five digits", ms: Date.UTC(10_000, 0) },
  { name: "a year before the first", ms: Date.UTC(-1, 0) },
  { name: "the earliest date", ms: -8.64e15 },
  { name: "the latest date", ms: 8.64e15 },
];

for (const { name, ms } of moments) {
  isoTimes(`${name} is written as Date writes it`, () => {
    assert.equal(isoTime(new Date(ms)), new Date(ms).toISOString());
  });
}

isoTimes("an invalid date has no text", () => {
  assert.throws(() => isoTime(new Date(Number.NaN)), RangeError);
});

isoTimes.run();
