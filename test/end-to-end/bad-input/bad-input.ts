import type { NodeRoot } from "../node-root.ts";

/** One bad input: what is wrong, the command that meets it, and what it must say. */
export interface BadInput {
  /** Number in the catalogue of bad inputs. */
  readonly case: number;
  /** What is wrong, as a sentence; with the number it is the test's title. */
  readonly name: string;
  /** "bare" has neither key nor store; the others have a key and the generations 1 and 2, "disk" on no tmpfs. */
  readonly on?: "bare" | "store" | "disk";
  /** Breaks the node; may give options of the run. */
  readonly given?: (node: NodeRoot) => unknown;
  /** Without `--root`, which is added; a cold boot where absent. */
  readonly words?: readonly string[] | ((node: NodeRoot) => readonly string[]);
  /** The code of the failure, or of what is only said when `exit` is 0 or `isSaid`. */
  readonly code: string;
  readonly exit: number;
  /** True where the code stands in the output and no line of failure is printed. */
  readonly isSaid?: true;
  /** What the reader must be told besides. */
  readonly says?: RegExp;
  /** The generation that is projected afterwards. */
  readonly restores?: number;
  /** A generation that still opens afterwards; 1 where absent, undefined when the node has no usable key or store. */
  readonly opens?: number | undefined;
  /** True where room is made: then only the newest generation stays. */
  readonly mayFree?: true;
  /** More that must hold afterwards. */
  readonly after?: (node: NodeRoot, output: string) => void;
}

/** A restore as at a cold boot. */
export const coldBoot = ["restore", "--force"] as const;
