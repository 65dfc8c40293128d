import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/*
 * A process that stays holds on to what it used once: V8 collects when it needs room, not when there is time.
 * These two are for a process that works for a moment and then waits for hours.
 */

/**
 * Keeps V8 from holding more code than it needs: no compiler but the first, for work that takes milliseconds an hour
 * gains nothing by the others and they are 6 MB; and a function that was not called between two collections is
 * compiled anew when it is called again.
 *
 * To be called before most modules are loaded: from then on V8 refuses their cached code, in which every function is
 * compiled, and compiles what is called. That makes the start a little slower.
 */
export function preferSmall(): void {
  for (const flag of ["--no-opt", "--no-maglev", "--no-sparkplug", "--bytecode-old-age=1"]) {
    setFlagsFromString(flag);
  }
}

/**
 * Collects all garbage now, and shrinks the heap to what is left; takes some 30 ms.
 *
 * Source (the argument): V8 13.6 `src/extensions/gc-extension.cc`.
 */
export function collectGarbage(): void {
  collect ??= exposeGc();
  collect();
}

let collect: (() => void) | undefined;

function exposeGc(): () => void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  return typeof gc === "function"
    ? () => gc({ type: "major", execution: "sync", flavor: "last-resort" })
    : () => undefined;
}
