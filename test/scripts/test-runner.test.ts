import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { repository } from "../../scripts/install.mjs";
import { selectFiles } from "../../scripts/test.mjs";
import { runFile } from "../../scripts/testing/run-file.mjs";

const runner = suite("scripts/test.mjs");

const head = 'import { suite } from "uvu";\nconst t = suite("t");\n';
const works = 't("works", () => {});\n';

const cases: readonly {
  readonly name: string;
  readonly body: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped?: readonly string[];
}[] = [
  { name: "two tests that pass count two", body: `${works}${works}t.run();`, passed: 2, failed: 0 },
  {
    name: "one that throws is a failure",
    body: `${works}t("no", () => { throw new Error("no"); });\nt.run();`,
    passed: 1,
    failed: 1,
  },
  { name: "a file that never runs its suite fails", body: works, passed: 0, failed: 1 },
  { name: "a file without tests fails", body: "t.run();", passed: 0, failed: 1 },
  {
    name: "a before hook that throws fails",
    body: `t.before(() => { throw new Error("no"); });\n${works}t.run();`,
    passed: 0,
    failed: 1,
  },
  {
    name: "a promise that never settles fails",
    body: `${works}t("never", () => new Promise(() => {}));\nt.run();`,
    passed: 0,
    failed: 1,
  },
  {
    name: "a test that hangs is killed at the deadline",
    body: `t("hangs", () => { for (;;); });\nt.run();`,
    passed: 0,
    failed: 1,
  },
  {
    name: "an exit status other than 0 fails although all tests passed",
    body: `${works}t.run();\nprocess.on("exit", () => { process.exitCode = 3; });`,
    passed: 1,
    failed: 1,
  },
  {
    name: "a crash before the suite fails",
    body: `${works}throw new Error("early");\nt.run();`,
    passed: 0,
    failed: 1,
  },
  {
    name: "what a test could not do is told",
    body: `t("skips", () => { console.log("SKIPPED the kernel's part: no privilege"); });\nt.run();`,
    passed: 1,
    failed: 0,
    skipped: ["SKIPPED the kernel's part: no privilege"],
  },
  {
    name: "test.skip is told",
    body: `${works}t.skip("later", () => {});\nt.run();`,
    passed: 1,
    failed: 0,
    skipped: ["SKIPPED a test, by test.skip"],
  },
];

for (const { name, body, passed, failed, skipped = [] } of cases) {
  runner(name, async () => {
    const result = await runText(`${head}${body}`);
    assert.deepEqual([result.passed, result.failed], [passed, failed], result.output);
    assert.deepEqual(result.skipped, skipped);
  });
}

runner("what a test measured is told", async () => {
  const says = `t("measures", () => { console.log("\\n# 3 requests"); console.log("no # 4"); });\n`;
  const result = await runText(`${head}${says}t.run();`);
  assert.deepEqual(result.notes, ["# 3 requests"], result.output);
});

runner("it is told while the test still runs, line by line", async () => {
  const says = `t("measures", async () => {
    process.stdout.write("\\n# a");
    process.stderr.write("# b\\n");
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.stdout.write(" whole\\n");
    await new Promise((resolve) => setTimeout(resolve, 700));
  });\n`;
  const started = performance.now();
  const told: [string, number][] = [];
  const result = await runText(`${head}${says}t.run();`, {
    onNote: (note) => told.push([note, performance.now() - started]),
  });
  const ms = performance.now() - started;
  assert.deepEqual(
    told.map(([note]) => note),
    ["# b", "# a whole"],
    result.output,
  );
  assert.ok(told.every(([, at]) => at < ms - 500));
});

runner("an interrupted test is let clean up", async () => {
  const body = `t("stays", async () => {
    process.once("SIGTERM", () => setTimeout(() => { console.log("\\n# clean"); process.exit(1); }, 200));
    console.log("\\n# here");
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  });\n`;
  const interruption = new AbortController();
  const result = await runText(`${head}${body}t.run();`, {
    interruption: interruption.signal,
    onNote: () => interruption.abort(),
  });
  assert.deepEqual(result.notes, ["# here", "# clean"]);
  assert.ok(result.ms < 1_900);
});

runner("what a test file leaves running does not outlive it", async () => {
  const started = performance.now();
  const result = await runText(
    `import { spawn } from "node:child_process";\n${head}t("leaves", () => { spawn("sleep", ["60"], { stdio: "inherit" }).unref(); });\nt.run();`,
  );
  assert.equal(result.failed, 0, result.output);
  assert.ok(performance.now() - started < 5_000);
});

runner("a filter that begins with ! leaves files out", () => {
  const some = selectFiles("unit", ["scripts/", "!test-runner"]);
  assert.ok(some.length > 0 && some.every((file) => file.includes("scripts/")));
  assert.ok(!some.some((file) => file.includes("test-runner")));
  assert.ok(selectFiles("unit", ["!scripts/"]).length > some.length);
});

for (const which of ["root", "slow", "e2e", "vm"] as const) {
  runner(`the files of test/${which} are a suite of their own`, () => {
    const files = selectFiles(which, []);
    const isInside = (file: string) => file.startsWith(`test/${which}/`);
    assert.ok(files.length > 0 && files.every(isInside), files.join(" "));
    assert.ok(!selectFiles("unit", []).some(isInside));
  });
}

/** Runs a test file of that text; it lies where `uvu` can be imported from. */
async function runText(
  text: string,
  options?: Parameters<typeof runFile>[2],
): ReturnType<typeof runFile> {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-runner-"));
  try {
    mkdirSync(join(dir, "test"));
    symlinkSync(join(repository, "node_modules"), join(dir, "node_modules"));
    writeFileSync(join(dir, "package.json"), '{"type":"module"}');
    writeFileSync(join(dir, "test/t.test.ts"), text);
    return await runFile(join(dir, "test/t.test.ts"), 2_000, options);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

runner.run();
