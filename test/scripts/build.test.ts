import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { Script } from "node:vm";
import { suite } from "uvu";
import { cleanEnvironment, hostArch, pinnedNode, repository } from "../../scripts/install.mjs";

const build = suite("scripts/build.mjs");

build("two builds of one source, in two places, give the same bytes before injection", () => {
  withParts((dir, parts) => {
    const copy = join(dir, "elsewhere/checkout");
    mkdirSync(copy, { recursive: true });
    for (const name of ["src", "scripts", "examples", "package.json", "package-lock.json"]) {
      cpSync(join(repository, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(repository, "node_modules"), join(copy, "node_modules"));
    const others = makeParts(copy, join(dir, "others"), { TZ: "Asia/Tokyo", LC_ALL: "C" });
    assert.deepEqual(hashes(others), hashes(parts));
    assert.ok(Object.keys(hashes(parts)).includes("blackstart.blob"));
    assert.ok(Object.keys(hashes(parts)).includes("boot.cache"));
  });
});

build("nothing in the blob names a place of the machine that built it", () => {
  withParts((_dir, parts) => {
    const blob = readFileSync(join(parts, "blackstart.blob"), "latin1");
    for (const place of [repository, join(tmpdir(), "blackstart-"), join(homedir(), "/")]) {
      assert.ok(!blob.includes(place), place);
    }
  });
});

build(
  "every code cache is taken by the Node that it is made for, and not when it is damaged",
  () => {
    withParts((_dir, parts) => {
      const scripts = readdirSync(parts).filter((name) => name.endsWith(".js"));
      assert.ok(scripts.length > 3);
      for (const name of scripts) {
        const source = readFileSync(join(parts, name), "latin1");
        const cachedData = readFileSync(join(parts, name.replace(/js$/, "cache")));
        assert.equal(new Script(source, { cachedData }).cachedDataRejected, false, name);
        const damaged = Buffer.from(cachedData.map((byte, at) => (at === 4 ? byte ^ 1 : byte)));
        const script = new Script(source, { cachedData: damaged, filename: "damaged" });
        assert.equal(script.cachedDataRejected, true, name);
      }
    });
  },
);

build("the executable's flags leave the code caches valid, Node's own too", () => {
  withParts((_dir, parts) => {
    const { execArgv } = JSON.parse(readFileSync(join(parts, "sea.json"), "utf8"));
    assert.ok(execArgv.length > 0);
    for (const [flags, rejected] of [
      [execArgv, 0],
      [["--no-opt"], 1],
    ]) {
      const { stderr } = spawnSync(pinnedNode(), [...flags, "-e", 'require("crypto")'], {
        env: { ...cleanEnvironment(), NODE_DEBUG_NATIVE: "CODE_CACHE" },
        encoding: "utf8",
      });
      assert.match(stderr, /is (accepted|rejected)/);
      assert.equal(Number(/is rejected/.test(stderr)), rejected, flags.join(" "));
    }
  });
});

build("what a boot does not need is not in the script that every process reads", () => {
  withParts((_dir, parts) => {
    const boot = readFileSync(join(parts, "boot.js"), "utf8");
    for (const word of ["yargs", "levenshtein", "YAMLParseError", "JWEDecryptionFailed"]) {
      assert.ok(!boot.includes(word), word);
    }
    const all = readdirSync(parts).filter((name) => name.endsWith(".js"));
    const others = all.filter((name) => name !== "boot.js").map((name) => join(parts, name));
    const rest = others.map((file) => readFileSync(file, "utf8")).join("");
    assert.ok(rest.includes("yargs"));
    assert.ok(rest.includes("YAMLParseError"));
  });
});

build("the executable is at most 115 MB", () => {
  assert.ok(statSync(join(repository, "dist/blackstart")).size <= 115e6);
});

function withParts(run: (dir: string, parts: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-parts-"));
  try {
    run(dir, makeParts(repository, join(dir, "parts"), {}));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Makes the ingredients of the checkout at `from` in a process of its own. */
function makeParts(from: string, to: string, environment: NodeJS.ProcessEnv): string {
  mkdirSync(to);
  const words = [to, hostArch(), pinnedNode()].map((word) => JSON.stringify(word)).join(", ");
  const code = `const { makeParts } = await import(${JSON.stringify(join(from, "scripts/build.mjs"))});
    await makeParts(${words}, { version: "1.2.3", commit: "abc" });`;
  execFileSync(process.execPath, ["--input-type=module", "-e", code], {
    cwd: "/",
    env: { ...cleanEnvironment(), ...environment },
  });
  return to;
}

function hashes(dir: string): Readonly<Record<string, string>> {
  const hash = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(dir, name)))
      .digest("hex");
  return Object.fromEntries(readdirSync(dir).map((name) => [name, hash(name)]));
}

build.run();
