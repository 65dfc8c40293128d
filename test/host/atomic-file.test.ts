import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import {
  createMarker,
  publishFile,
  readRegularFile,
  removeFile,
  renameDurably,
  replaceFile,
} from "../../src/host/atomic-file.ts";

const test = suite("host/atomic-file");
const bytes = Buffer.from("content");

test("publishing never overwrites", () => {
  using dir = temporary();
  assert.equal(publishFile(dir.path, "a", bytes, 0o600), "published");
  assert.equal(publishFile(dir.path, "a", Buffer.from("other"), 0o600), "exists");
  assert.equal(readFileSync(join(dir.path, "a"), "utf8"), "content");
  assert.deepEqual(readdirSync(dir.path), ["a"]);
});

test("replacing overwrites and sets the mode", () => {
  using dir = temporary();
  replaceFile(dir.path, "a", bytes, 0o600);
  replaceFile(dir.path, "a", Buffer.from("other"), 0o400);
  assert.equal(readFileSync(join(dir.path, "a"), "utf8"), "other");
  assert.equal(statSync(join(dir.path, "a")).mode & 0o777, 0o400);
  assert.deepEqual(readdirSync(dir.path), ["a"]);
});

test("the order is write, fsync, close, link, unlink, fsync of the directory", () => {
  using dir = temporary();
  const calls = trace(`publishFile(${JSON.stringify(dir.path)}, "a", Buffer.alloc(9), 0o600)`);
  if (calls === undefined) {
    return;
  }
  assert.deepEqual(calls, [
    "open file",
    "write",
    "fsync",
    "close",
    "link",
    "unlink",
    "open directory",
    "fsync",
    "close",
  ]);
});

test("a marker is made once", () => {
  using dir = temporary();
  assert.equal(createMarker(dir.path, "m"), true);
  assert.equal(createMarker(dir.path, "m"), false);
  renameDurably(dir.path, "m", "n");
  assert.deepEqual(readdirSync(dir.path), ["n"]);
  removeFile(join(dir.path, "n"));
  removeFile(join(dir.path, "n"));
  assert.deepEqual(readdirSync(dir.path), []);
});

test("reading takes regular files of a size, and never waits for a pipe", () => {
  using dir = temporary();
  const file = join(dir.path, "a");
  writeFileSync(file, bytes);
  const read = readRegularFile(file, 7);
  assert.ok(read.kind === "read");
  assert.deepEqual(read.bytes, bytes);
  assert.equal(readRegularFile(file, 6).kind, "too-large");
  const start = readRegularFile(file, 4, "start");
  assert.ok(start.kind === "read");
  assert.equal(start.bytes.toString(), "cont");
  execFileSync("mkfifo", [join(dir.path, "pipe")]);
  assert.equal(readRegularFile(join(dir.path, "pipe"), 9).kind, "not-regular");
  assert.equal(readRegularFile(dir.path, 9).kind, "not-regular");
  symlinkSync(file, join(dir.path, "link"));
  assert.throws(() => readRegularFile(join(dir.path, "link"), 9), { code: "ELOOP" });
});

test("a sparse terabyte is refused without being read", () => {
  using dir = temporary();
  const file = join(dir.path, "a");
  writeFileSync(file, "");
  truncateSync(file, 2 ** 40);
  assert.deepEqual(readRegularFile(file, 100), { kind: "too-large", sizeBytes: 2 ** 40 });
});

/** The system calls on our directory, in order. undefined, and said so, where strace cannot run. */
function trace(expression: string): readonly string[] | undefined {
  using out = temporary();
  const log = join(out.path, "trace");
  const module = new URL("../../src/host/atomic-file.ts", import.meta.url);
  const program = `import { publishFile } from ${JSON.stringify(module)}; ${expression};`;
  const set = "trace=openat,write,pwrite64,fsync,close,link,linkat,unlink,unlinkat";
  try {
    execFileSync("strace", [
      ...["-f", "-e", set, "-o", log, process.execPath],
      ...["--input-type=module", "--eval", program],
    ]);
  } catch (error) {
    console.log(`SKIPPED order of system calls: strace cannot run (${error})`);
    return undefined;
  }
  const lines = readFileSync(log, "utf8").split("\n");
  const from = lines.findIndex((line) => line.includes("/.tmp-"));
  // Other threads of Node make calls of their own, and cut ours in two lines where they meet.
  const [thread = ""] = lines[from]?.split(" ", 1) ?? [];
  const calls = lines
    .slice(from)
    .filter((line) => line.startsWith(`${thread} `))
    .map(describeCall)
    .filter((call) => call !== "");
  const end = calls.indexOf("close", calls.indexOf("open directory"));
  return calls.slice(0, end + 1);
}

function describeCall(line: string): string {
  const call = /^\d+\s+(\w+)\(/.exec(line)?.[1] ?? "";
  if (call === "openat") {
    return line.includes("O_DIRECTORY") ? "open directory" : "open file";
  }
  return call.replace("pwrite64", "write").replace(/at$/, "");
}

function temporary() {
  return mkdtempDisposableSync(join(tmpdir(), "blackstart-"));
}

test.run();
