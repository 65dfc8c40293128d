/** One flag of a command. A superset of what `node:util` parseArgs takes. */
export interface Option {
  readonly type: "string" | "boolean";
  /** One letter. */
  readonly short?: string;
  /** May be given several times, or take several values. */
  readonly multiple?: true;
  readonly choices?: readonly string[];
  /** What its value stands for in the help, as `FILE`. */
  readonly value?: string;
  /** What applies without the flag, as the help says it. */
  readonly otherwise?: string;
  readonly describe: string;
}

export type OptionTable = Readonly<Record<string, Option>>;

/** The flags that were given, by long name, before a command gives them their meaning. */
export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** How a command prints its data. */
export type OutputFormat = "text" | "json" | "yaml";

/** What every command is told. */
export interface GlobalOptions {
  /** Absolute or relative to the working directory; "/" on a node. */
  readonly root: string;
  /** undefined: the default file, which need not exist. */
  readonly config: string | undefined;
  readonly verbose: boolean;
}

/** Options that every command takes. */
export const globalOptions = {
  root: {
    type: "string",
    value: "DIR",
    otherwise: "/",
    describe: "Prefix for every path: a test tree, an image, a chroot",
  },
  config: {
    type: "string",
    value: "FILE",
    otherwise: "/etc/blackstart/config.yaml, which need not exist",
    describe: "Configuration file",
  },
  verbose: { type: "boolean", short: "v", describe: "Say more on stderr" },
} as const satisfies OptionTable;

/** The option of every command that prints data. */
export const outputOption = {
  type: "string",
  short: "o",
  value: "FORMAT",
  choices: ["text", "json", "yaml"],
  otherwise: "text",
  describe: "How to print the result",
} as const satisfies Option;

/** Pure. The text of a flag, or undefined where it was not given. */
export function textOf(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

/** Pure. The texts of a flag or positional that may be given several times. */
export function textsOf(values: Values, name: string): readonly string[] {
  const value = values[name];
  return typeof value === "string" ? [value] : Array.isArray(value) ? value.map(String) : [];
}

/** Pure. The options that every command is told. */
export function globalsOf(values: Values): GlobalOptions {
  return {
    root: textOf(values, "root") ?? "/",
    config: textOf(values, "config"),
    verbose: values["verbose"] === true,
  };
}

/** Pure. How to print; its choices are checked before. */
export function outputOf(values: Values): OutputFormat {
  const value = textOf(values, "output");
  return value === "json" || value === "yaml" ? value : "text";
}
