import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { isMemory, makeRoot, type Sketch } from "../project/plans.ts";
import { drive, missingPrivilege, shell } from "./project-namespace.ts";

const test = suite("project-volumes");
const why = missingPrivilege() ?? (isMemory("/dev/shm") ? undefined : "/dev/shm is not a tmpfs");

const sketch: Sketch = {
  files: { "tls/key": "KEY", crt: "CRT" },
  mode: 0o440,
  uid: 1000,
  gid: 2000,
  top: 0o3777,
  mountPoints: ["nested"],
};
const chownOnly = ["setpriv", "--bounding-set", "-all,+chown", "--inh-caps", "-all"];

const runs = [
  { name: "all capabilities", prefix: [], again: "unchanged" },
  // Without CAP_DAC_OVERRIDE the first run's files cannot be read, so they are written anew.
  { name: "only CAP_CHOWN", prefix: chownOnly, again: "updated" },
];

if (why !== undefined) {
  test("volumes", () => console.log(`SKIPPED owners, full tmpfs, bind mounts: ${why}`));
} else {
  for (const { name, prefix, again } of runs) {
    test(`owners, setgid and sticky are as planned with ${name}`, () => {
      using site = makeRoot("/dev/shm");
      const order = { root: site.root, pods: [{ name: "b", volumes: { v: sketch } }] };
      const attributes = () => attributesOf(join(site.root, "run/blackstart/pods/a_b/v"));
      assert.deepEqual(drive("true", order, prefix).outcomes, ["projected"]);
      assert.deepEqual(attributes(), expected);
      assert.deepEqual(drive("true", order, prefix).outcomes, [again]);
      assert.deepEqual(attributes(), expected);
      const changed = { ...sketch, top: 0o2777, files: { ...sketch.files, crt: "NEW" } };
      const update = { root: site.root, pods: [{ name: "b", volumes: { v: changed } }] };
      assert.deepEqual(drive("true", update, prefix).outcomes, ["updated"]);
      assert.deepEqual(attributes(), { ...expected, ".": "2777 0 2000" });
    });
  }

  test("directories that only their new owner may enter are filled before", () => {
    using site = makeRoot("/dev/shm");
    const closed: Sketch = { files: { "a/b/c": "1" }, dirUid: 1000, top: 0o700 };
    const order = { root: site.root, pods: [{ name: "b", volumes: { v: closed } }] };
    assert.deepEqual(drive("true", order, chownOnly).outcomes, ["projected"]);
    assert.equal(lstatSync(join(site.root, "run/blackstart/pods/a_b/v")).uid, 1000);
  });

  test("a setgid bit that the kernel drops silently fails the pod", () => {
    using site = makeRoot("/dev/shm");
    shell(`chown -R 65534:2000 ${site.root}; chmod g+s ${site.root}/run/blackstart`);
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const order = (top: number) => ({
      root: site.root,
      pods: [{ name: "b", volumes: { v: { files: { k: "1" }, top } } }],
    });
    assert.deepEqual(drive("true", order(0o777), nobody).outcomes, ["projected"]);
    assert.deepEqual(drive("true", order(0o2777), nobody).outcomes, ["E_PERMS"]);
    assert.deepEqual(readdirSync(join(site.root, "etc/kubernetes/manifests")), []);
  });

  test("an update shows the new timestamped directory, then swaps ..data, then removes the old one", () => {
    if (spawnSync("strace", ["-V"]).status !== 0) {
      console.log("SKIPPED the order of renames: no strace");
      return;
    }
    using site = makeRoot("/dev/shm");
    const order = (files: Sketch["files"]) => ({
      root: site.root,
      pods: [{ name: "b", volumes: { v: { files } } }],
    });
    const log = join(site.root, "calls");
    drive("true", order({ k: "1", old: "1" }));
    drive("true", order({ k: "2", new: "2" }), ["strace", "-f", "-o", log, "-e", "trace=rename"]);
    const names = shell(
      `sed -nE 's,.*rename\\(".*/([^/]*)"\\, ".*/([^/]*)"\\).*,\\1 \\2,p' ${log}`,
    );
    const dated = "..2026_11_22_08_22_18.123456789";
    assert.deepEqual(names.trim().split("\n"), [
      `${dated}-1 ${dated}-1`,
      "..data ..data",
      "new new",
      "old 0",
      `${dated} 1`,
    ]);
  });

  test("no byte is written before the file has its mode and owner", () => {
    if (spawnSync("strace", ["-V"]).status !== 0) {
      console.log("SKIPPED the order of system calls: no strace");
      return;
    }
    using site = makeRoot("/dev/shm");
    const log = join(site.root, "calls");
    const order = { root: site.root, pods: [{ name: "b", volumes: { v: sketch } }] };
    drive("true", order, [
      "strace",
      "-f",
      "-o",
      log,
      "-e",
      "trace=openat,fchmod,fchown,write,close",
    ]);
    const calls = shell(`sed 's/^[0-9]* *//' ${log}`).split("\n");
    const opened = calls.flatMap((call, index) => (/\/key", .*O_EXCL/.test(call) ? [index] : []));
    assert.equal(opened.length, 1);
    const next = calls
      .slice(opened[0], (opened[0] ?? 0) + 5)
      .map((call) => call.replace(/\(.*/, ""));
    assert.deepEqual(next, ["openat", "fchmod", "fchown", "write", "close"]);
    assert.match(calls[opened[0] ?? 0] ?? "", /O_NOFOLLOW.*0600\)/);
  });

  test("on a host with SELinux the written volumes are labelled before the pod is shown", () => {
    using site = makeRoot("/dev/shm");
    const { root } = site;
    const link = `${root}/etc/kubernetes/manifests/blackstart_a_b.json`;
    const spy = `#!/bin/sh\necho "$@" >${root}/asked; ls ${link} >>${root}/asked 2>&1 || echo hidden >>${root}/asked\n`;
    writeFileSync(join(root, "chcon"), spy, { mode: 0o755 });
    mkdirSync(join(root, "sys/fs/selinux"), { recursive: true });
    writeFileSync(join(root, "sys/fs/selinux/enforce"), "1");
    const order = { root, pods: [{ name: "b", volumes: { v: sketch } }] };
    const before = `mount --bind ${root}/chcon "$(readlink -f "$(command -v chcon)")"`;
    const answer = drive(before, order);
    assert.deepEqual([answer.outcomes, answer.warnings], [["projected"], []]);
    const [asked, ...state] = readFileSync(join(root, "asked"), "utf8").trim().split("\n");
    assert.equal(
      asked,
      `-h -R system_u:object_r:container_file_t:s0 -- ${root}/run/blackstart/pods/a_b/v`,
    );
    assert.equal(state.at(-1), "hidden");
  });

  const ladders = [
    { name: "bytes", options: (step: number) => `size=${step * 4}k`, steps: range(1, 10, 1) },
    { name: "inodes", options: (step: number) => `nr_inodes=${step}`, steps: range(1, 37, 2) },
  ];
  for (const { name, options, steps } of ladders) {
    for (const found of [false, true]) {
      test(`a tmpfs short of ${name} holds whole pods only${found ? ", when a pod's directory was there" : ""}`, () => {
        using site = makeRoot("/var/tmp");
        const seen = steps.map((step) => fill(site.root, options(step), found));
        for (const wanted of ["E_NOSPACE_TMPFS,E_NOSPACE_TMPFS", "projected,projected"]) {
          assert.ok(seen.includes(wanted), `${wanted} not among ${seen.join(" ")}`);
        }
      });
    }
  }

  test("a pod that no longer fits after a change stays as it was", () => {
    using site = makeRoot("/var/tmp");
    const mounted = join(site.root, "run/blackstart");
    mount("size=40k", mounted);
    try {
      const order = (text: string) => ({
        root: site.root,
        pods: [{ name: "b", volumes: { v: { files: { k: text } }, w: { files: { k: text } } } }],
      });
      assert.deepEqual(drive("true", order("1")).outcomes, ["projected"]);
      assert.deepEqual(drive("true", order("x".repeat(20_000))).outcomes, ["E_NOSPACE_TMPFS"]);
      assert.deepEqual(drive("true", order("1")).outcomes, ["unchanged"]);
      assert.deepEqual(readdirSync(join(mounted, "pods/a_b")), ["v", "w"]);
    } finally {
      shell(`umount ${mounted}`);
    }
  });

  test("a container's bind mount sees an update", () => {
    using site = makeRoot("/dev/shm");
    const seen = join(site.root, "container");
    mkdirSync(seen);
    const order = (text: string) => ({
      root: site.root,
      pods: [{ name: "b", volumes: { v: { files: { k: text, [text]: "" } } } }],
    });
    drive("true", order("old"));
    shell(`mount --bind -o ro ${site.root}/run/blackstart/pods/a_b/v ${seen}`);
    try {
      assert.deepEqual(drive("true", order("new")).outcomes, ["updated"]);
      assert.equal(shell(`cat ${seen}/k`), "new");
      assert.equal(shell(`ls ${seen}`), "k\nnew\n");
    } finally {
      shell(`umount ${seen}`);
    }
  });
}

function range(from: number, to: number, stride: number): number[] {
  return Array.from(
    { length: Math.floor((to - from) / stride) + 1 },
    (_, index) => from + index * stride,
  );
}

const mount = (options: string, dir: string): string =>
  shell(`mount -t tmpfs -o mode=0700,noswap,${options} x ${dir}`);

/** Projects a large and a small pod into a small tmpfs, checks that they are whole, and tells what happened. */
function fill(root: string, options: string, found: boolean): string {
  const mounted = join(root, "run/blackstart");
  mount(options, mounted);
  try {
    if (found) {
      spawnSync("mkdir", ["-p", "-m", "0700", join(mounted, "pods/a_big")]);
    }
    const texts = ["x", "y"].map((text) => text.repeat(9000));
    const big = {
      x: { files: { k: texts[0] ?? "" } },
      y: { files: { k: texts[1] ?? "", l: "1" } },
    };
    const pods = [
      { name: "big", volumes: big },
      { name: "small", volumes: { v: { files: { k: "1" } } } },
    ];
    const { thrown, outcomes, messages } = drive("true", { root, swap: "allow", pods });
    const told = thrown ?? outcomes.join();
    const left = readdirSync(mounted, { recursive: true, encoding: "utf8" });
    for (const [index, { name }] of pods.entries()) {
      const whole = outcomes[index] === "projected";
      const link = join(root, `etc/kubernetes/manifests/blackstart_a_${name}.json`);
      assert.equal(existsSync(link), whole, `${options}: ${told}`);
      const something = left.some((path) => path.startsWith(`pods/a_${name}/`));
      assert.equal(something, whole, `${options}: ${told}`);
    }
    const failed = [thrown, ...outcomes].filter((one) => one === "E_NOSPACE_TMPFS").length;
    const numbers = /needs \d+ bytes .* free are \d+ bytes/;
    assert.equal(messages.filter((message) => numbers.test(message)).length, failed);
    assert.equal(messages.length, failed);
    return told;
  } finally {
    shell(`umount ${mounted}; rm -f ${root}/etc/kubernetes/manifests/*`);
  }
}

const expected = {
  ".": "3777 0 2000",
  nested: "755 0 2000",
  "..data": "755 0 2000",
  "..data/tls": "755 0 2000",
  tls: "link 0 2000",
  crt: "link 0 2000",
  "..data/tls/key": "440 1000 2000",
  "..data/crt": "440 1000 2000",
};

function attributesOf(volume: string): Record<string, string> {
  return Object.fromEntries(
    Object.keys(expected).map((path) => {
      const real =
        path === "..data" || path.includes("/")
          ? realpathSync(join(volume, path))
          : join(volume, path);
      const { mode, uid, gid } = lstatSync(real);
      const kind = (mode & 0o170000) === 0o120000 ? "link" : (mode & 0o7777).toString(8);
      return [path, `${kind} ${uid} ${gid}`];
    }),
  );
}

test.run();
