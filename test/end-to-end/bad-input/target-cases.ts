import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { disk, type NodeRoot } from "../node-root.ts";
import { objects, podLink } from "../objects.ts";
import { type BadInput, coldBoot } from "./bad-input.ts";

const capturing = (node: NodeRoot) =>
  ["capture", "--node", "n1", "--from", node.objects(...objects({ level: "third" }))] as const;

/** strace with which system calls fail from outside, undefined where it may not trace. */
export const strace =
  spawnSync("strace", ["-qq", "-o", "/dev/null", "true"]).status === 0
    ? ["strace", "-f", "-qq", "-o", "/dev/null"]
    : undefined;

/** Makes calls fail: only those that touch `path`, where one is given. */
function failing(calls: string, errno: string, path?: string) {
  const filter = path === undefined ? [] : ["-P", path];
  const [names, when] = calls.split(":");
  const inject = [`inject=${names}`, `error=${errno}`, ...(when === undefined ? [] : [when])];
  return { before: [...(strace ?? []), ...filter, "-e", inject.join(":")] };
}

const reads = "read,pread64";
/** The first two are of the store's place, the third of the new generation. */
const fsync = "fsync:when=3+";

/** Cases that need strace; left out, and said so, where it may not trace. */
export const tracedCases: readonly BadInput[] = [
  {
    case: 28,
    name: "reading the newest fails",
    given: (node) => failing(reads, "EIO", node.generation(2)),
    code: "E_IO",
    exit: 0,
    isSaid: true,
    restores: 1,
    says: /generation 2 .*generation 1.*EIO/,
  },
  {
    case: 29,
    name: "reading any fails",
    given: (node) => {
      rmSync(node.generation(2));
      return failing(reads, "EIO", node.generation(1));
    },
    code: "E_IO",
    exit: 74,
  },
  {
    case: 80,
    name: "the disk is full at capture",
    mayFree: true,
    opens: 2,
    given: () => failing(fsync, "ENOSPC"),
    words: capturing,
    code: "E_NOSPACE",
    exit: 73,
    says: /generation 2 stays valid|checkpoint 2 stays valid/,
  },
  {
    case: 81,
    name: "the quota is used up at capture",
    mayFree: true,
    opens: 2,
    given: () => failing(fsync, "EDQUOT"),
    words: capturing,
    code: "E_NOSPACE",
    exit: 73,
    says: /EDQUOT.*2 stays valid/,
  },
  {
    case: 82,
    name: "the disk is read-only at capture",
    // The first link is the lock's.
    given: () => failing("link:when=2+", "EROFS"),
    words: capturing,
    code: "E_READONLY",
    exit: 73,
    says: /2 stays valid/,
  },
  {
    case: 82,
    name: "the disk is read-only at restore",
    given: (node) =>
      failing("openat", "EROFS", join(node.store, `attempts-${"2".padStart(20, "0")}+2-1`)),
    code: "W_ATTEMPTS",
    exit: 0,
    isSaid: true,
    restores: 2,
  },
  {
    case: 83,
    name: "fsync fails at capture",
    given: () => failing(fsync, "EIO"),
    words: capturing,
    code: "E_FSYNC",
    exit: 74,
    says: /2 stays valid.*[Cc]heck the disk/,
  },
  ...(["EMFILE", "ENFILE", "ENOMEM"] as const).map(
    (errno): BadInput => ({
      case: 84,
      name: `opening any generation fails with ${errno}`,
      given: (node) => {
        rmSync(node.generation(2));
        return failing("openat", errno, node.generation(1));
      },
      code: "E_RESOURCES",
      exit: 75,
    }),
  ),
];

/** The lock file of a process as it would write it itself. */
function lock(node: NodeRoot, change: object = {}): void {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const starttime = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().replaceAll("-", "");
  const owner = { pid: process.pid, starttime, bootId, since: "2026-01-02T03:04:05.000Z" };
  mkdirSync(node.at("run/blackstart"), { recursive: true, mode: 0o700 });
  writeFileSync(node.at("run/blackstart/lock"), JSON.stringify({ ...owner, ...change }));
}

export const targetCases: readonly BadInput[] = [
  {
    case: 73,
    name: "there is no manifest directory",
    given: (node) => rmSync(node.manifests, { recursive: true }),
    code: "E_MANIFEST_DIR",
    exit: 78,
    says: /etc\/kubernetes\/manifests\).*staticPodPath/,
    after: (node) => {
      assert.ok(!existsSync(node.manifests));
      // A boot that could not use the generation says nothing against it.
      assert.deepEqual(
        readdirSync(node.store).filter((name) => name.startsWith("attempts")),
        [],
      );
    },
  },
  {
    case: 74,
    name: "the manifest directory is a link",
    given: (node) => {
      renameSync(node.manifests, node.at("elsewhere"));
      symlinkSync(node.at("elsewhere"), node.manifests);
    },
    code: "E_MANIFEST_DIR_UNSAFE",
    exit: 77,
    after: (node) => assert.deepEqual(readdirSync(node.at("elsewhere")), []),
  },
  {
    case: 74,
    name: "everybody can write into the manifest directory",
    given: (node) => chmodSync(node.manifests, 0o777),
    code: "E_MANIFEST_DIR_UNSAFE",
    exit: 77,
    says: /mode 0777/,
    after: (node) => assert.deepEqual(readdirSync(node.manifests), []),
  },
  ...[
    { name: "a file", make: (file: string) => writeFileSync(file, "not ours\n") },
    { name: "a link to elsewhere", make: (file: string) => symlinkSync("/nowhere/x.json", file) },
    { name: "a directory", make: (file: string) => mkdirSync(file) },
  ].map(
    ({ name, make }): BadInput => ({
      case: 75,
      name: `the name of our link is taken by ${name}`,
      given: (node) => make(join(node.manifests, podLink)),
      code: "E_FOREIGN",
      exit: 73,
      isSaid: true,
      says: /left out kube-system\/web: E_FOREIGN/,
      after: (node) => {
        const stats = lstatSync(join(node.manifests, podLink));
        const isOurs = stats.isSymbolicLink() && existsSync(join(node.manifests, podLink));
        assert.ok(!isOurs);
        assert.deepEqual(readdirSync(node.manifests), [podLink]);
      },
    }),
  ),
  {
    case: 76,
    name: "a pod's directory is replaced by a link",
    given: (node) => {
      mkdirSync(node.at("run/blackstart/pods"), { recursive: true, mode: 0o700 });
      mkdirSync(node.at("elsewhere"));
      symlinkSync(node.at("elsewhere"), node.at("run/blackstart/pods/kube-system_web"));
    },
    code: "E_RACE",
    exit: 73,
    isSaid: true,
    after: (node) => {
      assert.deepEqual(readdirSync(node.at("elsewhere")), []);
      assert.deepEqual(readdirSync(node.manifests), []);
    },
  },
  {
    case: 81,
    name: "files may not be as large at capture",
    given: () => ({ before: ["prlimit", "--fsize=1000"] }),
    words: capturing,
    code: "E_NOSPACE",
    exit: 73,
    says: /EFBIG.*2 stays valid/,
  },
  {
    case: 85,
    name: "another process holds the lock",
    given: (node) => lock(node),
    words: capturing,
    code: "E_LOCKED",
    exit: 75,
    says: new RegExp(`pid ${process.pid} holds the lock since 2026-01-02T03:04:05`),
  },
  {
    case: 85,
    name: "another process holds the lock at a cold boot",
    given: (node) => lock(node),
    code: "E_LOCKED",
    exit: 75,
    after: (node) => assert.deepEqual(readdirSync(node.manifests), []),
  },
  ...[
    { name: "is of a process that has ended", change: { pid: 2 ** 22 - 1 } },
    { name: "is of a process whose number another has now", change: { starttime: "1" } },
    { name: "is of an earlier boot", change: { bootId: "0".repeat(32) } },
  ].map(
    ({ name, change }): BadInput => ({
      case: 86,
      name: `the lock ${name}`,
      given: (node) => lock(node, change),
      code: "I_STALE_LOCK",
      exit: 0,
      isSaid: true,
      restores: 2,
      after: (node) => assert.ok(!existsSync(node.at("run/blackstart/lock"))),
    }),
  ),
];

/** Cases on a node whose run directory is no memory. */
export const diskCases: readonly BadInput[] =
  disk === undefined
    ? []
    : [
        {
          case: 77,
          name: "the run directory is on a disk",
          on: "disk",
          code: "E_NOT_MEMORY",
          exit: 78,
          says: /refusing to write secrets to .*mount -t tmpfs/,
          after: (node) => {
            assert.deepEqual(readdirSync(node.manifests), []);
            assert.ok(!existsSync(node.at("run/blackstart/pods")));
          },
        },
      ];

/** Cases of a user who may not read. */
export const accessCases: readonly BadInput[] = [
  {
    case: 30,
    name: "the generations may not be read",
    given: (node) => {
      for (const number of [1, 2]) {
        chmodSync(node.generation(number), 0);
      }
      // Root may read everything; without its capability it may not.
      return process.geteuid?.() === 0
        ? { before: ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"] }
        : undefined;
    },
    words: coldBoot,
    code: "E_PERMS",
    exit: 77,
    opens: undefined,
  },
];
