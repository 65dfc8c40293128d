import { parseArgs } from "node:util";
import { Failure } from "../errors.ts";
import {
  type GlobalOptions,
  globalOptions,
  globalsOf,
  type OptionTable,
  type OutputFormat,
  outputOf,
  outputOption,
  textOf,
  type Values,
} from "./options.ts";

/** The options of `restore`: read at boot by parseArgs, in every other case by the full parser. */
export const restoreOptions = {
  ...globalOptions,
  output: outputOption,
  force: { type: "boolean", describe: "Project without asking whether an apiserver answers" },
  "dry-run": { type: "boolean", describe: "Print the plan and change nothing" },
  generation: {
    type: "string",
    value: "N",
    otherwise: "the newest that opens and has attempts left",
    describe: "Restore this generation",
  },
  from: {
    type: "string",
    value: "FILE",
    describe: "Restore this sealed checkpoint instead of one from the store",
  },
  retire: {
    type: "boolean",
    describe: "Take away all that a restore has made, and put the kubelet's pull records back",
  },
  "reset-attempts": {
    type: "boolean",
    describe: "Give every generation its boot attempts back first",
  },
} as const satisfies OptionTable;

export interface RestoreOptions extends GlobalOptions {
  readonly output: OutputFormat;
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly generation: number | undefined;
  readonly from: string | undefined;
  readonly resetAttempts: boolean;
  readonly retire: boolean;
}

/**
 * Takes the words after `restore` where they are plainly right.
 *
 * Pure. undefined when anything about them is not: the full parser then says what, or prints the help.
 */
export function parseRestoreArguments(words: readonly string[]): RestoreOptions | undefined {
  try {
    const { values, tokens } = parseArgs({
      args: [...words],
      options: restoreOptions,
      strict: true,
      allowPositionals: false,
      tokens: true,
    });
    const names = tokens.map((token) => (token.kind === "option" ? token.name : token.kind));
    const { output } = values;
    const isPlain =
      new Set(names).size === names.length &&
      (output === undefined || outputOption.choices.some((choice) => choice === output));
    return isPlain ? toRestoreOptions(values) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Gives the flags their meaning.
 *
 * Pure.
 *
 * @throws {Failure} E_USAGE only when the generation is not a positive whole number, or when flags exclude each other
 */
export function toRestoreOptions(values: Values): RestoreOptions {
  const generation = textOf(values, "generation");
  const from = textOf(values, "from");
  if (generation !== undefined && from !== undefined) {
    throw new Failure("E_USAGE", {
      what: "--generation and --from exclude each other",
      next: "Name either a generation of the store or a file",
    });
  }
  const others = ["force", "generation", "from", "reset-attempts"] as const;
  const other = others.find((name) => values[name] !== undefined && values[name] !== false);
  if (values["retire"] === true && other !== undefined) {
    throw new Failure("E_USAGE", {
      what: `--retire and --${other} exclude each other`,
      next: "Take away what is projected, then restore",
    });
  }
  return {
    ...globalsOf(values),
    output: outputOf(values),
    force: values["force"] === true,
    dryRun: values["dry-run"] === true,
    generation: generation === undefined ? undefined : parseGeneration(generation),
    from,
    resetAttempts: values["reset-attempts"] === true,
    retire: values["retire"] === true,
  };
}

/**
 * Takes the text of a generation number.
 *
 * Pure.
 *
 * @throws {Failure} E_USAGE only when it is not a positive whole number
 */
export function parseGeneration(text: string): number {
  const generation = /^[1-9][0-9]{0,14}$/.test(text) ? Number(text) : 0;
  if (generation === 0) {
    throw new Failure("E_USAGE", {
      what: "a generation is a positive whole number",
      where: "--generation",
      found: JSON.stringify(text.slice(0, 40)),
      next: "`blackstart status` lists the generations",
    });
  }
  return generation;
}
