import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { type RecordFile, recordName } from "../../src/model/pull-record.ts";
import { asideFile, keptFile, recordDirs } from "../../src/project/pull-records.ts";
import { setAside } from "../../src/project/set-aside.ts";

const test = suite("root/pull-records");

test("a record whose original cannot go stays in one place, the kubelet's", () => {
  if (process.geteuid?.() !== 0) {
    console.log("SKIPPED a read-only directory of records: not root");
    return;
  }
  using node = mkdtempDisposableSync(join(tmpdir(), "blackstart-records-"));
  const dirs = recordDirs(node.path, undefined);
  const record: RecordFile = { list: "pulled", file: recordName("sha256:1") };
  mkdirSync(dirs.pulled, { recursive: true });
  mkdirSync(join(node.path, "var/lib/blackstart"), { recursive: true });
  writeFileSync(keptFile(dirs, record), "{}");
  execFileSync("mount", ["--bind", dirs.pulled, dirs.pulled]);
  try {
    execFileSync("mount", ["-o", "remount,bind,ro", dirs.pulled]);
    const { moved, failures } = setAside(dirs, [record]);
    assert.deepEqual(moved, []);
    assert.equal(failures[0]?.failure.code, "E_READONLY");
    assert.equal(readFileSync(keptFile(dirs, record), "utf8"), "{}");
    assert.equal(existsSync(asideFile(dirs, record)), false);
  } finally {
    execFileSync("umount", [dirs.pulled]);
  }
});

test.run();
