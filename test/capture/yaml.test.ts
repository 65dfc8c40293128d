import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite } from "uvu";
import { parseYaml } from "../../src/capture/yaml.ts";
import { Failure } from "../../src/errors.ts";
import { parseJson } from "../../src/model/json.ts";
import { rejects } from "../rejects.ts";

const yaml = suite("capture/yaml");

interface Row {
  readonly yaml: string;
  readonly json?: string;
}

const rows: readonly Row[] = JSON.parse(
  readFileSync(new URL("../fixtures/yaml/kubectl.json", import.meta.url), "utf8"),
);

/** Where we differ from kubectl on purpose. */
const differences = new Map<string, "refused" | "taken">([
  // kubectl takes the last of two equal keys, or either; nothing tells which was meant.
  ["a: 1\na: 2\n", "refused"],
  ['a: 1\n"a": 2\n', "refused"],
  ['1: a\n"1": b\n', "refused"],
  ["{a: 1, a: 2}\n", "refused"],
  ["yes: 1\ntrue: 2\n", "refused"],
  // kubectl silently ignores all that follows.
  ["a: b\n...\nc: d\n", "refused"],
  // YAML 1.2, harmless.
  ["%YAML 1.2\n---\na: yes\n", "taken"],
  ['a: "\\x41\\u00e9\\n\\/"\n', "taken"],
  ['a: "\\uD83D\\uDE00"\n', "taken"],
  ["a: x\u0085y\n", "taken"],
  ["a: x\u2028y\n", "taken"],
  ["...\n", "taken"],
  ["k: !!timestamp abc\n", "taken"],
]);

for (const row of rows) {
  const expected = differences.get(row.yaml) ?? (row.json === undefined ? "refused" : "taken");
  yaml(`${expected} as it should be: ${JSON.stringify(row.yaml)}`, async () => {
    if (expected === "refused") {
      await rejects(() => parseYaml(row.yaml, "t.yaml", 1), "E_PARSE");
      return;
    }
    const value = (await parseYaml(row.yaml, "t.yaml", 1)) ?? null;
    if (row.json !== undefined) {
      assert.deepEqual(value, parseJson(row.json));
    }
  });
}

yaml("keeps integers of 64 bits exactly", async () => {
  const value = await parseYaml("a: 9007199254740993\nb: 0xffffffffffffffff\n", "t.yaml", 1);
  assert.equal(JSON.stringify(value), '{"a":9007199254740993,"b":18446744073709551615}');
});

yaml("takes __proto__ and constructor as ordinary keys", async () => {
  const text = "__proto__: {x: 1}\nconstructor: 2\na: &a {__proto__: 3}\nb:\n  <<: *a\n";
  const value = await parseYaml(text, "t.yaml", 1);
  assert.ok(typeof value === "object" && value !== null && !("x" in value));
  assert.deepEqual(Object.keys(value), ["__proto__", "constructor", "a", "b"]);
  assert.equal(
    JSON.stringify(value),
    '{"__proto__":{"x":1},"constructor":2,"a":{"__proto__":3},"b":{"__proto__":3}}',
  );
});

yaml("gives each alias a value of its own", async () => {
  const value = await parseYaml("a: &a {x: 1}\nb: *a\n", "t.yaml", 1);
  assert.ok(typeof value === "object" && value !== null);
  const [a, b] = Object.values(value);
  assert.deepEqual(a, b);
  assert.notEqual(a, b);
});

const bomb = ["a", "b", "c", "d", "e", "f", "g"]
  .map((name, at, all) => {
    const item = at === 0 ? "x" : `*${all[at - 1]}`;
    return `${name}: &${name} [${Array(9).fill(item).join(", ")}]`;
  })
  .join("\n");

const hostile = [
  { name: "aliases that multiply", text: bomb, code: "E_PARSE" },
  { name: "an alias of itself", text: "a: &a [*a]\n", code: "E_PARSE" },
  { name: "a merge of itself", text: "a: &a\n  <<: *a\n", code: "E_PARSE" },
  { name: "10,000 flow lists in one another", text: "[".repeat(10_000), code: "E_PARSE" },
  { name: "10,000 closed ones", text: `${"[".repeat(1e4)}${"]".repeat(1e4)}`, code: "E_PARSE" },
  { name: "10,000 compact lists in one another", text: "- ".repeat(10_000), code: "E_PARSE" },
  { name: "10,000 mappings", text: `${"{a: ".repeat(1e4)}${"}".repeat(1e4)}`, code: "E_PARSE" },
  { name: "600 levels", text: `${"[".repeat(600)}${"]".repeat(600)}`, code: "E_PARSE" },
  { name: "more tokens than fit in memory", text: "-\n".repeat(1_100_000), code: "E_TOO_BIG" },
] as const;

for (const { name, text, code } of hostile) {
  yaml(`refuses ${name}`, async () => {
    await rejects(() => parseYaml(text, "t.yaml", 1), code);
  });
}

yaml("says that an alias refers to nothing before it, itself included", async () => {
  for (const text of ["a: *a\n", "a: &a [*a]\n", "a: *b\nb: &b 1\n"]) {
    const failure = await rejects(() => parseYaml(text, "t.yaml", 1), "E_PARSE");
    assert.equal(failure.text.found, "an alias of nothing before it");
  }
});

yaml("takes 400 levels", async () => {
  const value = await parseYaml(`${"[".repeat(400)}${"]".repeat(400)}`, "t.yaml", 1);
  assert.equal(JSON.stringify(value), `${"[".repeat(400)}${"]".repeat(400)}`);
});

const places = [
  { name: "a syntax error", text: "a: 1\nb: [\nc: 2\n", line: 3 },
  { name: "a key that is there twice", text: "a: 1\nb: 2\na: 3\n", line: 3 },
  { name: "a number that JSON cannot hold", text: "a: 1\nb: .inf\n", line: 2 },
  { name: "an unknown alias", text: "a:\n  - *x\n", line: 2 },
  { name: "a control character", text: "a: 1\nb: 2\nc: \u0007\n", line: 3 },
] as const;

for (const { name, text, line } of places) {
  yaml(`names the line of the file for ${name}`, async () => {
    const failure = await rejects(() => parseYaml(text, "t.yaml", 11), "E_PARSE");
    assert.equal(failure.text.where, `t.yaml:${line + 10}`);
  });
}

yaml("never quotes the text", async () => {
  for (const text of [
    'a: "MARKER',
    "a: 1\nMARKER\n",
    "a: !!int MARKER\n",
    "a: *MARKER\n",
    "{MARKER",
  ]) {
    try {
      await parseYaml(text, "t.yaml", 1);
      assert.fail("taken");
    } catch (error) {
      assert.ok(error instanceof Failure && !error.message.includes("MARKER"), String(error));
    }
  }
});

yaml.run();
