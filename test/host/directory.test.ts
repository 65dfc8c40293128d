import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { ensureDirectory, ensureDurableDirectory } from "../../src/host/directory.ts";

const test = suite("host/directory");

const temporary = () => mkdtempDisposableSync(join(tmpdir(), "blackstart-directory-"));

test("missing directories are made with the mode, and told deepest first", () => {
  using place = temporary();
  const [a, b] = [join(place.path, "a"), join(place.path, "a/b")];
  assert.deepEqual(ensureDirectory(b, 0o700), [b, a]);
  assert.equal(statSync(a).mode & 0o777, 0o700);
  assert.deepEqual(ensureDirectory(b, 0o700), []);
});

test("a durable directory is closed, and may be there already", () => {
  using place = temporary();
  const dir = join(place.path, "a/b");
  ensureDurableDirectory(dir);
  ensureDurableDirectory(dir);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
});

const refusals = [
  { name: "below a file", path: "file/a/b", code: "ENOTDIR" },
  { name: "below a link that leads nowhere", path: "link/a", code: "ENOENT" },
];
for (const { name, path, code } of refusals) {
  test(`${name} the kernel's own error is told`, () => {
    using place = temporary();
    writeFileSync(join(place.path, "file"), "");
    symlinkSync("/nowhere/at/all", join(place.path, "link"));
    assert.throws(() => ensureDirectory(join(place.path, path), 0o700), { code });
  });
}

test("a directory that is there is left as it is", () => {
  using place = temporary();
  const dir = join(place.path, "a");
  mkdirSync(dir, { mode: 0o755 });
  assert.deepEqual(ensureDirectory(dir, 0o700), []);
  assert.equal(statSync(dir).mode & 0o777, 0o755);
});

test.run();
