import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { ourDropIn, planDropIn, writeCrioPins } from "../../src/runtime/crio.ts";

const crio = suite("runtime/crio");

const wanted = { ids: [], names: ["quay.io/etcd@sha256:1", "app:1"] };
const main = "/etc/crio/crio.conf";
const dropIn = (name: string) => `/etc/crio/crio.conf.d/${name}`;

function pinnedBy(files: Parameters<typeof planDropIn>[0]): readonly string[] | string {
  const plan = planDropIn(files, wanted);
  return plan.kind === "problem"
    ? plan.problem
    : [...(plan.text ?? "").matchAll(/^ {2}"(.*)",$/gm)].map(([, name = ""]) => name);
}

const ours = ["app:1", "quay.io/etcd@sha256:1"];

const cases = [
  { name: "nothing else is pinned", files: [], pinned: ours },
  {
    name: "the file that is read last counts for what others have pinned",
    files: [
      { name: main, text: '[crio.image]\npinned_images = ["old:1"]\n' },
      { name: dropIn("10-a.conf"), text: '[crio.image]\npinned_images = [\n  "pause:3.10",\n]\n' },
    ],
    pinned: ["app:1", "pause:3.10", "quay.io/etcd@sha256:1"],
  },
  {
    name: "single quotes and a dotted key are TOML too",
    files: [{ name: main, text: "crio.image.pinned_images = ['pause:3.10', 'b:*']" }],
    pinned: ["app:1", "b:*", "pause:3.10", "quay.io/etcd@sha256:1"],
  },
  {
    name: "what is commented out is not pinned",
    files: [{ name: main, text: '# pinned_images = [\n#   "no:1",\n# ]\n' }],
    pinned: ours,
  },
  {
    name: "an empty list",
    files: [{ name: main, text: "[crio.image]\npinned_images = [\n]\n" }],
    pinned: ours,
  },
];

for (const { name, files, pinned } of cases) {
  crio(name, () => assert.deepEqual(pinnedBy(files), pinned));
}

crio("a list that cannot be understood is not overwritten", () => {
  const text = 'pinned_images = ["a\\u0062"]';
  assert.match(String(pinnedBy([{ name: main, text }])), /crio\.conf cannot be understood/);
});

crio("a list that is read after ours is told of", () => {
  const name = dropIn("zz.conf");
  const plan = pinnedBy([{ name, text: "[crio.image]\npinned_images = []" }]);
  assert.match(String(plan), /zz\.conf is read last/);
});

crio("the drop-in is written once, made anew for others, and taken away", () => {
  const root = mkdtempSync(join(tmpdir(), "crio-"));
  try {
    assert.equal(writeCrioPins(root, { ids: [], names: [] }).kind, "unchanged");
    assert.equal(writeCrioPins(root, wanted).kind, "failed");
    const dir = join(root, dropIn(""));
    const file = join(dir, ourDropIn);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "10-a.conf"), '[crio.image]\npinned_images = ["pause:3.10"]\n');
    assert.equal(writeCrioPins(root, wanted).kind, "written");
    assert.match(readFileSync(file, "utf8"), /\[crio\.image\]\npinned_images = \[\n {2}"app:1",/);
    assert.match(readFileSync(file, "utf8"), /"pause:3\.10"/);
    assert.equal(writeCrioPins(root, wanted).kind, "unchanged");
    assert.equal(writeCrioPins(root, { ids: [], names: ["b:1"] }).kind, "written");
    assert.doesNotMatch(readFileSync(file, "utf8"), /app:1/);
    assert.equal(writeCrioPins(root, { ids: [], names: [] }).kind, "written");
    assert.equal(existsSync(file), false);
  } finally {
    rmSync(root, { recursive: true });
  }
});

crio.run();
