import { Failure, type FailureCode, isSystemError } from "../errors.ts";

/** What the reader of a failed system call needs besides the call itself. */
export interface CallText {
  readonly what: string;
  readonly where: string;
  /** What still holds, such as "checkpoint 41 stays valid". */
  readonly remains?: string;
}

/** errno → code. Anything else is E_IO. Source: errno(3), Linux man-pages 6.03. */
const codes: Readonly<Record<string, FailureCode>> = {
  EACCES: "E_PERMS",
  EPERM: "E_PERMS",
  ENOSPC: "E_NOSPACE",
  EDQUOT: "E_NOSPACE",
  EFBIG: "E_NOSPACE",
  EROFS: "E_READONLY",
  EMFILE: "E_RESOURCES",
  ENFILE: "E_RESOURCES",
  ENOMEM: "E_RESOURCES",
  EAGAIN: "E_RESOURCES",
  ELOOP: "E_NOT_REGULAR",
  ENXIO: "E_NOT_REGULAR",
};

/** Numbers that libuv has no name for: Node calls them "Unknown system error -122". Source: libuv 1.51 `uv.h`. */
const unnamed: Readonly<Record<number, string>> = {
  [-116]: "ESTALE",
  [-117]: "EUCLEAN",
  [-122]: "EDQUOT",
};

const steps: Partial<Readonly<Record<FailureCode, string>>> = {
  E_PERMS: "Run as root, or correct the owner and mode",
  E_NOSPACE: "Free some space and run the command again",
  E_READONLY: "Mount the file system writable, after checking it",
  E_RESOURCES: "Run the command again when the machine is less busy",
  E_FSYNC: "Check the disk (`dmesg`), then run the command again",
  E_NOT_REGULAR: "Remove what stands there",
};

/**
 * The failure of a system call, by its errno and call; the original is the cause.
 *
 * Pure. An error of `fsync` is E_FSYNC whatever its number: the kernel has dropped the pages by then,
 * so only a new file may be tried. Anything that is not a system error is returned as it is.
 */
export function failureOf(error: unknown, { what, where, remains }: CallText): unknown {
  if (error instanceof Failure || !isSystemError(error)) {
    return error;
  }
  const code = codeOf(error);
  const reason = describeErrno(error);
  return new Failure(
    code,
    {
      what,
      where,
      found: remains === undefined ? reason : `${reason}; ${remains}`,
      next: steps[code] ?? "Check the disk (`dmesg`), then run the command again",
    },
    { cause: error },
  );
}

/** Pure. As `failureOf`, for a place that only continues with a `Failure`: anything else is thrown. */
export function expectedFailure(error: unknown, text: CallText): Failure {
  const failure = failureOf(error, text);
  if (failure instanceof Failure) {
    return failure;
  }
  throw failure;
}

/** Pure. True when the call failed with one of these numbers. */
export function hasErrno(error: unknown, ...errnos: readonly string[]): boolean {
  return isSystemError(error) && errnos.includes(nameOf(error));
}

/** Pure. `EIO from fsync`: what the kernel said, without paths. */
export function describeErrno(error: NodeJS.ErrnoException): string {
  return `${nameOf(error)} from ${error.syscall ?? "a system call"}`;
}

function nameOf({ code, errno }: NodeJS.ErrnoException): string {
  return unnamed[errno ?? 0] ?? code ?? "an error";
}

function codeOf(error: NodeJS.ErrnoException): FailureCode {
  const name = nameOf(error);
  if (error.syscall === "fsync" && name !== "ENOSPC" && name !== "EDQUOT") {
    return "E_FSYNC";
  }
  return codes[name] ?? "E_IO";
}
