import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** One hierarchy of control groups, and the node's own group in it. */
export interface Hierarchy {
  /** Absolute, of the node's group. */
  readonly group: string;
  /** How the node mounts the hierarchy, as boot.sh takes it; its root is then the node's group. */
  readonly mount: string;
}

interface MountedHierarchy {
  readonly point: string;
  readonly type: string;
  readonly options: string;
}

/** The mount point of a machine that has version 2 alone. */
const root = "/sys/fs/cgroup";

/**
 * Makes a control group of that name in each hierarchy, below this process's own in version 1.
 *
 * In version 2 it lies at the root: a group with processes in it has no children with controllers.
 */
export function makeCgroups(name: string): readonly Hierarchy[] {
  return mountedHierarchies().map(({ point, type, options }) => {
    const group = join(point, type === "cgroup" ? ownGroup(options) : "/", name);
    mkdirSync(group);
    if (options.split(",").includes("cpuset")) {
      // Empty in a new group, and then no process may enter.
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        writeFileSync(join(group, file), readFileSync(join(group, "..", file)));
      }
    }
    const place = point === root ? "" : basename(point);
    return { group, mount: `${place}:${type}:${options || "rw"}` };
  });
}

/** Removes every control group that has this name or this beginning of a name, and what is below; all must be empty. */
export function removeCgroups(isOurs: (name: string) => boolean): void {
  for (const { point, type, options } of mountedHierarchies()) {
    const parent = join(point, type === "cgroup" ? ownGroup(options) : "/");
    for (const name of readdirSync(parent).filter(isOurs)) {
      removeTree(join(parent, name));
    }
  }
}

function removeTree(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      removeTree(join(group, entry.name));
    }
  }
  removeOne(group);
}

const removalMs = 10_000;

/** A group of processes that were just killed is busy for a moment. */
function removeOne(group: string): void {
  const end = performance.now() + removalMs;
  for (;;) {
    try {
      rmdirSync(group);
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) {
        throw error;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EBUSY";
}

/** Every mounted hierarchy once, with the options that name it. */
function mountedHierarchies(): readonly MountedHierarchy[] {
  const generic = ["rw", "ro", "nosuid", "nodev", "noexec", "relatime", "xattr", "nsdelegate"];
  const lines = readFileSync("/proc/self/mounts", "utf8").split("\n");
  const mounted = lines.flatMap((line) => {
    const [, point = "", type = "", all = ""] = line.split(" ");
    if (!point.startsWith(root) || (type !== "cgroup" && type !== "cgroup2")) {
      return [];
    }
    const named = all
      .split(",")
      .filter((option) => !generic.includes(option) && !option.startsWith("memory_"));
    const options = named.some((option) => option.startsWith("name=")) ? ["none", ...named] : named;
    return [{ point, type, options: options.join(",") }];
  });
  return mounted.filter(
    ({ type, options }, index) =>
      mounted.findIndex((one) => one.type === type && one.options === options) === index,
  );
}

/** This process's group in a hierarchy of version 1. */
function ownGroup(options: string): string {
  const wanted = options.replace("none,", "").split(",").sort().join(",");
  for (const line of readFileSync("/proc/self/cgroup", "utf8").split("\n")) {
    const [, controllers = "", group = "/"] = line.split(":");
    if (controllers.split(",").sort().join(",") === wanted) {
      return group;
    }
  }
  return "/";
}
