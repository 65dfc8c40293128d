import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { observeBoot } from "../../src/host/observe.ts";
import { makeRoot } from "../project/plans.ts";

const test = suite("host/observe");
const real = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().replaceAll("-", "");

const cases = [
  {
    name: "the unit's BOOT_ID is taken",
    env: { BOOT_ID: "0123456789abcdef0123456789ABCDEF" },
    bootId: "0123456789abcdef0123456789abcdef",
  },
  {
    name: "a BOOT_ID with dashes is the same boot",
    env: { BOOT_ID: "01234567-89ab-cdef-0123-456789abcdef" },
    bootId: "0123456789abcdef0123456789abcdef",
  },
  { name: "without BOOT_ID the kernel is asked", env: {}, bootId: real },
  { name: "a BOOT_ID that is none gives no boot id", env: { BOOT_ID: "%b" }, bootId: undefined },
];
for (const { name, env, bootId } of cases) {
  test(name, () => {
    assert.equal(observeBoot("/", env).bootId, bootId);
  });
}

test("the host's name is lower-cased and SELinux is looked for under the root", () => {
  using site = makeRoot();
  const before = observeBoot(site.root, {});
  assert.equal(before.hostName, before.hostName.toLowerCase());
  assert.equal(before.seLinux, false);
  mkdirSync(join(site.root, "sys/fs/selinux"), { recursive: true });
  writeFileSync(join(site.root, "sys/fs/selinux/enforce"), "0");
  assert.equal(observeBoot(site.root, {}).seLinux, true);
});

test("owners can be given only with CAP_CHOWN", () => {
  const digits =
    /CapEff:\s*([0-9a-f]+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  assert.equal(observeBoot("/", {}).canOwn, BigInt(`0x${digits}`) % 2n === 1n);
});

test.run();
