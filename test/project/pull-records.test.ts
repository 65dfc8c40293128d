import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { type RecordFile, recordName } from "../../src/model/pull-record.ts";
import {
  asideFile,
  keptFile,
  listAside,
  type RecordDirs,
  readPullRecords,
  recordDirs,
} from "../../src/project/pull-records.ts";
import { putBack, setAside } from "../../src/project/set-aside.ts";

const test = suite("project/pull-records");

const one: RecordFile = { list: "pulled", file: recordName("sha256:1") };
const two: RecordFile = { list: "pulling", file: recordName("registry.example/app:1") };
const textOf = (text: string) =>
  JSON.stringify({ kind: "ImagePulledRecord", imageRef: "sha256:1", credentialMapping: {}, text });

test("records go aside and come back byte for byte, with their modes", () => {
  using node = openNode();
  chmodSync(keptFile(node.dirs, one), 0o640);
  assert.deepEqual(setAside(node.dirs, [one, two]).moved, [one, two]);
  assert.deepEqual(readdirSync(node.dirs.pulled), []);
  assert.deepEqual(readdirSync(node.dirs.pulling), []);
  assert.deepEqual(listAside(node.dirs, []), [two, one]);
  assert.equal(statSync(node.dirs.aside).mode & 0o777, 0o700);
  assert.deepEqual(putBack(node.dirs, [one, two]).moved, [one, two]);
  assert.equal(readFileSync(keptFile(node.dirs, one), "utf8"), textOf("old"));
  assert.equal(statSync(keptFile(node.dirs, one)).mode & 0o777, 0o640);
  assert.deepEqual(listAside(node.dirs, []), []);
});

test("a second run changes nothing", () => {
  using node = openNode();
  setAside(node.dirs, [one]);
  assert.deepEqual(setAside(node.dirs, [one]), { moved: [], failures: [] });
  assert.equal(readFileSync(asideFile(node.dirs, one), "utf8"), textOf("old"));
  putBack(node.dirs, [one]);
  assert.deepEqual(putBack(node.dirs, [one]), { moved: [], failures: [] });
});

test("a record that the kubelet has written anew stays as it wrote it, and ours goes", () => {
  using node = openNode();
  setAside(node.dirs, [one]);
  writeFileSync(keptFile(node.dirs, one), textOf("new"));
  assert.deepEqual(putBack(node.dirs, [one]).failures, []);
  assert.equal(readFileSync(keptFile(node.dirs, one), "utf8"), textOf("new"));
  assert.equal(existsSync(asideFile(node.dirs, one)), false);
});

test("a record that the kubelet has written anew takes the place of the one that is aside", () => {
  using node = openNode();
  setAside(node.dirs, [one]);
  writeFileSync(keptFile(node.dirs, one), textOf("new"));
  setAside(node.dirs, [one]);
  assert.equal(readFileSync(asideFile(node.dirs, one), "utf8"), textOf("new"));
  assert.deepEqual(readdirSync(node.dirs.pulled), []);
});

test("what is no file of the kubelet's own stays where it is", () => {
  using node = openNode();
  const place = keptFile(node.dirs, one);
  const cases: readonly (readonly [make: () => void, code: string])[] = [
    [() => symlinkSync("/etc/hostname", place), "E_NOT_REGULAR"],
    [() => mkdirSync(place), "E_NOT_REGULAR"],
    [() => writeFileSync(place, Buffer.alloc(1_048_577)), "E_TOO_BIG"],
  ];
  for (const [make, code] of cases) {
    rmSync(place, { recursive: true });
    make();
    const { moved, failures } = setAside(node.dirs, [one, two]);
    assert.deepEqual(
      failures.map(({ record, failure }) => [record, failure.code]),
      [[one, code]],
    );
    assert.deepEqual(moved, [two], "the other one goes all the same");
    putBack(node.dirs, [two]);
    assert.ok(readdirSync(node.dirs.pulled).includes(one.file));
  }
});

test("a kubelet without its directory gets nothing back, and nothing is lost", () => {
  using node = openNode();
  setAside(node.dirs, [one]);
  rmSync(node.dirs.pulled, { recursive: true });
  const { moved, failures } = putBack(node.dirs, [one]);
  assert.deepEqual([moved, failures[0]?.failure.code], [[], "E_CANNOT_CREATE"]);
  assert.ok(existsSync(asideFile(node.dirs, one)));
});

test("what a killed run left under hidden names is swept, the kubelet's temporary files stay", () => {
  using node = openNode();
  writeFileSync(join(node.dirs.pulled, ".tmp-999999999-abc"), "half");
  writeFileSync(join(node.dirs.pulled, `${one.file}.tmp`), "the kubelet's");
  setAside(node.dirs, [one]);
  writeFileSync(join(node.dirs.aside, ".tmp-999999999-abc"), "half");
  putBack(node.dirs, [one]);
  assert.deepEqual(readdirSync(node.dirs.pulled).sort(), [one.file, `${one.file}.tmp`]);
  assert.deepEqual(readdirSync(node.dirs.aside), []);
});

test("records are read wherever they are; where both places have one, the kubelet's counts", () => {
  using node = openNode();
  setAside(node.dirs, [one, two]);
  const read = () => {
    const { kept, aside, warnings } = readPullRecords(node.dirs);
    return [kept.map(({ kind }) => kind), aside.map(({ kind }) => kind), warnings.length];
  };
  assert.deepEqual(read(), [[], ["damaged", "pulled"], 0]);
  writeFileSync(keptFile(node.dirs, one), "torn");
  assert.deepEqual(read(), [["damaged"], ["damaged"], 0]);
  assert.equal(readPullRecords(node.dirs, new Set([one.file])).aside.length, 0);
});

test("what cannot be read is a warning, and a node without records has none", () => {
  using node = openNode();
  rmSync(keptFile(node.dirs, one));
  symlinkSync("/dev/zero", keptFile(node.dirs, one));
  const { kept, warnings } = readPullRecords(node.dirs);
  assert.deepEqual([kept.length, warnings.map(({ code }) => code)], [1, ["W_PULL_RECORDS"]]);
  const nothing = { kept: [], aside: [], warnings: [] };
  assert.deepEqual(readPullRecords(recordDirs("/nonexistent")), nothing);
});

test("the kubelet's directory is where its flag says", () => {
  assert.deepEqual(recordDirs("/r", "/data/kubelet"), {
    pulled: "/r/data/kubelet/image_manager/pulled",
    pulling: "/r/data/kubelet/image_manager/pulling",
    aside: "/r/var/lib/blackstart/pull-records",
  });
});

/** A node whose kubelet has a record of each list; that of the begun pull is damaged. */
function openNode(): Disposable & { readonly dirs: RecordDirs } {
  const root = mkdtempSync(join(tmpdir(), "pull-records-"));
  const dirs = recordDirs(root);
  mkdirSync(dirs.pulled, { recursive: true });
  mkdirSync(dirs.pulling, { recursive: true });
  writeFileSync(keptFile(dirs, one), textOf("old"), { mode: 0o600 });
  writeFileSync(keptFile(dirs, two), "{}", { mode: 0o600 });
  return { dirs, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

test.run();
