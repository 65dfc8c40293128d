import yargs, { type Argv } from "yargs";
import { type Command, everyExit } from "./command.ts";
import { commandGroups, commands } from "./commands.ts";
import { globalOptions, type Option, type OptionTable, type Values } from "./options.ts";
import { readValues, unknownCommand, usageOf, wordsOf } from "./usage.ts";
import { describeVersion } from "./version.ts";

/**
 * A yargs parser of all commands: it finds the command, collects its flags and writes the help.
 *
 * @param choose  told the command and its flags once they are parsed, unchecked
 */
export function buildParser(choose: (command: Command, values: Values) => void): Argv {
  const parser = yargs()
    .scriptName("blackstart")
    .locale("en")
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "short-option-groups": true,
      "strip-aliased": true,
    })
    .usage("$0 <command> [options]\n\nBrings a self-hosted control plane back after a cold boot.")
    .version(describeVersion())
    .help()
    .alias("help", "h")
    .wrap(Math.min(process.stdout.columns ?? 100, 100))
    .exitProcess(false)
    .fail((message, error) => {
      throw error instanceof Error && error.name !== "YError" ? error : usageOf(message);
    })
    .epilogue("`blackstart <command> --help` tells its options, examples and exit statuses.");
  addOptions(parser, globalOptions);
  parser.group(Object.keys(globalOptions), "Options of every command:");
  for (const command of commands) {
    if (command.words.length === 1) {
      addCommand(parser, command, choose);
    }
  }
  for (const [group, summary] of Object.entries(commandGroups)) {
    parser.command(
      group,
      summary,
      (inner) => {
        for (const command of commands) {
          if (command.words.length > 1 && command.words[0] === group) {
            addCommand(inner, command, choose);
          }
        }
        return inner.usage(`$0 ${group} <command> [options]\n\n${summary}`).version(false);
      },
      (values) => {
        throw unknownCommand(wordsOf(values["_"]));
      },
    );
  }
  return parser.command("$0", false, {}, (values) => {
    const words = wordsOf(values["_"]);
    if (words.length > 0) {
      throw unknownCommand(words);
    }
  });
}

function addCommand(
  parser: Argv,
  command: Command,
  choose: (command: Command, values: Values) => void,
): void {
  const { positional } = command;
  const word = command.words.at(-1) ?? "";
  parser.command(
    positional === undefined ? word : `${word} <${positional.name}>`,
    command.summary,
    (inner) => describeCommand(inner, command),
    (values) => {
      choose(command, readValues(values));
    },
  );
}

function describeCommand(parser: Argv, command: Command): Argv {
  const { positional } = command;
  const words = command.words.join(" ");
  const place = positional === undefined ? "" : ` ${positional.name}`;
  parser.usage(`$0 ${words}${place} [options]\n\n${command.description.join("\n\n")}`);
  if (positional !== undefined) {
    parser.positional(positional.name, { type: "string", describe: positional.describe });
  }
  addOptions(parser, ownOptions(command));
  for (const { line, says } of command.examples) {
    parser.example(`$0 ${line}`, says);
  }
  const statuses = [...command.exits, ...everyExit]
    .toSorted((left, right) => left.status - right.status)
    .map(({ status, says }) => `${String(status).padStart(4)}  ${says}`);
  return parser.epilogue(["Exit status:", ...statuses].join("\n")).version(false);
}

/** yargs hands the options of every command down by itself. */
function ownOptions(command: Command): OptionTable {
  const own = Object.entries(command.options).filter(
    ([name]) => !Object.hasOwn(globalOptions, name),
  );
  return Object.fromEntries(own);
}

function addOptions(parser: Argv, options: OptionTable): void {
  for (const [name, option] of Object.entries(options)) {
    parser.option(name, describeOption(option));
  }
}

function describeOption(option: Option): Record<string, unknown> {
  const value = option.value === undefined ? "" : `${option.value}: `;
  const choices = option.choices === undefined ? "" : ` (${option.choices.join(", ")})`;
  return {
    type: option.type,
    describe: `${value}${option.describe}${choices}`,
    ...(option.short === undefined ? {} : { alias: option.short }),
    ...(option.otherwise === undefined ? {} : { defaultDescription: option.otherwise }),
    ...(option.type === "string" ? { requiresArg: true } : {}),
    ...(option.multiple === true ? { array: true } : {}),
  };
}
