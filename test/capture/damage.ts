import { encodeJson, isExactNumber, parseJson } from "../../src/model/json.ts";
import type { Random } from "../oracle/random.ts";

/** What stands in a field where nobody expects it. */
const strange: readonly [unknown, ...unknown[]] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e300,
  parseJson("9007199254740993"),
  "",
  "a",
  "true",
  "../../etc",
  "\0",
  "\ud800",
  "x".repeat(300),
  [],
  [null],
  ["a"],
  [[]],
  {},
  { a: null },
  { name: "a" },
  JSON.parse('{"__proto__":{"name":"a"}}'),
  { toString: 1, constructor: null, hasOwnProperty: [] },
];

/** Damages one field somewhere; mutates `value`. */
export function damage(value: unknown, random: Random): void {
  let parent: Record<string, unknown> | undefined;
  let key = "";
  let at = value;
  while (
    typeof at === "object" &&
    at !== null &&
    !isExactNumber(at) &&
    Object.keys(at).length > 0
  ) {
    parent = at as Record<string, unknown>;
    const keys = Object.keys(parent);
    key = keys[random.int(keys.length)] ?? "";
    at = parent[key];
    if (random.int(4) === 0) {
      break;
    }
  }
  if (parent === undefined) {
    return;
  }
  switch (random.int(5)) {
    case 0:
      delete parent[key];
      break;
    case 1:
      set(parent, key, [parent[key]]);
      break;
    case 2:
      set(parent, key, { [key]: parent[key] });
      break;
    default:
      set(parent, key, parseJson(encodeJson(random.pick(strange))));
  }
}

/** An assignment to `__proto__` would set no property. */
function set(parent: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(parent, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}
