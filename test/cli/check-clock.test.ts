import assert from "node:assert/strict";
import { suite } from "uvu";
import { checkClock } from "../../src/cli/open-live.ts";
import { Failure } from "../../src/errors.ts";

const clock = suite("cli/open-live checkClock");

const now = new Date("2026-11-25T12:00:00Z");
const minute = 60_000;
const ago = (ms: number) => new Date(now.getTime() - ms);

const cases: readonly {
  readonly name: string;
  readonly skewMs?: number;
  readonly capturedAt?: Date;
  readonly isSane: boolean;
}[] = [
  { name: "with nothing to compare it is taken as it is", isSane: true },
  { name: "it agrees with the apiserver", skewMs: 4 * minute, isSane: true },
  { name: "it is behind the apiserver", skewMs: 6 * minute, isSane: false },
  { name: "it is ahead of the apiserver", skewMs: -6 * minute, isSane: false },
  { name: "it is after the newest generation", capturedAt: ago(minute), isSane: true },
  {
    name: "it is a little before the newest generation",
    capturedAt: ago(-4 * minute),
    isSane: true,
  },
  { name: "it is before the newest generation", capturedAt: ago(-6 * minute), isSane: false },
  {
    name: "the apiserver knows better than a generation that a wrong clock has dated",
    skewMs: 0,
    capturedAt: new Date("2060-01-01T00:00:00Z"),
    isSane: true,
  },
];

for (const { name, skewMs, capturedAt, isSane } of cases) {
  clock(`${name}: ${isSane ? "sane" : "refused soon after the boot, later a warning"}`, () => {
    const check = (uptimeSeconds: number) => checkClock(now, { skewMs, capturedAt }, uptimeSeconds);
    if (isSane) {
      assert.deepEqual([check(10), check(3_600)], [[], []]);
      return;
    }
    assert.throws(
      () => check(599),
      (error: unknown) => error instanceof Failure && error.code === "E_CLOCK" && error.exit === 75,
    );
    assert.deepEqual(
      check(600).map(({ code }) => code),
      ["W_CLOCK"],
    );
  });
}

clock.run();
