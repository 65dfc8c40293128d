import { posix } from "node:path";

/** One system call as strace saw it. Strings are decoded: the log is written with `-xx`. */
export interface Call {
  readonly pid: number;
  readonly name: string;
  /** The strings among the arguments, in order. */
  readonly strings: readonly Buffer[];
  /** The arguments as strace prints them. */
  readonly args: string;
  /** Undefined when the process died in it. */
  readonly result: number | undefined;
  readonly errno: string | undefined;
  readonly injected: boolean;
}

/** The calls of the thread that strace started, which does all our work on files, in order. */
export interface Trace {
  readonly main: readonly Call[];
  /** Faults that hit another thread or a child: the run proves nothing. */
  readonly strays: number;
}

/**
 * Pure. Reads a log of `strace -f -xx`.
 *
 * A call that was cut in two ("unfinished", "resumed") is one call, at the place where it began.
 */
export function parseTrace(log: string): Trace {
  const calls: (Call | undefined)[] = [];
  const open = new Map<number, { readonly at: number; readonly text: string }>();
  let mainPid: number | undefined;
  for (const line of log.split("\n")) {
    const [, digits, text] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (digits === undefined || text === undefined || /^(\+\+\+|---)/.test(text)) {
      continue;
    }
    const pid = Number(digits);
    mainPid ??= pid;
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    const begun = open.get(pid);
    if (resumed !== undefined && begun !== undefined) {
      calls[begun.at] = parseCall(pid, begun.text + resumed);
      open.delete(pid);
    } else if (text.endsWith(" <unfinished ...>")) {
      const cut = text.slice(0, -" <unfinished ...>".length);
      open.set(pid, { at: calls.length, text: cut });
      calls.push(parseCall(pid, `${cut}) = ?`));
    } else {
      calls.push(parseCall(pid, text));
    }
  }
  const known = calls.filter((call) => call !== undefined);
  return {
    main: known.filter(({ pid }) => pid === mainPid),
    strays: known.filter(({ pid, injected }) => injected && pid !== mainPid).length,
  };
}

function parseCall(pid: number, text: string): Call | undefined {
  const [, name, args, result] = /^(\w+)\((.*)\)\s+= (.*)$/.exec(text) ?? [];
  if (name === undefined || args === undefined || result === undefined) {
    return undefined;
  }
  const [, value, errno] = /^(-?\d+|\?)(?: (E[A-Z0-9]+))?/.exec(result) ?? [];
  return {
    pid,
    name,
    args,
    strings: [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = ""]) =>
      Buffer.from(hex.replaceAll("\\x", ""), "hex"),
    ),
    result: value === undefined || value === "?" ? undefined : Number(value),
    errno,
    injected: result.includes("(INJECTED)"),
  };
}

/** A call with the paths that it is about: those it names, or that of its descriptor. */
export interface PlacedCall extends Call {
  /** Absolute, as far as the trace tells. For link and rename: from, to. */
  readonly paths: readonly string[];
}

const byDescriptor =
  /^(read|readv|pread64|preadv|write|writev|pwrite64|pwritev|fsync|fdatasync|ftruncate|fallocate|fchmod|fchown|fstat|getdents64|fsetxattr|fgetxattr|sync_file_range|close)$/;

/**
 * Pure. Gives each call of the main thread its paths, following descriptors from open to close.
 *
 * Descriptors that were not opened by path (pipes, sockets) have no path.
 */
export function placeCalls(calls: readonly Call[]): PlacedCall[] {
  const files = new Map<number, string>();
  const resolve = (path: string): string => {
    const [, fd, rest] = /^\/proc\/(?:self|\d+)\/fd\/(\d+)(\/.*)?$/.exec(path) ?? [];
    const base = fd === undefined ? undefined : files.get(Number(fd));
    return base === undefined ? path : posix.normalize(base + (rest ?? ""));
  };
  return calls.map((call) => {
    const first = Number(/^(\d+)/.exec(call.args)?.[1] ?? -1);
    let paths: string[];
    if (byDescriptor.test(call.name)) {
      const path = files.get(first);
      paths = path === undefined ? [] : [path];
    } else {
      const named = call.strings.map((bytes) => bytes.toString());
      // The text of a symlink is data: what matters is the name that it gets.
      paths = (
        /^symlink/.test(call.name)
          ? named.slice(1)
          : /^readlink/.test(call.name)
            ? named.slice(0, 1) // the other is what it gave
            : named
      ).map(resolve);
    }
    const placed = { ...call, paths };
    if (/^open(at)?$/.test(call.name) && call.result !== undefined && call.result >= 0) {
      files.set(call.result, paths[0] ?? "");
    } else if (call.name === "close") {
      files.delete(first);
    }
    return placed;
  });
}
