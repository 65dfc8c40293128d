import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseWatchArguments } from "../../src/cli/capture-options.ts";

const options = suite("src/cli/capture-options.ts");

const plain = {
  root: "/",
  config: undefined,
  verbose: false,
  output: "text",
  from: [],
  node: undefined,
  select: undefined,
  watch: true,
  allowEmpty: false,
};

options("a watch's command line is understood without the full parser", () => {
  assert.deepEqual(parseWatchArguments(["--watch"]), plain);
  assert.deepEqual(
    parseWatchArguments(["-v", "--watch", "--node", "node1", "--select=all", "--root", "/mnt"]),
    { ...plain, verbose: true, node: "node1", select: "all", root: "/mnt" },
  );
});

options("what contradicts a watch is handed on, for the command refuses it", () => {
  assert.deepEqual(parseWatchArguments(["--watch", "--from", "a", "--allow-empty"]), {
    ...plain,
    from: ["a"],
    allowEmpty: true,
  });
});

const left: readonly { readonly name: string; readonly words: readonly string[] }[] = [
  { name: "a capture that does not stay", words: [] },
  { name: "a flag of that name as a value", words: ["--node", "--watch"] },
  { name: "help", words: ["--watch", "--help"] },
  { name: "an unknown flag", words: ["--watch", "--forse"] },
  { name: "a word", words: ["--watch", "now"] },
  { name: "a flag without its value", words: ["--watch", "--node"] },
  { name: "a flag given twice", words: ["--watch", "--node", "a", "--node", "b"] },
  { name: "a format that does not exist", words: ["--watch", "-o", "xml"] },
  { name: "a selection that does not exist", words: ["--watch", "--select", "some"] },
];

for (const { name, words } of left) {
  options(`${name} is left to the full parser`, () => {
    assert.equal(parseWatchArguments(words), undefined);
  });
}

options.run();
