import { type Call, type PlacedCall, placeCalls, type Trace } from "./trace.ts";

/** One call of a clean run at which a fault is put. */
export interface Point {
  readonly syscall: string;
  /** Which of the calls of this name in the main thread, from 1. */
  readonly when: number;
  /** The call and its paths, without what differs from run to run. */
  readonly label: string;
  /** Which of the calls with this label, from 1. */
  readonly occurrence: number;
  readonly succeeded: boolean;
  /** What the call is about, under the root. */
  readonly paths: readonly string[];
}

const changing =
  /^(creat|write|pwrite64|writev|pwritev|copy_file_range|sendfile|ftruncate|truncate|fallocate|fsync|fdatasync|sync_file_range|syncfs|link|linkat|rename|renameat|renameat2|unlink|unlinkat|rmdir|mkdir|mkdirat|mknod|mknodat|symlink|symlinkat|chmod|fchmod|fchmodat|chown|fchown|lchown|fchownat|utimensat|setxattr|lsetxattr|fsetxattr|removexattr|mount|umount2|fsmount|move_mount)$/;
const reading =
  /^(read|pread64|readv|preadv|stat|lstat|fstat|newfstatat|statx|statfs|fstatfs|getdents64|readlink|readlinkat)$/;

/** Pure. True for a call that may change a file system. */
export function isChanging({ name, args }: Call): boolean {
  return (
    changing.test(name) ||
    (/^open(at2?)?$/.test(name) && /O_(CREAT|TRUNC|WRONLY|RDWR|APPEND|TMPFILE)/.test(args))
  );
}

/** Pure. True for a call that only looks. */
export function isReading(call: Call): boolean {
  return reading.test(call.name) || (/^open(at2?)?$/.test(call.name) && !isChanging(call));
}

/** Pure. All calls under `root` of one kind, in the order of a clean run. */
export function listPoints(
  trace: Trace,
  root: string,
  isWanted: (call: Call) => boolean,
): readonly Point[] {
  return numberCalls(trace, root).flatMap(({ call, ...point }) =>
    isWanted(call) && call.paths.some((path) => isUnder(path, root))
      ? [{ ...point, succeeded: call.result !== undefined && call.result >= 0 }]
      : [],
  );
}

/** Pure. True when the fault hit the same step of the same story, and no other thread. */
export function isHitAt(trace: Trace, root: string, effect: string, point: Point): boolean {
  const numbered = numberCalls(trace, root);
  const hit = numbered.find(({ call }) => isHit(call, numbered.at(-1)?.call, effect));
  return trace.strays === 0 && hit?.label === point.label && hit.occurrence === point.occurrence;
}

/** Pure. As `isHitAt`, for a trace that has only the calls on the point's path. */
export function isHitOnPath({ main, strays }: Trace, effect: string, syscall: string): boolean {
  const hit = main.find((call) => isHit(call, main.at(-1), effect));
  return strays === 0 && hit?.name === syscall;
}

/** A call that kills does not return, and is the last. */
function isHit(call: Call, last: Call | undefined, effect: string): boolean {
  return effect === "KILL" ? call === last && call.result === undefined : call.injected;
}

/** Pure. Where a call of a clean run was in another run; undefined when that did not come so far. */
export function findPoint(trace: Trace, root: string, point: Point): number | undefined {
  return numberCalls(trace, root).find(
    ({ label, occurrence }) => label === point.label && occurrence === point.occurrence,
  )?.when;
}

function numberCalls(trace: Trace, root: string) {
  const bySyscall = new Map<string, number>();
  const byLabel = new Map<string, number>();
  return placeCalls(trace.main).map((call) => {
    const when = count(bySyscall, call.name);
    const paths = call.paths.map((path) => normalize(path, root));
    const label = `${call.name} ${paths.join(" ")}`;
    return { syscall: call.name, when, label, occurrence: count(byLabel, label), paths, call };
  });
}

function count(counts: Map<string, number>, key: string): number {
  const now = (counts.get(key) ?? 0) + 1;
  counts.set(key, now);
  return now;
}

function isUnder(path: PlacedCall["paths"][number], root: string): boolean {
  return path.startsWith(`${root}/`);
}

/** Random parts of names, and numbers of processes, are not the same in two runs. */
function normalize(path: string, root: string): string {
  return (isUnder(path, root) ? path.slice(root.length) : path)
    .replace(/\/\.(tmp|lock)-\d+-[0-9a-f]+$/, "/.$1-*")
    .replace(/\/keys\/[\w-]{16}\./, "/keys/*.");
}
