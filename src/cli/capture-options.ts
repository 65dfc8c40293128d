import { parseArgs } from "node:util";
import type { CaptureOptions } from "./capture.ts";
import { nodeName, objectPaths, select, selectOf } from "./command.ts";
import {
  globalOptions,
  globalsOf,
  type OptionTable,
  outputOf,
  outputOption,
  textOf,
  textsOf,
  type Values,
} from "./options.ts";

/** The options of `capture`: of a watch read by parseArgs, in every other case by the full parser. */
export const captureOptions = {
  ...globalOptions,
  output: outputOption,
  watch: {
    type: "boolean",
    describe:
      "Stay, and capture within 2 s of a change that matters, at most once in `capture.interval` of the configuration (1 minute); SIGHUP reads that anew, SIGTERM and SIGINT end it with 0",
  },
  "allow-empty": {
    type: "boolean",
    describe:
      "Let a generation without a pod take the place of one with pods; with neither --watch nor --from",
  },
  from: { ...objectPaths, describe: `${objectPaths.describe}. No apiserver is asked` },
  node: {
    ...nodeName,
    otherwise:
      "as the kubelet is called; with --from the only node in the objects, else this host's name",
  },
  select,
} as const satisfies OptionTable;

/**
 * Takes the words after `capture` where they plainly say `--watch`: the full parser would stay in memory for as long
 * as the watch does, 3 MB.
 *
 * Pure. undefined when they say anything else, or when anything about them is not right.
 */
export function parseWatchArguments(words: readonly string[]): CaptureOptions | undefined {
  try {
    const { values, tokens } = parseArgs({
      args: [...words],
      options: captureOptions,
      strict: true,
      allowPositionals: false,
      tokens: true,
    });
    const names = tokens.map((token) => (token.kind === "option" ? token.name : token.kind));
    const isPlain =
      new Set(names).size === names.length &&
      isChoice(values.output, outputOption.choices) &&
      isChoice(values.select, select.choices);
    return isPlain && values.watch === true ? toCaptureOptions(values) : undefined;
  } catch {
    return undefined;
  }
}

function isChoice(value: string | undefined, choices: readonly string[]): boolean {
  return value === undefined || choices.includes(value);
}

/** Gives the flags their meaning. Pure. */
export function toCaptureOptions(values: Values): CaptureOptions {
  return {
    ...globalsOf(values),
    output: outputOf(values),
    from: textsOf(values, "from"),
    node: textOf(values, "node"),
    select: selectOf(values),
    watch: values["watch"] === true,
    allowEmpty: values["allow-empty"] === true,
  };
}
