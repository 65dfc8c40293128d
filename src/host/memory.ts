import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/*
 * A process that stays holds on to what it used once: V8 collects when it needs room, not when there is time.
 * These two are for a process that works for a moment and then waits for hours.
 */

/**
 * Keeps V8 from compiling hot functions anew: work that takes milliseconds an hour gains nothing by it, and its
 * compilers take 10 MB.
 *
 * To be called once all modules are loaded, for the flag makes V8 refuse their cached code.
 */
export function preferSmall(): void {
  setFlagsFromString("--no-opt");
  setFlagsFromString("--no-maglev");
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
