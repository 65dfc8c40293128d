import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseDocuments } from "../../src/capture/documents.ts";
import { rejects } from "../rejects.ts";

const documents = suite("capture/documents");

const taken: readonly { name: string; text: string; values: unknown; lines: readonly number[] }[] =
  [
    { name: "one JSON object", text: '\n {"a":1}\n', values: [{ a: 1 }], lines: [2] },
    {
      name: "JSON objects one after another",
      text: '{"a":"}{"}\n{"a":"\\"}"}{"a":3}\n',
      values: [{ a: "}{" }, { a: '"}' }, { a: 3 }],
      lines: [1, 2, 2],
    },
    {
      name: "JSON objects between separators",
      text: '{"a":1}\n---\n{"a":0400}\n--- # next\n{"a":3}\n',
      values: [{ a: 1 }, { a: 256 }, { a: 3 }],
      lines: [1, 3, 5],
    },
    { name: "YAML in braces", text: "{a: 1, b: yes}\n", values: [{ a: 1, b: true }], lines: [1] },
    {
      name: "YAML documents, empty ones left out",
      text: "---\n# nothing\n---\n\na: 1\n---\n---\nnull\n---\r\nb: 2\r\n---\n",
      values: [{ a: 1 }, { b: 2 }],
      lines: [5, 10],
    },
    { name: "nothing", text: "", values: [], lines: [] },
    { name: "only comments", text: "# a\n---\n# b\n", values: [], lines: [] },
    { name: "a directive", text: "%YAML 1.1\n---\na: 1\n", values: [{ a: 1 }], lines: [3] },
    { name: "a byte order mark", text: "\ufeffa: 1\n", values: [{ a: 1 }], lines: [1] },
    {
      name: "a byte order mark before JSON",
      text: '\ufeff{"a":2,"a":1}',
      values: [{ a: 1 }],
      lines: [1],
    },
    {
      name: "dashes inside of a block scalar",
      text: "a: |\n  ---\n  -----BEGIN\nb: 1\n",
      values: [{ a: "---\n-----BEGIN\n", b: 1 }],
      lines: [1],
    },
    { name: "what is no object", text: "5\n---\n- a\n", values: [5, ["a"]], lines: [1, 3] },
  ];

for (const { name, text, values, lines } of taken) {
  documents(`reads ${name}`, async () => {
    const read = await parseDocuments(text, "f");
    assert.deepEqual(
      read.map(({ value }) => value),
      values,
    );
    assert.deepEqual(
      read.map(({ line }) => line),
      lines,
    );
  });
}

const deep = 10_000;
const refused = [
  { name: "JSON that is cut off", text: '{"a":\n"MARKER', where: "f:2" },
  { name: "JSON with a syntax error", text: '{"a":1,\n"b":2,\n"MARKER" 5}', where: "f:3" },
  { name: "JSON with something behind it", text: '{"a":1}\n}', where: "f:2" },
  { name: "a list that is cut off", text: '[{"a":1},\n{"a":2}', where: "f:2" },
  { name: "a separator with text", text: "a: 1\n--- MARKER\n", where: "f:2" },
  { name: "a badly indented certificate", text: "a: |\n  x\n-----BEGIN MARKER\n", where: "f:3" },
  { name: "an error in the second document", text: "a: 1\n---\nb: 1\nb: 2\n", where: "f:4" },
  {
    name: "JSON 10,000 levels deep",
    text: `{"a":${"[".repeat(deep)}${"]".repeat(deep)}}`,
    where: "f:1",
  },
] as const;

for (const { name, text, where } of refused) {
  documents(`refuses ${name}, with the line and without the text`, async () => {
    const failure = await rejects(() => parseDocuments(text, "f"), "E_PARSE");
    assert.equal(failure.text.where, where);
    assert.ok(!failure.message.includes("MARKER"));
  });
}

documents.run();
