import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseRestoreArguments } from "../../src/cli/restore-options.ts";
import { rejects } from "../rejects.ts";

const options = suite("src/cli/restore-options.ts");

const plain = {
  root: "/",
  config: undefined,
  verbose: false,
  output: "text",
  force: false,
  dryRun: false,
  generation: undefined,
  from: undefined,
  resetAttempts: false,
  retire: false,
};

options("a boot's command line is understood without the full parser", () => {
  assert.deepEqual(parseRestoreArguments([]), plain);
  assert.deepEqual(
    parseRestoreArguments(["--root", "/mnt", "-v", "--force", "-o=json"]),
    undefined,
  );
  assert.deepEqual(
    parseRestoreArguments(["--root=/mnt", "-v", "--force", "-o", "json", "--generation", "12"]),
    { ...plain, root: "/mnt", verbose: true, force: true, output: "json", generation: 12 },
  );
});

const left: readonly { readonly name: string; readonly words: readonly string[] }[] = [
  { name: "help", words: ["--help"] },
  { name: "an unknown flag", words: ["--forse"] },
  { name: "a word", words: ["now"] },
  { name: "a flag without its value", words: ["--root"] },
  { name: "a flag given twice", words: ["--root", "a", "--root", "b"] },
  { name: "a format that does not exist", words: ["-o", "xml"] },
];

for (const { name, words } of left) {
  options(`${name} is left to the full parser`, () => {
    assert.equal(parseRestoreArguments(words), undefined);
  });
}

options("a wrong generation is left to the full parser, which names it", async () => {
  const { run } = await import("../../src/cli/args.ts");
  assert.equal(parseRestoreArguments(["--generation", "-1"]), undefined);
  assert.equal(parseRestoreArguments(["--generation", "1e3"]), undefined);
  await rejects(() => run(["restore", "--generation", "1e3"]), "E_USAGE");
});

options("--retire goes with no flag that restores", async () => {
  const { run } = await import("../../src/cli/args.ts");
  assert.equal(parseRestoreArguments(["--retire", "--dry-run"])?.retire, true);
  for (const words of [["--force"], ["--generation", "1"], ["--from", "x"], ["--reset-attempts"]]) {
    assert.equal(parseRestoreArguments(["--retire", ...words]), undefined);
    await rejects(() => run(["restore", "--retire", ...words]), "E_USAGE");
  }
});

options.run();
