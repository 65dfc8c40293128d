import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { suite } from "uvu";
import { cleanEnvironment, repository } from "../scripts/install.mjs";

const main = suite("src/main.ts");

const blackstart = join(repository, "dist/blackstart");

main("--version tells version, commit and Node", () => {
  const { status, stdout, stderr } = run(["--version"]);
  assert.match(
    stdout,
    /^blackstart \d+\.\d+\.\d+ \(([0-9a-f]{12}(-dirty)?|unknown)\) node v24\.\d+\.\d+\n$/,
  );
  assert.deepEqual([status, stderr], [0, ""]);
});

main("a failure is one line with its code on stderr, and its exit status", () => {
  const { status, stdout, stderr } = run(["restroe"]);
  assert.match(stderr, /^blackstart: E_USAGE: [^\n]+ Did you mean restore\n$/);
  assert.deepEqual([status, stdout], [64, ""]);
});

main("a working directory that was removed is a failure, not a bug", () => {
  const script = `cd "$(mktemp -d)" && rmdir "$PWD" && exec '${blackstart}' status`;
  const { status, stderr } = spawnSync("bash", ["-c", script], {
    env: cleanEnvironment(),
    encoding: "utf8",
  });
  assert.match(stderr, /^blackstart: E_USAGE: [^\n]+\n$/);
  assert.equal(status, 64);
});

main("help goes to stdout and is no failure", () => {
  const { status, stdout, stderr } = run(["restore", "--help"]);
  assert.match(stdout, /^blackstart restore \[options\]/);
  assert.deepEqual([status, stderr], [0, ""]);
});

main("a reader that goes away is no failure", () => {
  for (const words of ["--help", "--version", "restore --help"]) {
    const line = `trap '' PIPE; { sleep 0.2; '${blackstart}' ${words}; echo "$?" >&2; } | true`;
    const { stderr } = spawnSync("bash", ["-c", line], {
      env: cleanEnvironment(),
      encoding: "utf8",
    });
    assert.equal(stderr, "0\n", words);
  }
});

const doors: readonly {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
}[] = [
  { name: "NODE_OPTIONS", environment: { NODE_OPTIONS: "--require=/nonexistent.js --inspect=0" } },
  { name: "NODE_DEBUG", environment: { NODE_DEBUG: "*" } },
  { name: "NODE_EXTRA_CA_CERTS", environment: { NODE_EXTRA_CA_CERTS: "/nonexistent.pem" } },
  { name: "NODE_ICU_DATA", environment: { NODE_ICU_DATA: "/nonexistent" } },
  { name: "NODE_TLS_REJECT_UNAUTHORIZED", environment: { NODE_TLS_REJECT_UNAUTHORIZED: "0" } },
  { name: "OPENSSL_CONF", environment: { OPENSSL_CONF: "/nonexistent.cnf" } },
];

for (const { name, environment } of doors) {
  main(`${name} changes nothing`, () => {
    const words = ["status", "-o", "xml"];
    const { status, stdout, stderr } = run(words, environment);
    const usual = run(words);
    assert.deepEqual([status, stdout, stderr], [usual.status, usual.stdout, usual.stderr]);
  });
}

main("a compile cache gets nothing of what the program runs", () => {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-doors-"));
  try {
    const cache = join(dir, "cache");
    assert.equal(run(["--version"], { NODE_COMPILE_CACHE: cache }).status, 0);
    assert.ok(existsSync(cache));
    const names = readdirSync(cache, { recursive: true, encoding: "utf8" });
    const files = names.map((name) => statSync(join(cache, name))).filter((file) => file.isFile());
    // The loader itself has run by the time it can act; nothing after it is kept.
    assert.ok(files.length <= 1 && files.every(({ size }) => size < 8192));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

main("flags of Node are not ours", () => {
  for (const flag of [
    "--inspect",
    "--require=/nonexistent.js",
    "--eval=1",
    "--node-options=--inspect",
  ]) {
    const { status, stderr } = run([flag]);
    assert.equal(status, 64, flag);
    assert.match(stderr, /^blackstart: E_USAGE: [^\n]+\n$/);
  }
});

main("SIGUSR1 opens no inspector, and SIGTERM ends the process by its default action", async () => {
  const child = spawn(blackstart, ["render", "--from", "-"], { env: cleanEnvironment() });
  let stderr = "";
  child.stderr.on("data", (bytes) => {
    stderr += bytes;
  });
  const end = new Promise((resolve) => {
    child.on("close", (code, by) => resolve(by ?? code));
  });
  // By then it waits for stdin.
  await setTimeout(500);
  child.kill("SIGUSR1");
  await setTimeout(500);
  assert.equal(stderr, "");
  assert.equal(child.exitCode, null);
  child.kill("SIGTERM");
  assert.equal(await end, "SIGTERM");
});

function run(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const env = { ...cleanEnvironment(), ...environment };
  return spawnSync(blackstart, words, { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

main.run();
