import assert from "node:assert/strict";
import { suite } from "uvu";
import { commands } from "../../src/cli/commands.ts";
import { run, succeed } from "../end-to-end/executable.ts";

const test = suite("cli help");

for (const { words, options, examples, exits } of commands) {
  const name = words.join(" ");
  test(`${name} --help tells usage, every option, examples and exit statuses`, () => {
    const { stdout, stderr } = succeed([...words, "--help"]);
    assert.equal(stderr, "");
    assert.ok(stdout.startsWith(`blackstart ${name}`), stdout);
    for (const option of ["root", "config", "verbose", "help", ...Object.keys(options)]) {
      assert.ok(stdout.includes(`--${option}`), option);
    }
    assert.ok(examples.length > 0);
    assert.match(stdout, /\nExamples:\n/);
    for (const status of [0, 64, 70, 78, ...exits.map((exit) => exit.status)]) {
      assert.match(stdout, new RegExp(`\\n +${status} {2}\\S`), String(status));
    }
    // Words of the source that were meant as values.
    assert.doesNotMatch(stdout, /\bexits\.|undefined|\[object/);
    for (const line of stdout.split("\n")) {
      assert.ok(line.length <= 100, line);
    }
  });

  test(`the examples of ${name} are command lines that it takes`, () => {
    for (const { line } of examples) {
      // With an unknown flag at the end, everything before it has been understood.
      const { stderr, status } = run([...line.split(" "), "--no-such-flag"]);
      assert.equal(status, 64, line);
      assert.match(stderr, /no option "--no-such-flag"/, line);
    }
  });
}

test("--help lists every command once", () => {
  const { stdout } = succeed(["--help"]);
  for (const { words, summary } of commands) {
    const isGrouped = words.length > 1;
    assert.ok(isGrouped || stdout.includes(`blackstart ${words[0]}`), words.join(" "));
    assert.ok(isGrouped || stdout.replaceAll(/\s+/g, " ").includes(summary), summary);
  }
});

test.run();
