import assert from "node:assert/strict";
import { suite } from "uvu";
import { blessing, type GenerationTag, stableSince } from "../../src/capture/blessing.ts";
import { makePod } from "./made.ts";

const bless = suite("capture/blessing");

const uid = "0d82ee9d-52ab-4d25-8856-d042918bc46b";
const otherUid = "1d82ee9d-52ab-4d25-8856-d042918bc46b";
const nowMs = Date.parse("2026-11-22T09:00:00Z");
const settleMs = 600_000;
const at = (ms: number) => new Date(nowMs + ms).toISOString();
const ready = (ms: number) => ({ type: "Ready", status: "True", lastTransitionTime: at(ms) });

interface Live {
  readonly uid?: string;
  readonly deletionTimestamp?: string;
  readonly conditions?: unknown;
}
const live = (name: string, { conditions, ...metadata }: Live) =>
  makePod(name, {}, { uid, ...metadata }, conditions === undefined ? undefined : { conditions });
const pod = (name: string) => ({ namespace: "kube-system", name, uid });

/** What one pod may look like, and since when it is Ready; a text is the reason against it. */
const looks: readonly (readonly [string, Live | undefined, number | string])[] = [
  ["Ready for long", { conditions: [ready(-2 * settleMs)] }, -2 * settleMs],
  ["Ready for just the settle time", { conditions: [ready(-settleMs)] }, -settleMs],
  ["Ready a moment too short", { conditions: [ready(1_000 - settleMs)] }, 1_000 - settleMs],
  ["Ready in the future", { conditions: [ready(settleMs)] }, 0],
  ["Ready since no time", { conditions: [{ type: "Ready", status: "True" }] }, 0],
  [
    "Ready since nonsense",
    { conditions: [{ type: "Ready", status: "True", lastTransitionTime: "once" }] },
    0,
  ],
  ["not Ready", { conditions: [{ ...ready(-2 * settleMs), status: "False" }] }, "not-ready"],
  ["perhaps Ready", { conditions: [{ ...ready(-2 * settleMs), status: "Unknown" }] }, "not-ready"],
  ["otherwise ready", { conditions: [{ ...ready(-2 * settleMs), type: "Other" }] }, "not-ready"],
  ["without conditions", { conditions: [] }, "not-ready"],
  ["with conditions that are none", { conditions: [null, "Ready", 1] }, "not-ready"],
  ["with a text for conditions", { conditions: "Ready" }, "not-ready"],
  ["without status", {}, "not-ready"],
  ["replaced", { uid: otherUid, conditions: [ready(-2 * settleMs)] }, "replaced"],
  ["terminating", { deletionTimestamp: at(0), conditions: [ready(-2 * settleMs)] }, "terminating"],
  ["gone", undefined, "gone"],
];
/** Since when the content is stable, and what that counts as. */
const stable = [
  [-2 * settleMs, -2 * settleMs],
  [-settleMs, -settleMs],
  [-1_000, -1_000],
  [settleMs, 0],
] as const;

for (const [firstLook, first, firstSince] of looks) {
  for (const [secondLook, second, secondSince] of looks) {
    bless(`one pod ${firstLook}, the other ${secondLook}`, () => {
      for (const [stableMs, contentSince] of stable) {
        const found = blessing({
          pods: [pod("a"), pod("b")],
          live: [
            ...(first === undefined ? [] : [live("a", first)]),
            ...(second === undefined ? [] : [live("b", second)]),
            makePod("c"),
          ],
          now: new Date(nowMs),
          settleMs,
          stableSince: new Date(nowMs + stableMs),
        });
        const reasons = [
          { name: "a", reason: firstSince },
          { name: "b", reason: secondSince },
        ].filter(({ reason }) => typeof reason === "string");
        if (reasons.length > 0) {
          const pods = reasons.map((one) => ({ namespace: "kube-system", ...one }));
          assert.deepEqual(found, { kind: "not-ready", pods });
          continue;
        }
        const since = Math.max(Number(firstSince), Number(secondSince), contentSince);
        assert.deepEqual(
          found,
          since <= -settleMs
            ? { kind: "blessed" }
            : { kind: "wait", untilMs: nowMs + since + settleMs },
        );
      }
    });
  }
}

const facts = {
  pods: [pod("a")],
  live: [live("a", { conditions: [ready(-2 * settleMs)] })],
  now: new Date(nowMs),
  settleMs,
  stableSince: new Date(0),
};

bless("a generation without pods is never blessed", () => {
  assert.deepEqual(blessing({ ...facts, pods: [] }), { kind: "not-ready", pods: [] });
});

bless("a pod that no apiserver has made is never the live one", () => {
  const pods = [{ ...pod("a"), uid: undefined }];
  const bare = makePod("a", {}, {}, { conditions: [ready(-2 * settleMs)] });
  assert.equal(blessing({ ...facts, pods, live: [bare] }).kind, "not-ready");
});

bless("a namesake in another namespace is another pod", () => {
  const pods = [{ ...pod("a"), namespace: "default" }];
  assert.equal(blessing({ ...facts, pods }).kind, "not-ready");
});

bless("without a settle time Ready is enough", () => {
  const now = [live("a", { conditions: [ready(0)] })];
  const found = blessing({ ...facts, live: now, settleMs: 0, stableSince: new Date(nowMs) });
  assert.deepEqual(found, { kind: "blessed" });
});

bless("no generation at all is stable since never", () => {
  assert.equal(blessing({ ...facts, stableSince: stableSince([]) }).kind, "wait");
});

const runs = [
  { name: "one", tags: "1a", since: 1 },
  { name: "two equal", tags: "1a 2a", since: 1 },
  { name: "two that differ", tags: "1a 2b", since: 2 },
  { name: "equal ones behind a different one", tags: "1a 2b 3a 4a", since: 3 },
  { name: "a missing number", tags: "1a 2a 4a 5a", since: 4 },
  { name: "a missing number before the newest", tags: "1a 2a 4a", since: 4 },
  { name: "an old blessed one far behind", tags: "3a 41a 42a 43a", since: 41 },
  { name: "back to what it was", tags: "1a 2b 3a", since: 3 },
  { name: "the order is by number", tags: "3a 1b 2a", since: 2 },
];
for (const { name, tags, since } of runs) {
  bless(`stable since: ${name}`, () => {
    const generations = tags.split(" ").map((one): GenerationTag => {
      const generation = Number.parseInt(one, 10);
      return { generation, tag: one.replace(/\d+/, ""), capturedAt: new Date(generation) };
    });
    assert.equal(stableSince(generations).getTime(), since);
    assert.equal(stableSince(generations.toReversed()).getTime(), since);
  });
}

bless.run();
