import { Exit, type ExitStatus } from "../errors.ts";
import { type Option, type OptionTable, textOf, type Values } from "./options.ts";

/** One command as data: the parser, the help, and whatever else describes it are made from this. */
export interface Command {
  /** One word, or two for `key init`. */
  readonly words: readonly string[];
  /** A word that must follow, as `POD`. */
  readonly positional?: { readonly name: string; readonly describe: string };
  /** One line, for the list of commands. */
  readonly summary: string;
  /** Paragraphs for the command's own help. */
  readonly description: readonly string[];
  readonly options: OptionTable;
  readonly examples: readonly { readonly line: string; readonly says: string }[];
  /** Exit statuses besides those of `everyExit`. */
  readonly exits: readonly CommandExit[];
  /** Its code is loaded only when the command runs. */
  readonly run: (values: Values) => Promise<ExitStatus>;
}

/** An exit status and when a command ends with it. */
export interface CommandExit {
  readonly status: ExitStatus;
  readonly says: string;
}

/** `--from` of the commands that read objects. */
export const objectPaths = {
  type: "string",
  multiple: true,
  value: "PATH",
  describe: "Files or directories of YAML or JSON objects; - is stdin",
} as const satisfies Option;
/** `--node` of the commands that read objects. */
export const nodeName = {
  type: "string",
  value: "NAME",
  otherwise: "the only node in the objects, else this host's name",
  describe: "The node whose pods are meant",
} as const satisfies Option;
/** `--select` of the commands that choose pods. */
export const select = {
  type: "string",
  value: "WHICH",
  choices: ["annotated", "all"],
  otherwise: "`select` of the configuration",
  describe: "Pods annotated blackstart.dev/checkpoint=true, or all but those annotated false",
} as const satisfies Option;
/** `--generation` of the commands that look at the store. */
export const generation = {
  type: "string",
  value: "N",
  otherwise: "the newest that opens",
  describe: "Look at this generation",
} as const satisfies Option;

/** Exit statuses that several commands share, as their help tells them. */
export const exits = {
  noStore: { status: Exit.noInput, says: "there is no store, or it holds no checkpoint" },
  notOpen: { status: Exit.dataErr, says: "a checkpoint or an object is not what it should be" },
  noKey: { status: Exit.noPerm, says: "the key or a file may not be read" },
  noObject: { status: Exit.noInput, says: "no object was read" },
  disk: { status: Exit.ioErr, says: "reading, writing or fsync failed" },
} as const satisfies Readonly<Record<string, CommandExit>>;

/** What every command may end with. */
export const everyExit: readonly CommandExit[] = [
  { status: Exit.ok, says: "done, or nothing to do" },
  { status: Exit.usage, says: "the command line is wrong" },
  { status: Exit.software, says: "a bug: please report it" },
  { status: Exit.config, says: "the configuration, the key or the node's set-up is wrong" },
];

/** Pure. What `--select` says; its choices are checked before. */
export function selectOf(values: Values): "annotated" | "all" | undefined {
  const value = textOf(values, "select");
  return value === "annotated" || value === "all" ? value : undefined;
}
