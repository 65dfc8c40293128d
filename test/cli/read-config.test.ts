import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { readConfig } from "../../src/cli/read-config.ts";
import { defaultConfig } from "../../src/config.ts";
import { rejects } from "../rejects.ts";

const test = suite("cli/read-config");

async function inRoot(run: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "read-config-"));
  try {
    mkdirSync(join(root, "etc/blackstart"), { recursive: true });
    await run(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("without a file the defaults apply, and are announced", () =>
  inRoot(async (root) => {
    const { config, warnings } = await readConfig({ root });
    assert.deepEqual(config, { ...defaultConfig, root });
    assert.ok(Object.isFrozen(config));
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ["I_DEFAULTS"],
    );
  }));

test("the default path is under root", () =>
  inRoot(async (root) => {
    writeFileSync(join(root, "etc/blackstart/config.yaml"), "swap: allow\n");
    const { config, warnings } = await readConfig({ root });
    assert.equal(config.swap, "allow");
    assert.equal(config.root, root);
    assert.ok(Object.isFrozen(config));
    assert.deepEqual(warnings, []);
  }));

test("a named file is read where it is", () =>
  inRoot(async (root) => {
    const file = join(root, "other.yaml");
    writeFileSync(file, "swap: allow\n");
    assert.equal((await readConfig({ root: "/nowhere", config: file })).config.swap, "allow");
  }));

const unusable: readonly { name: string; make: (file: string) => void }[] = [
  { name: "that is missing", make: () => undefined },
  { name: "that is a directory", make: (file) => mkdirSync(file) },
  { name: "that is a pipe", make: (file) => execFileSync("mkfifo", [file]) },
  { name: "that is not UTF-8", make: (file) => writeFileSync(file, Buffer.from("c3280a", "hex")) },
  {
    name: "that is larger than 1 MiB",
    make: (file) => writeFileSync(file, Buffer.alloc(1_048_577, 35)),
  },
  { name: "with an unknown key", make: (file) => writeFileSync(file, "swapp: allow\n") },
];
for (const { name, make } of unusable) {
  test(`a named file ${name} is E_CONFIG`, () =>
    inRoot(async (root) => {
      const file = join(root, "named.yaml");
      make(file);
      await rejects(() => readConfig({ root, config: file }), "E_CONFIG");
    }));
}

test.run();
