import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { Failure } from "../../src/errors.ts";
import type { Applied } from "../../src/model/outcome.ts";
import type { RestorePlan } from "../../src/model/plan.ts";
import { type ApplyOptions, applyPlan, writeTree } from "../../src/project/project.ts";
import { makeRoot, planOf, podPlan } from "./plans.ts";

const test = suite("project/project");
const links = "etc/kubernetes/manifests";
const run = "run/blackstart";

function apply(root: string, plan: RestorePlan, options: Partial<ApplyOptions> = {}): Applied {
  return applyPlan(plan, {
    root,
    staticPodDir: "/etc/kubernetes/manifests",
    runDir: "/run/blackstart",
    memory: { path: root, kind: "tmpfs", noswap: true, capBytes: Infinity, warnings: [] },
    canOwn: process.getuid?.() === 0,
    seLinux: false,
    prune: false,
    ...options,
  });
}

function kinds(applied: Applied): string[] {
  return applied.outcomes.map((outcome) =>
    outcome.kind === "failed" ? outcome.failure.code : outcome.kind,
  );
}

/** Every path with its inode, mtime and mode. */
function listing(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .sort()
    .map((path) => {
      const { ino, mtimeMs, mode } = lstatSync(join(dir, path));
      return `${path} ${ino} ${mtimeMs} ${mode.toString(8)}`;
    });
}

const etcd = podPlan("kube-system", "etcd", {
  certs: { files: { "ca.crt": "CA", "tls/server.key": "KEY" }, mode: 0o400 },
  conf: { files: { conf: "x" }, top: 0o1777, mountPoints: ["nested", "nested/deep"] },
});
const proxy = podPlan("kube-system", "proxy", { token: { files: { token: "T" }, mode: 0o600 } });

test("a plan's pods become volumes, manifests and links that lead to them", () => {
  using site = makeRoot();
  const { root } = site;
  assert.deepEqual(kinds(apply(root, planOf(etcd, proxy))), ["projected", "projected"]);
  const certs = join(root, run, "pods/kube-system_etcd/certs");
  assert.equal(readFileSync(join(certs, "ca.crt"), "utf8"), "CA");
  assert.equal(readFileSync(join(certs, "tls/server.key"), "utf8"), "KEY");
  assert.equal(readlinkSync(join(certs, "ca.crt")), "..data/ca.crt");
  assert.equal(lstatSync(realpathSync(join(certs, "ca.crt"))).mode & 0o7777, 0o400);
  assert.equal(lstatSync(certs).mode & 0o7777, 0o777);
  assert.equal(lstatSync(join(root, run, "pods/kube-system_etcd/conf")).mode & 0o7777, 0o1777);
  assert.ok(lstatSync(join(root, run, "pods/kube-system_etcd/conf/nested/deep")).isDirectory());
  for (const pod of [etcd, proxy]) {
    const link = join(root, links, pod.manifest.linkName);
    assert.equal(readFileSync(link, "utf8"), pod.manifest.text);
    assert.equal(lstatSync(realpathSync(link)).mode & 0o7777, 0o600);
    assert.equal(readlinkSync(link), `../../..${pod.manifest.file}`);
  }
  for (const dir of ["pods", "pods/kube-system_etcd", "manifests"]) {
    assert.equal(lstatSync(join(root, run, dir)).mode & 0o7777, 0o700);
  }
});

test("a second run changes nothing and says so", () => {
  using site = makeRoot();
  apply(site.root, planOf(etcd, proxy));
  const before = listing(site.root);
  assert.deepEqual(kinds(apply(site.root, planOf(etcd, proxy))), ["unchanged", "unchanged"]);
  assert.deepEqual(listing(site.root), before);
});

test("another name for the same timestamped directory is no change", () => {
  using site = makeRoot();
  apply(site.root, planOf(podPlan("a", "b", { v: { files: { k: "1" } } })));
  const before = listing(site.root);
  const later = podPlan("a", "b", { v: { files: { k: "1" }, stamp: "..2027_01_01_00_00_00.1" } });
  assert.deepEqual(kinds(apply(site.root, planOf(later))), ["unchanged"]);
  assert.deepEqual(listing(site.root), before);
});

const changes = [
  { name: "bytes", to: { files: { k: "2", gone: "x" } } },
  {
    name: "bytes of the same length under another timestamp",
    to: { files: { k: "2", gone: "x" }, stamp: "..2027.1" },
  },
  { name: "a mode", to: { files: { k: "1", gone: "x" }, mode: 0o600 } },
  { name: "a new key", to: { files: { k: "1", gone: "x", new: "n" } } },
  { name: "a removed key", to: { files: { k: "1" } } },
  { name: "a mount point", to: { files: { k: "1", gone: "x" }, mountPoints: ["m", "m/n"] } },
  { name: "a key that becomes a mount point", to: { files: { k: "1" }, mountPoints: ["gone"] } },
  { name: "a key that becomes a directory", to: { files: { "k/a": "1", gone: "x" } } },
  { name: "the mode of the volume", to: { files: { k: "1", gone: "x" }, top: 0o1777 } },
];
for (const { name, to } of changes) {
  test(`${name} that changed is updated inside of the same directory`, () => {
    using site = makeRoot();
    using fresh = makeRoot();
    apply(site.root, planOf(podPlan("a", "b", { v: { files: { k: "1", gone: "x" } } })));
    const volume = join(site.root, run, "pods/a_b/v");
    const { ino } = lstatSync(volume);
    const plan = planOf(podPlan("a", "b", { v: to }));
    assert.deepEqual(kinds(apply(site.root, plan)), ["updated"]);
    assert.equal(lstatSync(volume).ino, ino);
    apply(fresh.root, plan);
    assert.deepEqual(contents(volume), contents(join(fresh.root, run, "pods/a_b/v")));
    assert.deepEqual(kinds(apply(site.root, plan)), ["unchanged"]);
    assert.deepEqual(readdirSync(join(site.root, run, "pods/a_b")), ["v"]);
  });
}

/** Visible names → kind, mode and text, without what is named after a time. */
function contents(volume: string): string[] {
  const names = readdirSync(volume, { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => !/^\.\.2/.test(name))
    .sort()
    .map((name) => {
      const stat = lstatSync(join(volume, name));
      const real = realpathSync(join(volume, name));
      const text = lstatSync(real).isFile() ? readFileSync(real, "utf8") : readdirSync(real).join();
      const modes = `${stat.mode.toString(8)} ${lstatSync(real).mode.toString(8)}`;
      return `${name} ${modes} ${text}`;
    })
    .concat(
      `. ${lstatSync(volume).mode.toString(8)} ${names.filter((n) => /^\.\.2[^/]*$/.test(n)).length}`,
    );
}

test("a leftover ..data_tmp and an unknown file are removed from a volume", () => {
  using site = makeRoot();
  apply(site.root, planOf(proxy));
  const volume = join(site.root, run, "pods/kube-system_proxy/token");
  symlinkSync("..nowhere", join(volume, "..data_tmp"));
  writeFileSync(join(volume, "extra"), "");
  assert.deepEqual(kinds(apply(site.root, planOf(proxy))), ["updated"]);
  assert.deepEqual(
    readdirSync(volume)
      .filter((name) => !name.startsWith("..2"))
      .sort(),
    ["..data", "token"],
  );
});

test("a changed manifest is rewritten and its link stays", () => {
  using site = makeRoot();
  apply(site.root, planOf(proxy));
  const link = join(site.root, links, proxy.manifest.linkName);
  const { ino } = lstatSync(link);
  const changed = podPlan(
    "kube-system",
    "proxy",
    { token: { files: { token: "T" }, mode: 0o600 } },
    "new",
  );
  assert.deepEqual(kinds(apply(site.root, planOf(changed))), ["updated"]);
  assert.equal(lstatSync(link).ino, ino);
  assert.equal(readFileSync(link, "utf8"), changed.manifest.text);
});

test("a + b-c and a-b + c are two pods", () => {
  using site = makeRoot();
  const plan = planOf(
    podPlan("a", "b-c", { v: { files: { k: "1" } } }),
    podPlan("a-b", "c", { v: { files: { k: "2" } } }),
  );
  assert.deepEqual(kinds(apply(site.root, plan)), ["projected", "projected"]);
  assert.equal(readFileSync(join(site.root, run, "pods/a_b-c/v/k"), "utf8"), "1");
  assert.equal(readFileSync(join(site.root, run, "pods/a-b_c/v/k"), "utf8"), "2");
});

const foreign = [
  { name: "a regular file", make: (path: string) => writeFileSync(path, "theirs") },
  { name: "a link elsewhere", make: (path: string) => symlinkSync("/etc/passwd", path) },
  { name: "a directory", make: (path: string) => mkdirSync(path) },
  {
    name: "a link to a file of ours that is not a manifest of ours",
    make: (path: string, root: string) => {
      mkdirSync(join(root, run, "manifests"), { mode: 0o700 });
      writeFileSync(join(root, run, "manifests/other.json"), "{}");
      symlinkSync("../../../run/blackstart/manifests/other.json", path);
    },
  },
];
for (const { name, make } of foreign) {
  test(`${name} with the link's name is never overwritten and fails only its pod`, () => {
    using site = makeRoot();
    const path = join(site.root, links, proxy.manifest.linkName);
    make(path, site.root);
    const before = listing(join(site.root, links));
    assert.deepEqual(kinds(apply(site.root, planOf(proxy))), ["E_FOREIGN"]);
    assert.deepEqual(listing(join(site.root, links)), before);
    assert.deepEqual(readdirSync(join(site.root, run, "pods")), []);
    assert.deepEqual(kinds(apply(site.root, planOf(proxy, etcd))), ["E_FOREIGN", "projected"]);
  });
}

test("foreign files and dot files in the manifest directory are never touched", () => {
  using site = makeRoot();
  const dir = join(site.root, links);
  writeFileSync(join(dir, "theirs.yaml"), "x");
  writeFileSync(join(dir, ".blackstart-file"), "x");
  writeFileSync(join(dir, ".swp"), "x");
  symlinkSync("/nowhere", join(dir, ".blackstart-link"));
  symlinkSync("/nowhere", join(dir, "dangling.yaml"));
  const before = listing(dir);
  apply(site.root, planOf(proxy), { prune: true });
  const ours = new Set([proxy.manifest.linkName]);
  assert.deepEqual(
    listing(dir).filter((line) => !ours.has(line.split(" ")[0] ?? "")),
    before,
  );
});

const unsafe = [
  {
    name: "a missing manifest directory",
    code: "E_MANIFEST_DIR",
    exit: 78,
    spoil: (dir: string) => rmSync(dir, { recursive: true }),
  },
  {
    name: "a manifest directory that is a file",
    code: "E_MANIFEST_DIR",
    exit: 78,
    spoil: (dir: string) => {
      rmSync(dir, { recursive: true });
      writeFileSync(dir, "{}");
    },
  },
  {
    name: "a manifest directory below a file",
    code: "E_MANIFEST_DIR",
    exit: 78,
    spoil: (dir: string) => {
      rmSync(join(dir, ".."), { recursive: true });
      writeFileSync(join(dir, ".."), "");
    },
  },
  {
    name: "a manifest directory that is a symlink",
    code: "E_MANIFEST_DIR_UNSAFE",
    exit: 77,
    spoil: (dir: string) => {
      renameSync(dir, `${dir}.real`);
      symlinkSync("manifests.real", dir);
    },
  },
  {
    name: "a manifest directory that the group may write",
    code: "E_MANIFEST_DIR_UNSAFE",
    exit: 77,
    spoil: (dir: string) => chmodSync(dir, 0o775),
  },
  {
    name: "a manifest directory that everybody may write",
    code: "E_MANIFEST_DIR_UNSAFE",
    exit: 77,
    spoil: (dir: string) => chmodSync(dir, 0o1777),
  },
];
for (const { name, code, exit, spoil } of unsafe) {
  test(`${name} ends the run before anything secret is written`, () => {
    using site = makeRoot();
    spoil(join(site.root, links));
    assert.throws(
      () => apply(site.root, planOf(proxy)),
      (error) => error instanceof Failure && error.code === code && error.exit === exit,
    );
    assert.deepEqual(readdirSync(join(site.root, run)), []);
  });
}

test("a run directory that others may write is refused", () => {
  using site = makeRoot();
  chmodSync(join(site.root, run), 0o777);
  assert.throws(() => apply(site.root, planOf(proxy)), { code: "E_PERMS" });
});

const races = [
  { name: "the directory of all pods", at: "pods", all: true },
  { name: "a pod's directory", at: "pods/kube-system_proxy", all: false },
  { name: "a volume", at: "pods/kube-system_proxy/token", all: false },
];
for (const { name, at, all } of races) {
  test(`a symlink in place of ${name} leads no write elsewhere`, () => {
    using site = makeRoot();
    const outside = join(site.root, "outside");
    mkdirSync(outside);
    mkdirSync(join(site.root, run, at, ".."), { recursive: true, mode: 0o700 });
    symlinkSync(outside, join(site.root, run, at));
    if (all) {
      assert.throws(() => apply(site.root, planOf(proxy)), { code: "E_RACE" });
    } else {
      assert.deepEqual(kinds(apply(site.root, planOf(proxy, etcd))), ["E_RACE", "projected"]);
      assert.equal(existsSync(join(site.root, links, proxy.manifest.linkName)), false);
    }
    assert.deepEqual(readdirSync(outside), []);
  });
}

const escapes = ["../x", "/x", "a/../../x", "a//b", "a/./b", ".."];
for (const path of escapes) {
  test(`an entry ${path} is refused, and nothing of its pod is left`, () => {
    using site = makeRoot();
    const bad = podPlan("a", "b", { v: { files: { k: "1" } } });
    const volumes = bad.volumes.map((volume) => ({
      ...volume,
      entries: [...volume.entries, { kind: "link", path, target: "x", uid: 0, gid: 0 } as const],
    }));
    assert.deepEqual(kinds(apply(site.root, planOf({ ...bad, volumes }, proxy))), [
      "E_PATH_ITEM",
      "projected",
    ]);
    assert.equal(existsSync(join(site.root, run, "pods/a_b")), false);
    assert.equal(existsSync(join(site.root, run, "manifests/a_b.json")), false);
    assert.deepEqual(readdirSync(join(site.root, run)).sort(), ["manifests", "pods"]);
  });
}

test("a pod that fails halfway is removed whole, and the next one goes on", () => {
  using site = makeRoot();
  const broken = podPlan("a", "b", {
    good: { files: { k: "1" } },
    bad: { files: { ["x".repeat(256)]: "1" } },
  });
  assert.deepEqual(kinds(apply(site.root, planOf(broken, proxy))), ["E_IO", "projected"]);
  assert.deepEqual(readdirSync(join(site.root, run, "pods")), ["kube-system_proxy"]);
  assert.deepEqual(readdirSync(join(site.root, links)), [proxy.manifest.linkName]);
});

test("a pod that stood before and cannot be updated stays as it was", () => {
  using site = makeRoot();
  const good = podPlan("a", "b", { v: { files: { k: "1" } }, w: { files: { k: "1" } } });
  apply(site.root, planOf(good));
  const before = listing(site.root).filter((line) => !line.startsWith("run/blackstart/pods/a_b "));
  const broken = podPlan("a", "b", {
    v: { files: { k: "2" } },
    w: { files: { ["x".repeat(256)]: "1" } },
  });
  const [outcome] = apply(site.root, planOf(broken)).outcomes;
  assert.ok(outcome?.kind === "failed" && outcome.kept);
  const after = listing(site.root).filter((line) => !line.startsWith("run/blackstart/pods/a_b "));
  assert.deepEqual(after, before);
});

test("a link that dangles since a power cut is used again", () => {
  using site = makeRoot();
  apply(site.root, planOf(proxy));
  rmSync(join(site.root, run), { recursive: true });
  mkdirSync(join(site.root, run), { mode: 0o700 });
  const { ino } = lstatSync(join(site.root, links, proxy.manifest.linkName));
  assert.deepEqual(kinds(apply(site.root, planOf(proxy))), ["projected"]);
  assert.equal(lstatSync(join(site.root, links, proxy.manifest.linkName)).ino, ino);
});

test("a link of ours with an absolute target is made relative under another root", () => {
  using site = makeRoot();
  apply(site.root, planOf(proxy));
  const link = join(site.root, links, proxy.manifest.linkName);
  rmSync(link);
  symlinkSync(proxy.manifest.file, link);
  assert.deepEqual(kinds(apply(site.root, planOf(proxy))), ["updated"]);
  assert.equal(readlinkSync(link), `../../..${proxy.manifest.file}`);
});

test("what killed runs leave under hidden names is removed by the next run", () => {
  using site = makeRoot();
  const { root } = site;
  apply(root, planOf(etcd));
  const left = [
    join(root, run, "manifests/.blackstart-new"),
    join(root, run, "pods/.blackstart-gone/v/a"),
    join(root, run, "pods/kube-system_etcd/.blackstart-0/..x/a"),
    join(root, run, "pods/kube-system_etcd/.blackstart-0-old/0"),
    join(root, run, "pods/kube-system_old/.blackstart-1/a"),
  ];
  for (const path of left) {
    mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
    writeFileSync(path, "secret");
  }
  symlinkSync("../../../run/blackstart/manifests/x.json", join(root, links, ".blackstart-new"));
  assert.deepEqual(kinds(apply(root, planOf(etcd))), ["unchanged"]);
  const rest = readdirSync(root, { recursive: true, encoding: "utf8" });
  assert.deepEqual(
    rest.filter((path) => path.includes(".blackstart")),
    [],
  );
});

test("volumes without a manifest, left by a killed run, are completed", () => {
  using site = makeRoot();
  apply(site.root, planOf(etcd));
  rmSync(join(site.root, links, etcd.manifest.linkName));
  rmSync(join(site.root, etcd.manifest.file));
  rmSync(join(site.root, run, "pods/kube-system_etcd/certs/..data"));
  rmSync(join(site.root, run, "pods/kube-system_etcd/conf"), { recursive: true });
  assert.deepEqual(kinds(apply(site.root, planOf(etcd))), ["projected"]);
  assert.deepEqual(kinds(apply(site.root, planOf(etcd))), ["unchanged"]);
});

test("pods that the plan does not have stay, unless they are pruned", () => {
  using site = makeRoot();
  const { root } = site;
  apply(root, planOf(etcd, proxy));
  assert.deepEqual(apply(root, planOf(etcd)).removed, []);
  assert.ok(existsSync(join(root, links, proxy.manifest.linkName)));
  assert.deepEqual(apply(root, planOf(etcd), { prune: true }).removed, [
    `/etc/kubernetes/manifests/${proxy.manifest.linkName}`,
    proxy.manifest.file,
    "/run/blackstart/pods/kube-system_proxy",
  ]);
  assert.deepEqual(readdirSync(join(root, links)), [etcd.manifest.linkName]);
  assert.deepEqual(readdirSync(join(root, run, "pods")), ["kube-system_etcd"]);
  const less = { ...etcd, volumes: etcd.volumes.slice(1) };
  assert.deepEqual(apply(root, planOf(less), { prune: true }).removed, [
    "/run/blackstart/pods/kube-system_etcd/certs",
  ]);
});

test("owners that cannot be applied are listed, and counted in one warning for each pod", () => {
  using site = makeRoot();
  const owned = podPlan("a", "b", { v: { files: { k: "1", l: "2" }, uid: 12345 } });
  const applied = apply(site.root, planOf(owned, proxy), { canOwn: false });
  assert.deepEqual(kinds(applied), ["projected", "projected"]);
  assert.deepEqual(
    applied.unapplied.map(({ path, uid }) => [path.replace(/\/\.\.2[^/]*/, ""), uid]),
    [
      ["/run/blackstart/pods/a_b/v/k", 12345],
      ["/run/blackstart/pods/a_b/v/l", 12345],
    ],
  );
  assert.deepEqual(
    applied.warnings.map(({ code, name }) => [code, name]),
    [["W_OWNER", "b"]],
  );
  assert.deepEqual(kinds(apply(site.root, planOf(owned), { canOwn: false })), ["unchanged"]);
});

test("a node's own root demands CAP_CHOWN", () => {
  assert.throws(() => apply("/", planOf(), { canOwn: false }), { code: "E_PERMS" });
});

test("more than the cap of a ramfs is refused pod by pod", () => {
  using site = makeRoot();
  const memory = { path: "", kind: "ramfs", noswap: true, capBytes: 10_000, warnings: [] } as const;
  const big = podPlan("a", "big", { v: { files: { k: "x".repeat(9000) } } });
  const last = podPlan("a", "last", { v: { files: { k: "1" } } });
  const applied = apply(site.root, planOf(big, proxy, last), { memory });
  assert.deepEqual(kinds(applied), ["E_NOSPACE_TMPFS", "projected", "E_NOSPACE_TMPFS"]);
  assert.deepEqual(readdirSync(join(site.root, run, "pods")), ["kube-system_proxy"]);
});

test("render writes the same trees and manifests, and no link", () => {
  using site = makeRoot();
  using other = makeRoot();
  const out = join(site.root, "new/out");
  const canOwn = process.getuid?.() === 0;
  assert.deepEqual(kinds(writeTree(planOf(etcd, proxy), out, "/run/blackstart", canOwn)), [
    "projected",
    "projected",
  ]);
  apply(other.root, planOf(etcd, proxy));
  const names = (dir: string) => readdirSync(dir, { recursive: true, encoding: "utf8" }).sort();
  assert.deepEqual(names(join(out, run)), names(join(other.root, run)));
  assert.equal(lstatSync(out).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(out), ["run"]);
  assert.deepEqual(kinds(writeTree(planOf(etcd), out, "/run/blackstart", canOwn)), ["unchanged"]);
});

test("a path as deep as the kubelet allows is written, compared and removed", () => {
  using site = makeRoot();
  const deep = Array.from({ length: 1900 }, () => "d").join("/");
  const plan = planOf(podPlan("a", "b", { v: { files: { [deep]: "1" } } }));
  assert.deepEqual(kinds(apply(site.root, plan)), ["projected"]);
  assert.deepEqual(kinds(apply(site.root, plan)), ["unchanged"]);
  assert.equal(apply(site.root, planOf(), { prune: true }).removed.length, 3);
  assert.deepEqual(readdirSync(join(site.root, run, "pods")), []);
});

test.run();
