import assert from "node:assert/strict";
import { suite } from "uvu";
import { run } from "../../src/cli/args.ts";
import type { Command } from "../../src/cli/command.ts";
import { commands } from "../../src/cli/commands.ts";
import { buildParser } from "../../src/cli/parser.ts";
import { checkValues } from "../../src/cli/usage.ts";
import { rejects } from "../rejects.ts";

const args = suite("src/cli/args.ts");

const wrong: readonly { readonly name: string; readonly words: string; readonly says: RegExp }[] = [
  { name: "no command", words: "", says: /no command/ },
  { name: "an unknown command names the nearest", words: "stats", says: /Did you mean status/ },
  { name: "nothing is near a very different word", words: "xylophone", says: /--help/ },
  { name: "a group alone names its members", words: "key", says: /init, publish/ },
  { name: "an unknown member names the nearest", words: "key inti", says: /Did you mean key init/ },
  { name: "an unknown flag names the nearest", words: "render --fron x", says: /mean --from/ },
  {
    name: "a negated flag is unknown",
    words: "restore --no-force",
    says: /no option "--no-force"/,
  },
  { name: "an unknown letter", words: "status -x", says: /no option "-x"/ },
  { name: "a flag without its value", words: "status --output", says: /--output needs a value/ },
  { name: "a flag before another flag", words: "status --root -v", says: /--root needs a value/ },
  { name: "a value out of its choices", words: "status -o xml", says: /text, json, yaml: "xml"/ },
  { name: "a flag given twice", words: "status --root a --root b", says: /more than once/ },
  { name: "a word too many", words: "status now", says: /no further word: "now"/ },
  { name: "a word that is missing", words: "show", says: /needs another word/ },
  { name: "a generation of zero", words: "restore --generation 0", says: /positive whole/ },
  {
    name: "a generation in hexadecimal",
    words: "restore --generation 0x1",
    says: /positive whole/,
  },
  { name: "two sources of a restore", words: "restore --generation 1 --from f", says: /exclude/ },
  { name: "a flag of another command", words: "status --force", says: /no option "--force"/ },
];

for (const { name, words, says } of wrong) {
  args(`is wrong usage: ${name}`, async () => {
    const failure = await rejects(
      () => run(words.split(" ").filter((word) => word !== "")),
      "E_USAGE",
    );
    assert.equal(failure.exit, 64);
    assert.match(failure.message, says);
    assert.ok(!failure.message.includes("\n"));
  });
}

const right: readonly {
  readonly name: string;
  readonly words: readonly string[];
  readonly command: string;
  readonly values: Readonly<Record<string, unknown>>;
}[] = [
  { name: "no flags", words: ["status"], command: "status", values: {} },
  {
    name: "several values after one flag, then another flag",
    words: ["capture", "--from", "a", "b", "--select", "all"],
    command: "capture",
    values: { from: ["a", "b"], select: "all" },
  },
  {
    name: "a flag with values given twice",
    words: ["capture", "--from", "a", "--from", "b"],
    command: "capture",
    values: { from: ["a", "b"] },
  },
  {
    name: "stdin among files",
    words: ["render", "--from", "-", "b"],
    command: "render",
    values: { from: ["-", "b"] },
  },
  {
    name: "flags before the command",
    words: ["--root", "/mnt", "-v", "status", "-o", "json"],
    command: "status",
    values: { root: "/mnt", verbose: true, output: "json" },
  },
  {
    name: "a number stays the text that it is",
    words: ["show", "007", "--generation=0012"],
    command: "show",
    values: { POD: "007", generation: "0012" },
  },
  {
    name: "dots, equal signs and dashes in a value are part of it",
    words: ["status", "--root=--a.b=c"],
    command: "status",
    values: { root: "--a.b=c" },
  },
  {
    name: "a command of two words",
    words: ["key", "init", "--slot", "plain"],
    command: "key init",
    values: { slot: "plain" },
  },
];

for (const { name, words, command, values } of right) {
  args(`understands ${name}`, async () => {
    const chosen: { command: Command; values: object }[] = [];
    const parser = buildParser((found, given) => {
      checkValues(found, given);
      chosen.push({ command: found, values: given });
    });
    await parser.parseAsync(words.map((word) => (word === "-" ? "\0-" : word)));
    assert.deepEqual(
      chosen.map((one) => one.command.words.join(" ")),
      [command],
    );
    const { _: _words, ...given } = { _: [], ...chosen[0]?.values };
    assert.deepEqual(given, values);
  });
}

for (const command of commands) {
  const line = command.words.join(" ");
  args(`tells examples of ${line}, and each is a command line that it understands`, async () => {
    assert.ok(command.examples.length >= 2 && command.examples.length <= 4);
    for (const example of command.examples) {
      const chosen: string[] = [];
      const parser = buildParser((found, given) => {
        checkValues(found, given);
        chosen.push(found.words.join(" "));
      });
      await parser.parseAsync(example.line.split(" ").map((word) => (word === "-" ? "\0-" : word)));
      assert.deepEqual(chosen, [line], example.line);
    }
  });
}

args.run();
