import assert from "node:assert/strict";
import { suite } from "uvu";
import {
  attemptsName,
  attemptsOwner,
  blessedName,
  generationName,
  parseGenerationName,
  readNames,
} from "../../src/store/layout.ts";

const test = suite("store/layout");

test("names and numbers are each other's inverse", () => {
  for (const generation of [1, 42, Number.MAX_SAFE_INTEGER]) {
    assert.equal(generationName(generation).length, "gen-".length + 20 + ".jwe".length);
    assert.equal(parseGenerationName(generationName(generation)), generation);
    assert.equal(attemptsOwner(attemptsName(generation, { left: 2, done: 1 })), generation);
  }
});

const strange: readonly { readonly name: string; readonly entry: string }[] = [
  { name: "case 23: 19 digits", entry: "gen-0000000000000000001.jwe" },
  { name: "case 23: 21 digits", entry: "gen-000000000000000000001.jwe" },
  { name: "case 23: a negative number", entry: "gen--0000000000000000001.jwe" },
  { name: "case 23: more than 2^53", entry: "gen-99999999999999999999.jwe" },
  { name: "case 23: just more than 2^53", entry: "gen-00009007199254740992.jwe" },
  { name: "case 23: zero", entry: "gen-00000000000000000000.jwe" },
  { name: "case 23: hexadecimal", entry: "gen-0000000000000000000a.jwe" },
  { name: "case 31: another case", entry: "GEN-00000000000000000001.jwe" },
  { name: "case 31: another case of the suffix", entry: "gen-00000000000000000001.JWE" },
  { name: "case 31: another suffix", entry: "gen-00000000000000000001.jwe.bak" },
  { name: "case 31: a newline after the name", entry: "gen-00000000000000000001.jwe\n" },
  { name: "case 31: a mark that is no number", entry: "blessed-1" },
];

for (const { name, entry } of strange) {
  test(`${name} is ignored with W_NAME, and the counter does not jump`, () => {
    const names = readNames([entry, generationName(7)]);
    assert.deepEqual(names.generations, [7]);
    assert.deepEqual(
      names.warnings.map(({ code }) => code),
      ["W_NAME"],
    );
  });
}

const counters: readonly {
  readonly name: string;
  readonly entries: readonly string[];
  readonly left: number | undefined;
  readonly warns: boolean;
}[] = [
  { name: "no counter leaves all", entries: [], left: undefined, warns: false },
  { name: "a counter counts", entries: [attempts("+2-1")], left: 2, warns: false },
  { name: "a used up counter", entries: [attempts("+0-3")], left: 0, warns: false },
  { name: "case 32: letters", entries: [attempts("+x-y")], left: 0, warns: true },
  { name: "case 32: a large number", entries: [attempts("+999999-0")], left: 0, warns: true },
  { name: "case 32: more than there are", entries: [attempts("+4-0")], left: 0, warns: true },
  { name: "case 32: nothing", entries: [attempts("+")], left: 0, warns: true },
  {
    name: "case 32: two counters",
    entries: [attempts("+2-1"), attempts("+1-2")],
    left: 0,
    warns: true,
  },
];

for (const { name, entries, left, warns } of counters) {
  test(`${name} → ${left ?? "no entry"}`, () => {
    const names = readNames(entries);
    assert.equal(names.attempts.get(5)?.left, left);
    assert.deepEqual(
      names.warnings.map(({ code }) => code),
      warns ? ["W_ATTEMPTS"] : [],
    );
  });
}

test("generations come newest first, by number and not by text", () => {
  const entries = [9, 10, 100, 1].map(generationName);
  assert.deepEqual(readNames(entries).generations, [100, 10, 9, 1]);
});

test("marks, leftovers and other people's files are told apart", () => {
  const names = readNames([blessedName(3), ".tmp-1-aa", "store.json", "hwm", "quarantine", "x"]);
  assert.deepEqual([...names.blessed], [3]);
  assert.deepEqual(names.temporaries, [".tmp-1-aa"]);
  assert.deepEqual(names.warnings, []);
});

function attempts(rest: string): string {
  return `attempts-00000000000000000005${rest}`;
}

test.run();
