import { closest, distance } from "fastest-levenshtein";
import { Failure } from "../errors.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";
import type { Values } from "./options.ts";

/**
 * Checks what was parsed against the command's table.
 *
 * Pure.
 *
 * @throws {Failure} E_USAGE only when a flag is unknown, repeated or out of its choices, or a word is left over
 */
export function checkValues(command: Command, values: Values): void {
  const line = command.words.join(" ");
  const help = `\`blackstart ${line} --help\` lists its options`;
  const known = Object.keys(command.options);
  for (const [name, value] of Object.entries(values)) {
    const option = Object.hasOwn(command.options, name) ? command.options[name] : undefined;
    if (name === "_") {
      const [extra] = wordsOf(value).slice(command.words.length);
      if (extra !== undefined) {
        throw usage(`${line} takes no further word`, quote(extra), help);
      }
    } else if (option === undefined) {
      if (name !== command.positional?.name) {
        const flag = flagOf(name);
        const near = nearest(flag, known.map(flagOf));
        throw usage(`${line} has no option ${quote(flag)}`, undefined, near ?? help);
      }
    } else if (option.multiple !== true && Array.isArray(value)) {
      throw usage(`${flagOf(name)} is given more than once`, undefined, "Give it once");
    } else if (option.choices !== undefined && !option.choices.includes(String(value))) {
      const found = quote(String(value));
      throw usage(`${flagOf(name)} is one of ${option.choices.join(", ")}`, found, help);
    }
  }
}

/** Stands for the word `-` while yargs, which takes it for a flag, parses. No argument can hold a NUL. */
export const standardInput = "\0-";

/** Pure. The flags that were given, as the parser reports them; its own entries are left out. */
export function readValues(parsed: Readonly<Record<string, unknown>>): Values {
  const entries = Object.entries(parsed).filter(([name]) => name !== "$0");
  return Object.fromEntries(
    entries
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => {
        if (typeof value === "boolean") {
          return [name, value];
        }
        return [name, Array.isArray(value) ? value.map(wordOf) : wordOf(value)];
      }),
  );
}

/** Pure. Words that are no flags. */
export function wordsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(wordOf) : [];
}

function wordOf(value: unknown): string {
  return value === standardInput ? "-" : String(value);
}

/** Pure. The failure for a word that is no command, with the nearest one that is. */
export function unknownCommand(words: readonly string[]): Failure {
  const line = words.join(" ");
  const members = commands.filter(
    (command) => command.words.length > 1 && command.words[0] === line,
  );
  if (members.length > 0) {
    const list = members.map((command) => command.words[1]).join(", ");
    return usage(
      `${line} takes one of ${list}`,
      undefined,
      `\`blackstart ${line} --help\` tells them`,
    );
  }
  const near = nearest(
    line,
    commands.map((command) => command.words.join(" ")),
  );
  return usage(
    `there is no command ${quote(line)}`,
    undefined,
    near ?? "`blackstart --help` lists the commands",
  );
}

/** Pure. The failure for a command line that the parser itself refuses. */
export function usageOf(message: string): Failure {
  const flag = message.match(/^Not enough arguments following: (\S+)/)?.[1];
  const what = message.startsWith("Not enough non-option arguments")
    ? "the command needs another word"
    : flag === undefined
      ? message.split("\n", 1)[0]
      : `${flagOf(flag)} needs a value`;
  return usage(what ?? message, undefined, "`blackstart <command> --help` shows how it is used");
}

/** Pure. A failure of the command line. */
export function usage(what: string, found: string | undefined, next: string): Failure {
  return new Failure("E_USAGE", { what, next, ...(found === undefined ? {} : { found }) });
}

function nearest(word: string, known: readonly string[]): string | undefined {
  const found = closest(word, [...known]);
  return distance(word, found) <= Math.max(2, Math.floor(word.length / 3))
    ? `Did you mean ${found}`
    : undefined;
}

function flagOf(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

function quote(word: string): string {
  return JSON.stringify(word.slice(0, 60));
}
