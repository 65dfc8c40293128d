import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import type { Ended } from "./machine.ts";
import { at, keepDisk, lackingForClock, type Projection, projection, shell } from "./night.ts";
import type { Node } from "./node.ts";
import { lackingForNode } from "./requirements.ts";
import { makeSettledNode } from "./settled-node.ts";
import { startSteps } from "./steps.ts";

const badNights = suite("e2e/node/bad-nights");

const lacking = lackingForNode() ?? lackingForClock();
if (lacking !== undefined) {
  console.log(`SKIPPED bad nights of a real node: ${lacking}`);
}
const scenario = lacking === undefined ? badNights : badNights.skip;

/** What goes wrong before or while a node is restored; no kubelet and no runtime is there yet. */
interface Night {
  readonly name: string;
  /** On the node, which is on. */
  readonly given?: (node: Node) => void;
  /** Left out: `blackstart restore`. */
  readonly restore?: (node: Node) => Ended;
  /** null: killed. */
  readonly exit: number | null;
  /**
   * `as-ever`: every pod, to the byte as on a good night, so that a kubelet runs the same.
   * `older`: every pod of another generation. `some` of them, each whole. `any` number of them, each whole.
   */
  readonly leaves: "as-ever" | "older" | "some" | "none" | "any";
  readonly says: readonly RegExp[];
  /** Boots of generation 2 that this one has used up. Left out: one. */
  readonly attempts?: number;
  /** What the words advise; the same restore then ends as on a good night. */
  readonly repair?: (node: Node) => void;
}

const restore = (node: Node) => node.blackstart(["restore"]);
const store = "/var/lib/blackstart";
const secrets = "/run/blackstart";

/** A small ext4 in the place of a directory, with what was in it. */
const ownDisk = (node: Node, dir: string, inodes: number) =>
  shell(
    node,
    `cp -a ${dir} /tmp/kept
     truncate -s 8M /tmp/disk
     mkfs.ext4 -q -m 0 -N ${inodes} /tmp/disk
     mount -o loop /tmp/disk ${dir}
     cp -a /tmp/kept/. ${dir}/`,
  );
const fillBytes = (node: Node, dir: string) =>
  shell(
    node,
    `for size in 4k 1k; do dd if=/dev/zero bs=$size >> ${dir}/fill 2>/dev/null || true; done`,
  );
const fillInodes = (node: Node, dir: string) =>
  shell(node, `i=0; while touch ${dir}/fill$i; do i=$((i+1)); done 2>/dev/null`);
const empty = (node: Node, dir: string) => shell(node, `rm -f ${dir}/fill*`);
const memoryOf = (node: Node, options: string) =>
  shell(
    node,
    `umount ${secrets} && mount -t tmpfs -o mode=2700,nosuid,nodev,${options} blackstart ${secrets}`,
  );
const readOnly = (node: Node, dir: string) =>
  shell(node, `mount --bind ${dir} ${dir} && mount -o remount,ro,bind ${dir}`);

/** One bit of a sealed file, in the middle. */
function flipBit(node: Node, generation: number): void {
  const file = join(node.disk, store, `gen-${String(generation).padStart(20, "0")}.jwe`);
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

/** Links are the last thing that is made of a volume, and of a pod: killed as the one with this number is made. */
const killedAtLink = (number: number) => (node: Node) =>
  node.run([
    ...["strace", "-f", "-o", "/dev/null", "-e", "trace=symlink,symlinkat"],
    ...[
      "-e",
      `inject=symlink,symlinkat:signal=KILL:when=${number}`,
      "/usr/bin/blackstart",
      "restore",
    ],
  ]);

/** The first is slowed down, so that the second finds it at work. */
function twoAtOnce(node: Node): Ended {
  const slow =
    "strace -f -o /dev/null -e trace=symlink,symlinkat -e inject=symlink,symlinkat:delay_enter=20000";
  const ended = node.run([
    "sh",
    "-c",
    `${slow} blackstart restore > /tmp/first 2>&1 & first=$!
     until test -e ${secrets}/lock; do sleep 0.01; done
     blackstart restore > /tmp/second 2>&1; second=$?
     wait $first; echo "first $?, second $second"; cat /tmp/first /tmp/second; exit $second`,
  ]);
  assert.match(ended.stdout, /^first 0, second 75/);
  assert.match(ended.stdout, /restore 5\/5 project: (\d+) of \1 pods/);
  return ended;
}

const cold = /restore 3\/5 probe: cold/;
const clockWords =
  /^W_CLOCK: the clock is .* behind checkpoint 2 \(20.*\); .*\. Set the clock \(`timedatectl set-time`\): until then .* not yet valid$/m;
const notCounted =
  /^W_ATTEMPTS: the boot counter cannot be written, this boot is not counted \(\/var\/lib\/blackstart\): E[A-Z]+ from /m;
const threeLeft = /generation 2, 3 attempts left after this boot/;
const noTrial = /nothing could be projected: this boot does not count, 3 attempts left/;

const nights: readonly Night[] = [
  {
    name: "the clock says 1970",
    restore: (node) => node.blackstart(["restore"], at("@1970-01-01 00:00:10")),
    exit: 0,
    leaves: "as-ever",
    says: [clockWords, cold],
  },
  {
    name: "the clock is a day behind",
    restore: (node) => node.blackstart(["restore"], at("-1d")),
    exit: 0,
    leaves: "as-ever",
    says: [clockWords, cold],
  },
  {
    name: "the clock is two years ahead",
    restore: (node) => node.blackstart(["restore"], at("+730d")),
    exit: 0,
    leaves: "as-ever",
    says: [
      /^W_EXPIRED: the kubelet's client certificate expired 729 days ago: .*Set the clock if 20\d\d-.* is wrong, else /m,
      /^W_EXPIRED: \d+ certificates in the checkpoint have expired, the first 729 days ago: .* of Secret kube-system\/.* and \d+ more\. .*Set the clock if 20\d\d-.* is wrong, else renew them$/m,
      /^W_TOKEN_EXPIRED /m,
    ],
  },
  {
    name: "the store's disk has no byte left",
    given: (node) => {
      ownDisk(node, store, 64);
      fillBytes(node, store);
    },
    exit: 0,
    leaves: "as-ever",
    says: [/generation 2, 2 attempts left after this boot/],
  },
  {
    name: "the store's disk has no inode left",
    given: (node) => {
      ownDisk(node, store, 64);
      fillInodes(node, store);
    },
    exit: 0,
    leaves: "as-ever",
    says: [notCounted, /ENOSPC/, threeLeft],
    attempts: 0,
  },
  {
    name: "the manifest folder's disk has no inode left",
    given: (node) => {
      ownDisk(node, "/etc/kubernetes", 64);
      fillInodes(node, "/etc/kubernetes");
    },
    exit: 73,
    leaves: "none",
    says: [
      /^left out kube-system\/\S+: E_NOSPACE: pod \S+ cannot be projected \(\/etc\/kubernetes\/manifests\/blackstart_\S+\.json\): ENOSPC from symlink\. Free some space/m,
      noTrial,
    ],
    attempts: 0,
    repair: (node) => empty(node, "/etc/kubernetes"),
  },
  {
    name: "the memory for secrets is too small",
    given: (node) => memoryOf(node, "size=64k"),
    exit: 73,
    leaves: "some",
    says: [
      /^left out kube-system\/\S+: E_NOSPACE_TMPFS: pod \S+ does not fit .*needs \d+ bytes and \d+ inodes, free are \d+ bytes.*Enlarge it \(`mount -o remount,size=…,nr_inodes=… \/run\/blackstart`\)/m,
    ],
    repair: (node) => shell(node, `mount -o remount,size=64M ${secrets}`),
  },
  {
    name: "the memory for secrets has too few inodes",
    given: (node) => memoryOf(node, "nr_inodes=100"),
    exit: 73,
    leaves: "some",
    says: [/^left out kube-system\/\S+: E_NOSPACE_TMPFS: .*needs \d+ bytes and \d+ inodes/m],
    repair: (node) => shell(node, `mount -o remount,nr_inodes=10000 ${secrets}`),
  },
  {
    name: "the memory for secrets holds no pod",
    given: (node) => memoryOf(node, "size=12k"),
    exit: 73,
    leaves: "none",
    says: [/^left out \S+: E_NOSPACE_TMPFS: .*Enlarge it/m, noTrial],
    attempts: 0,
    repair: (node) => shell(node, `mount -o remount,size=64M ${secrets}`),
  },
  {
    name: "/var is read-only",
    given: (node) => readOnly(node, "/var"),
    exit: 0,
    leaves: "as-ever",
    says: [notCounted, /EROFS/, threeLeft],
    attempts: 0,
  },
  {
    name: "everything on disk is read-only",
    given: (node) => shell(node, "mount -o remount,ro,bind /"),
    exit: 73,
    leaves: "none",
    says: [
      /^left out \S+: E_READONLY: .*\(\/etc\/kubernetes\/manifests\/\S+\): EROFS from symlink\. Mount the file system writable/m,
    ],
    attempts: 0,
    repair: (node) => shell(node, "mount -o remount,rw,bind /"),
  },
  {
    name: "everything on disk is read-only, with the links of an earlier boot",
    given: (node) => {
      assert.equal(restore(node).status, 0);
      shell(node, `rm -r ${secrets}/* && mount -o remount,ro,bind /`);
    },
    exit: 0,
    leaves: "as-ever",
    says: [notCounted, /EROFS/],
  },
  {
    name: "a bit of the newest generation has flipped",
    given: (node) => flipBit(node, 2),
    exit: 0,
    leaves: "older",
    says: [
      /^W_STORE: generation 2 does not open, generation 1 is used: E_MAC: .*gen-0+2\.jwe.*check the disk/m,
      /restore 2\/5 open: generation 1, /,
    ],
    attempts: 0,
  },
  {
    name: "a bit of every generation has flipped",
    given: (node) => {
      flipBit(node, 1);
      flipBit(node, 2);
    },
    exit: 65,
    leaves: "none",
    says: [/^blackstart: E_MAC: none of 2 checkpoints opens; the newest: .*gen-0+2\.jwe.*\. \S/m],
    attempts: 0,
  },
  {
    name: "the key is gone",
    given: (node) => shell(node, "mv /etc/blackstart/keys /root/keys"),
    exit: 78,
    leaves: "none",
    says: [
      /^blackstart: E_NO_KEY: there is no key to open the store with: .*\/etc\/blackstart\/keys: no slot\. .*put its slot back into \/etc\/blackstart\/keys, or .*break-glass key .*`blackstart restore --from`/m,
    ],
    attempts: 0,
    repair: (node) => shell(node, "mv /root/keys /etc/blackstart/keys"),
  },
  {
    name: "others can read the key",
    given: (node) => shell(node, "chmod 0644 /etc/blackstart/keys/*"),
    exit: 77,
    leaves: "none",
    says: [
      /^blackstart: E_KEY_PERMS: .*\/etc\/blackstart\/keys\/\S+: mode 0644, owner 0, expected 0600.*set owner root and mode 0600/m,
    ],
    attempts: 0,
    repair: (node) => shell(node, "chmod 0600 /etc/blackstart/keys/*"),
  },
  {
    name: "the store is gone",
    given: (node) => rmSync(join(node.disk, store), { recursive: true }),
    exit: 66,
    leaves: "none",
    says: [/^blackstart: E_NO_STORE: .*\/var\/lib\/blackstart.*`blackstart capture`/m],
    attempts: 0,
  },
  {
    name: "two restores at once",
    restore: twoAtOnce,
    exit: 75,
    leaves: "as-ever",
    says: [
      /^blackstart: E_LOCKED: another blackstart is running \(\/run\/blackstart\/lock\): pid \d+ holds the lock since .*\. Run the command again when it has ended$/m,
    ],
  },
  ...["first", "middle", "last"].map(
    (moment, index): Night => ({
      name: `killed while it makes its ${moment} links`,
      restore: (node) =>
        killedAtLink([2, Math.floor(linksOf(node) / 2), linksOf(node) - 2][index] ?? 1)(node),
      exit: null,
      leaves: "any",
      says: [],
      repair: () => undefined,
    }),
  ),
];

/** How many links a whole restore makes: one of each volume, one of each file in it, one of each pod. */
let goodNight: Projection | undefined;
function linksOf(_: Node): number {
  const { files = [], pods = 0 } = goodNight ?? {};
  return files.filter((line) => / 12\d{4} /.test(line)).length + pods;
}

scenario(
  "whatever the night was like, restore does the best that is left and says what to do",
  async () => {
    const steps = startSteps("bad-nights");
    const { node } = await makeSettledNode(steps);
    await using _ = node;
    using layOut = keepDisk(node);
    await steps.step("a good night", async () => {
      await node.boot();
      const good = restore(node);
      assert.equal(good.status, 0, good.stderr);
      assert.doesNotMatch(good.stderr, /^[WE]_/m);
      goodNight = projection(node);
      await node.powerCut();
    });
    assert.ok(goodNight !== undefined && goodNight.pods > 0);
    const rows: string[][] = [["night", "exit", "pods", "control plane", "words"]];
    const failures: string[] = [];
    for (const night of nights) {
      layOut();
      await node.boot();
      try {
        await steps.step(night.name, () => {
          rows.push(check(node, night, goodNight as Projection));
        });
      } catch (error) {
        failures.push(`${night.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
      await node.powerCut();
    }
    print(rows);
    assert.deepEqual(failures, []);
  },
);

/** @returns its row of the table */
function check(node: Node, night: Night, good: Projection): string[] {
  const { name, given, leaves, says } = night;
  const before = storedAttempts(node);
  given?.(node);
  const ended = (night.restore ?? restore)(node);
  const said = ended.stdout + ended.stderr;
  const left = projection(node);
  assert.equal(ended.status, night.exit, said);
  for (const words of says) {
    assert.match(said, words);
  }
  assert.doesNotMatch(said, /^\s+at .*[:)]$|is a bug|undefined|\[object/m);
  switch (leaves) {
    case "as-ever":
      assert.deepEqual(left, good);
      break;
    case "older":
      assert.equal(left.pods, good.pods);
      break;
    case "some":
      assert.ok(left.pods > 0 && left.pods < good.pods, `${left.pods} pods`);
      break;
    case "none":
      assert.deepEqual(left, { pods: 0, files: [] }, said);
      break;
    case "any":
      break;
  }
  if (night.exit !== null) {
    assert.equal(storedAttempts(node) - before, night.attempts ?? 1, said);
  }
  let repaired = "";
  if (night.repair !== undefined) {
    night.repair(node);
    const again = restore(node);
    assert.equal(again.status, 0, again.stderr);
    assert.deepEqual(projection(node), good);
    repaired = "; all after the next step";
  }
  const plane = leaves === "as-ever" ? "as ever" : leaves === "older" ? "yes" : `no${repaired}`;
  return [name, String(night.exit ?? "killed"), `${left.pods}/${good.pods}`, plane, codes(said)];
}

/** Boots of generation 2 that were counted. Read inside: the store may be on a disk of its own. */
function storedAttempts(node: Node): number {
  try {
    const names = readdirSync(node.path(store)).join(" ");
    return Number(/attempts-0*2\+\d-(\d+)/.exec(names)?.[1] ?? 0);
  } catch {
    return 0; // no store
  }
}

/** The codes that were said, each once. */
function codes(said: string): string {
  return [...new Set(said.match(/\b[EW]_[A-Z_]+/g) ?? [])].join(" ");
}

function print(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  );
  for (const row of rows) {
    console.log(`# ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ")}`.trimEnd());
  }
}

badNights.run();
