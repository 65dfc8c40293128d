import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { observeImageKeeping } from "../../src/cli/image-keeping.ts";
import { defaultConfig } from "../../src/config.ts";
import { recordName } from "../../src/model/pull-record.ts";
import { recordDirs } from "../../src/project/pull-records.ts";

const imageKeeping = suite("cli/image-keeping");

const withArchive = (archive: string) => ({
  ...defaultConfig,
  images: { ...defaultConfig.images, archive },
});

imageKeeping("a node that keeps nothing has nothing to tell", () => {
  using node = mkdtempDisposableSync(join(tmpdir(), "blackstart-keeping-"));
  assert.deepEqual(observeImageKeeping({ root: node.path, config: defaultConfig }, undefined), {
    recordsAside: [],
    archive: null,
    warnings: [],
  });
});

imageKeeping("records that are aside are told of, with what that means", () => {
  using node = mkdtempDisposableSync(join(tmpdir(), "blackstart-keeping-"));
  const { aside } = recordDirs(node.path, undefined);
  mkdirSync(aside, { recursive: true });
  writeFileSync(join(aside, recordName("sha256:1")), "{}");
  const found = observeImageKeeping({ root: node.path, config: defaultConfig }, undefined);
  assert.deepEqual(found.recordsAside, [recordName("sha256:1")]);
  assert.deepEqual(
    found.warnings.map(({ code }) => code),
    ["W_PULL_RECORDS"],
  );
  assert.match(
    found.warnings[0]?.message ?? "",
    /1 pull record .* is set aside.*without the secret/,
  );
});

imageKeeping("an archive that holds nothing, or cannot be read, is told of", () => {
  using node = mkdtempDisposableSync(join(tmpdir(), "blackstart-keeping-"));
  const session = { root: node.path, config: withArchive("/archive") };
  const empty = observeImageKeeping(session, undefined);
  assert.deepEqual(empty.archive, { dir: "/archive", images: 0 });
  assert.match(empty.warnings[0]?.message ?? "", /holds no image/);
  mkdirSync(join(node.path, "archive"));
  writeFileSync(join(node.path, "archive/index.json"), "{");
  const broken = observeImageKeeping(session, undefined);
  assert.match(broken.warnings[0]?.message ?? "", /E_OBJECT/);
});

imageKeeping.run();
