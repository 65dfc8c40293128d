import type { Ended, Program } from "./run.ts";

/** A command on a prepared node, and what must hold however it was interrupted. */
export interface Scenario {
  readonly name: string;
  /** The root before the run; it is copied, never used. */
  readonly template: string;
  readonly words: (root: string) => readonly string[];
  /** Of a path under the root: whether calls on it are interrupted here; all, if absent. */
  readonly about?: (path: string) => boolean;
  /** Pure. True when the command had said that it succeeded. */
  readonly isAcknowledged: (ended: Ended) => boolean;
  /** What is wrong with a root in which a run was interrupted. */
  readonly judge: (root: string, interrupted: Interrupted) => string[];
  /** What is wrong after the command was run again, undisturbed. */
  readonly judgeAgain: (root: string, again: Ended, interrupted: Interrupted) => string[];
  /** What is missing of that which an undisturbed run has promised, after the power failed. */
  readonly judgeKept: (root: string, promised: Ended) => string[];
}

/** How a run was interrupted. */
export interface Interrupted {
  readonly ended: Ended;
  readonly acknowledged: boolean;
  /** "KILL", "POWER" or an errno. */
  readonly effect: string;
}

/** The program under test and a place to prepare roots in. */
export interface Bench {
  readonly program: Program;
  readonly fresh: (name: string) => string;
  readonly objects: { readonly old: string; readonly new: string };
}
