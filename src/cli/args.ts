import { Exit, type ExitStatus } from "../errors.ts";
import type { Command } from "./command.ts";
import type { Values } from "./options.ts";
import { buildParser } from "./parser.ts";
import { checkValues, standardInput, usage } from "./usage.ts";

/**
 * Parses a command line, runs its command and gives the exit status.
 *
 * Help goes to stdout and ends with 0.
 *
 * @throws {Failure} E_USAGE only when the words are not a command line of ours, and what the command throws
 */
export async function run(words: readonly string[]): Promise<ExitStatus> {
  let chosen: { readonly command: Command; readonly values: Values } | undefined;
  let help = "";
  const parser = buildParser((command, values) => {
    chosen = { command, values };
  });
  const marked = words.map((word) => (word === "-" ? standardInput : word));
  await parser.parseAsync(marked, {}, (_error, _values, output) => {
    help = output;
  });
  if (help !== "") {
    process.stdout.write(`${help}\n`);
    return Exit.ok;
  }
  if (chosen === undefined) {
    throw usage("no command is given", undefined, "`blackstart --help` lists the commands");
  }
  checkValues(chosen.command, chosen.values);
  return chosen.command.run(chosen.values);
}
