import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { cleanEnvironment } from "../../scripts/install.mjs";
import { parseMarks } from "../../src/model/marks.ts";
import { type BadInput, coldBoot } from "./bad-input/bad-input.ts";
import { commandCases } from "./bad-input/command-cases.ts";
import { keyCases } from "./bad-input/key-cases.ts";
import { objectCases } from "./bad-input/object-cases.ts";
import { storeCases } from "./bad-input/store-cases.ts";
import {
  accessCases,
  diskCases,
  strace,
  targetCases,
  tracedCases,
} from "./bad-input/target-cases.ts";
import { assertFails, assertWellSaid, blackstart, describe, run, succeed } from "./executable.ts";
import { bareNode, disk, memory, type NodeRoot, nodeWithStore } from "./node-root.ts";
import { marker, podLink } from "./objects.ts";

const test = suite("bad input");

const hasFaketime = spawnSync("faketime", ["1970-01-01 00:00:10", "true"]).status === 0;
const needsFaketime = [87, 88];

const cases: readonly BadInput[] = [
  ...storeCases,
  ...keyCases,
  ...objectCases,
  ...targetCases,
  ...accessCases,
  ...tracedCases,
  ...diskCases,
  ...commandCases,
];

/** Cases that are met elsewhere, and where. */
const elsewhere: Readonly<Record<number, string>> = {
  47: "rotation of the key comes with `key rotate`; `key init` is one commit point",
  78: "test/root/bad-input.test.ts: swap is the machine's",
  79: "test/root/bad-input.test.ts: a tmpfs of its own must be mounted",
  92: "test/root/bad-input.test.ts: the root directory itself is meant",
  93: "test/end-to-end/bad-cluster.test.ts",
  94: "test/end-to-end/bad-cluster.test.ts",
  95: "test/end-to-end/bad-cluster.test.ts; at restore test/kube/probe.test.ts",
  96: "test/end-to-end/live-capture.test.ts",
  98: "below; of a live capture test/end-to-end/live-capture.test.ts",
  99: "below; of a live capture test/end-to-end/live-capture.test.ts",
};

test("every case of the catalogue is met here or elsewhere, none twice", () => {
  const here = new Set(cases.map((one) => one.case));
  for (let number = 1; number <= 100; number += 1) {
    assert.notEqual(here.has(number), Object.hasOwn(elsewhere, number), `case ${number}`);
  }
});

for (const one of cases) {
  const lacking = lackOf(one);
  if (lacking === undefined) {
    test(`case ${one.case}: ${one.name}`, () => meet(one));
  } else {
    console.log(`SKIPPED case ${one.case}: ${one.name}: ${lacking}`);
  }
}

/** What this machine does not have for a case. */
function lackOf(one: BadInput): string | undefined {
  if (memory === undefined) {
    return "no tmpfs is writable";
  }
  if (needsFaketime.includes(one.case) && !hasFaketime) {
    return "libfaketime is not installed";
  }
  if (tracedCases.includes(one) && strace === undefined) {
    return "strace is not installed or may not trace";
  }
  return one.on === "disk" && disk === undefined ? "no disk is writable" : undefined;
}

/** Lets the program meet the bad input, and proves what it said and what is left. */
function meet(one: BadInput): void {
  using node = one.on === "bare" ? bareNode() : nodeWithStore(one.on === "disk" ? disk : memory);
  const options = one.given?.(node);
  const before = sealed(node);
  const { words = coldBoot } = one;
  const line = typeof words === "function" ? words(node) : words;
  const result = run(
    [...line, "--root", node.root],
    typeof options === "object" ? { ...options } : {},
  );
  const said = describe(result);
  const output = result.stdout + result.stderr;
  if (one.isSaid === true) {
    assertWellSaid(result);
    assert.equal(result.status, one.exit, said);
    assert.ok(!result.stderr.includes("blackstart: E_"), said);
    assert.ok(output.includes(one.code), `expected ${one.code}: ${said}`);
  } else {
    assertFails(result, one.code, one.exit);
  }
  assert.ok(one.says?.test(output) ?? true, `expected ${one.says}: ${said}`);
  assert.ok(!output.includes(marker), `a secret value is told: ${said}`);
  for (const [name, what] of one.mayFree === true ? [...before].slice(-1) : before) {
    assert.equal(sealed(node).get(name), what, `${name} has changed: ${said}`);
  }
  if (one.restores !== undefined) {
    assert.equal(restored(node), String(one.restores), said);
  }
  one.after?.(node, output);
  const opens = "opens" in one || one.on === "bare" ? one.opens : 1;
  if (opens !== undefined && before.has(`gen-${String(opens).padStart(20, "0")}.jwe`)) {
    succeed(["show", "web", "--generation", String(opens), "--root", node.root]);
  }
}

/** Each generation as it lies there: a digest of its bytes, or its kind. */
function sealed({ store }: NodeRoot): ReadonlyMap<string, string> {
  let names: readonly string[] = [];
  try {
    names = readdirSync(store)
      .filter((name) => name.startsWith("gen-"))
      .sort();
  } catch {
    // There is no store.
  }
  return new Map(
    names.map((name) => {
      const file = join(store, name);
      const stats = lstatSync(file);
      const isReadable = stats.isFile() && stats.size < 1_048_576 && (stats.mode & 0o400) !== 0;
      const digest = isReadable
        ? createHash("sha256").update(readFileSync(file)).digest("hex")
        : "";
      return [name, `${stats.mode} ${stats.ino} ${stats.size} ${digest}`];
    }),
  );
}

/** The generation of the manifest that the kubelet sees. */
function restored({ manifests }: NodeRoot): string | undefined {
  return parseMarks(readFileSync(join(manifests, podLink), "utf8"))?.generation;
}

const spoken = ["status", "verify", "show web", "restore --force", "restore --force --dry-run"];

for (const line of spoken) {
  test(`case 98: the reader of ${line} goes away: it ends quietly, and what is to be done is done`, () => {
    if (memory === undefined) {
      console.log("SKIPPED case 98: no tmpfs is writable");
      return;
    }
    using node = nodeWithStore();
    for (const closing of ["| true", "| head -c 0", ">&-"]) {
      const script = `{ sleep 0.1; "$0" "$@"; echo "exit $?" >&2; } ${closing}`;
      const words = [...line.split(" "), "-o", "json", "--root", node.root];
      const { stderr } = spawnSync("bash", ["-c", script, blackstart, ...words], {
        env: cleanEnvironment(),
        encoding: "utf8",
      });
      assert.match(stderr, /(^|\n)exit 0\n$/, `${closing}: ${stderr}`);
      assert.doesNotMatch(stderr, /blackstart: |EPIPE|EBADF/, stderr);
    }
    if (line === "restore --force") {
      assert.equal(restored(node), "2");
    }
  });
}

test("case 99: SIGTERM ends a run with 143 for the shell, and the next one does everything", () => {
  if (memory === undefined) {
    console.log("SKIPPED case 99: no tmpfs is writable");
    return;
  }
  using node = nodeWithStore();
  // It waits for the pipe's end: this shell holds it open.
  const script = `mkfifo "$1"; exec 3<>"$1"
    "$0" capture --from "$1" --root "$2" & sleep 0.5; kill $!; wait $!; echo "exit $?"`;
  const { stdout, stderr } = spawnSync(
    "bash",
    ["-c", script, blackstart, node.at("pipe"), node.root],
    {
      env: cleanEnvironment(),
      encoding: "utf8",
    },
  );
  assert.deepEqual([stdout, stderr.includes("blackstart:")], ["exit 143\n", false]);
  succeed([...coldBoot, "--root", node.root]);
  assert.equal(restored(node), "2");
});

test.run();
