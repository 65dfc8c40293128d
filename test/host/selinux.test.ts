import assert from "node:assert/strict";
import { join } from "node:path";
import { suite } from "uvu";
import { labelTrees } from "../../src/host/selinux.ts";
import { makeRoot } from "../project/plans.ts";

const test = suite("host/selinux");

test("nothing to label starts no process and gives no warning", () => {
  assert.deepEqual(labelTrees([]), []);
});

test("a label that cannot be set is a warning and no failure", () => {
  using site = makeRoot();
  const codes = labelTrees([join(site.root, "missing")]).map(({ code }) => code);
  assert.deepEqual(codes, ["W_SELINUX"]);
});

test.run();
