import assert from "node:assert/strict";
import { suite } from "uvu";
import { type CadenceFacts, nextCommit } from "../../src/capture/cadence.ts";

const cadence = suite("capture/cadence");

const now = 1_000_000_000;
const intervalMs = 60_000;
const base = { now, tokensOnly: false, intervalMs };

const cases: readonly (readonly [string, Partial<CadenceFacts>, "idle" | number])[] = [
  ["nothing changed", {}, "idle"],
  ["nothing changed, long after a commit", { lastCommitMs: 0 }, "idle"],
  ["nothing changed, and a token is past its half", { halfLifeMs: 0, tokensOnly: true }, "idle"],
  ["a change just now", { changedSinceMs: now }, 300],
  ["one change, quiet since", { changedSinceMs: now - 300 }, 0],
  ["one change, not yet quiet", { changedSinceMs: now - 299 }, 1],
  ["changes go on", { changedSinceMs: now - 500, lastChangeMs: now }, 300],
  ["changes go on for long", { changedSinceMs: now - 900, lastChangeMs: now }, 100],
  ["changes never end", { changedSinceMs: now - 1_000, lastChangeMs: now }, 0],
  ["changes ended", { changedSinceMs: now - 900, lastChangeMs: now - 300 }, 0],
  ["right after a commit", { changedSinceMs: now, lastCommitMs: now }, intervalMs],
  [
    "quiet comes after the interval",
    { changedSinceMs: now, lastCommitMs: now - intervalMs + 100 },
    300,
  ],
  ["the interval has passed", { changedSinceMs: now - 300, lastCommitMs: now - intervalMs }, 0],
  ["other waits", { changedSinceMs: now, debounceMs: 7, debounceMaxMs: 5 }, 5],
];
for (const [name, facts, expected] of cases) {
  cadence(`${name}: ${expected}`, () => {
    const found = nextCommit({ ...base, ...facts });
    assert.deepEqual(
      found,
      expected === "idle"
        ? { kind: "idle" }
        : expected === 0
          ? { kind: "now" }
          : { kind: "at", ms: now + expected },
    );
  });
}

/** Every combination of where the times lie; the rule is written again, in words of its own. */
const hour = 3_600_000;
const ages = [undefined, -hour, -1, 0, 1, 299, 300, 999, 1_000, 59_999, 60_000, 599_999, 600_000];
cadence("walks every combination of times, clocks that were set back among them", () => {
  let walked = 0;
  for (const first of ages.slice(1)) {
    for (const last of ages) {
      for (const commit of ages) {
        for (const half of [undefined, -hour, -1, 0, hour]) {
          for (const tokensOnly of [false, true]) {
            const time = (age: number | undefined) => (age === undefined ? undefined : now - age);
            const found = nextCommit({
              ...base,
              tokensOnly,
              changedSinceMs: time(first),
              lastChangeMs: time(last),
              lastCommitMs: time(commit),
              halfLifeMs: time(half),
            });
            const rest = (age: number | undefined, wait: number) =>
              age === undefined || age < 0 ? 0 : Math.max(0, wait - age);
            const quiet = Math.min(rest(last ?? first, 300), rest(first, 1_000));
            const untilHalf = half === undefined ? Number.POSITIVE_INFINITY : Math.max(0, -half);
            const patience = Math.min(rest(commit, 600_000), untilHalf);
            const wait = Math.max(quiet, rest(commit, 60_000), tokensOnly ? patience : 0);
            const expected = wait === 0 ? { kind: "now" } : { kind: "at", ms: now + wait };
            assert.deepEqual(found, expected, JSON.stringify({ first, last, commit, half }));
            walked += 1;
          }
        }
      }
    }
  }
  assert.equal(walked, 12 * 13 * 13 * 5 * 2);
});

/** Asks as the watcher does: a change at the start, then at each time that it is told. */
function commitsAfter(facts: CadenceFacts, clock: (elapsedMs: number) => number): number {
  for (let elapsedMs = 0, asked = 0; asked < 1_000; asked += 1) {
    const told = clock(elapsedMs);
    const found = nextCommit({ ...facts, now: told });
    if (found.kind === "now") {
      return elapsedMs;
    }
    assert.equal(found.kind, "at");
    elapsedMs += found.kind === "at" ? found.ms - told : 0;
  }
  assert.fail("never committed");
}

for (const backMs of [1, 1_000, hour, 365 * 24 * hour]) {
  for (const atMs of [0, 100, 299, 5_000]) {
    cadence(`a clock set back by ${backMs} ms after ${atMs} ms stalls no change`, () => {
      const clock = (elapsedMs: number) => now + elapsedMs - (elapsedMs >= atMs ? backMs : 0);
      const changed = { ...base, changedSinceMs: now, lastChangeMs: now };
      assert.ok(commitsAfter(changed, clock) <= 1_000);
      for (const tokensOnly of [false, true]) {
        const busy = { ...changed, lastCommitMs: now - 10_000, tokensOnly };
        assert.ok(commitsAfter(busy, clock) <= (tokensOnly ? 600_000 : 60_000) + 1_000);
      }
    });
  }
}

cadence("asked at the time that it told, it commits", () => {
  for (const lastCommitMs of [undefined, now, now - 59_000]) {
    for (const tokensOnly of [false, true]) {
      const facts = {
        ...base,
        changedSinceMs: now - 5,
        lastCommitMs,
        tokensOnly,
        halfLifeMs: now + 99_000,
      };
      const found = nextCommit(facts);
      assert.ok(found.kind === "at");
      assert.deepEqual(nextCommit({ ...facts, now: found.ms }), { kind: "now" });
      assert.notDeepEqual(nextCommit({ ...facts, now: found.ms - 1 }), { kind: "now" });
    }
  }
});

cadence.run();
