import { Failure, isSystemError } from "../errors.ts";
import { expectedFailure, hasErrno } from "./system-error.ts";

/**
 * Takes whatever writing into a directory of ours threw as a failure that can be told.
 *
 * Pure. Of an error that is not a system error (a bug of ours) only the kind is told, because its
 * message may quote an argument, and that may be secret. Below an anchored directory nothing but
 * somebody else's hand makes a directory a link, or takes a name that was free.
 */
export function writeFailure(error: unknown, what: string, where: string): Failure {
  if (error instanceof Failure) {
    return error;
  }
  const options = { cause: error };
  if (!isSystemError(error)) {
    const found = error instanceof Error ? `unexpected ${error.name}` : "unexpected error";
    const next = "Report this as a bug";
    return new Failure("E_CANNOT_CREATE", { what, where, found, next }, options);
  }
  if (hasErrno(error, "ELOOP", "ENOTDIR", "EEXIST", "ENOTEMPTY")) {
    const found = `${error.code}, something was replaced while it was in use`;
    const next = "Find out who else writes there, then run the command again";
    return new Failure("E_RACE", { what, where, found, next }, options);
  }
  return expectedFailure(error, { what, where });
}
