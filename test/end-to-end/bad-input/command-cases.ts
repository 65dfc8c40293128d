import { rmSync, writeFileSync } from "node:fs";
import type { BadInput } from "./bad-input.ts";

/** A configuration that is refused, with its line. */
function config(number: number, name: string, text: string, says: RegExp): BadInput {
  return {
    case: number,
    name: `the configuration ${name}`,
    given: (node) => writeFileSync(node.at(at), text),
    code: "E_CONFIG",
    exit: 78,
    says,
    opens: undefined,
  };
}

/** A command line that is refused. */
function usage(name: string, words: readonly string[], says: RegExp): BadInput {
  return { case: 91, name, words, code: "E_USAGE", exit: 64, says };
}

const at = "etc/blackstart/config.yaml";

export const commandCases: readonly BadInput[] = [
  {
    case: 87,
    name: "the clock says 1970",
    given: () => ({ before: ["faketime", "1970-01-01 00:00:10"] }),
    code: "W_CLOCK",
    exit: 0,
    isSaid: true,
    restores: 2,
    says: /clock is [\d,]+ days behind checkpoint 2 .*order is by number.*\. Set the clock/,
  },
  {
    case: 88,
    name: "the clock says 2060",
    given: () => ({ before: ["faketime", "2060-01-01 00:00:10"] }),
    code: "W_CLOCK",
    exit: 0,
    isSaid: true,
    restores: 2,
    says: /taken .*unknown/,
  },
  {
    case: 89,
    name: "there is no configuration",
    given: (node) => rmSync(node.at(at)),
    words: ["status", "-v"],
    code: "I_DEFAULTS",
    exit: 0,
    isSaid: true,
  },
  {
    case: 89,
    name: "the configuration that is named is missing",
    words: (node) => ["restore", "--force", "--config", node.at("none.yaml")],
    code: "E_CONFIG",
    exit: 78,
    says: /none\.yaml.*no such file/,
  },
  config(89, "is not YAML", 'swap: allow\nprobe: {deadline: "5s\n', /config\.yaml, line [23]\)/),
  config(
    89,
    "has an unknown key",
    "swap: allow\nretension: {generations: 3}\n",
    /line 2.*Did you mean retention/,
  ),
  config(89, "has a value of another type", "swap: allow\nrecipients: yes\n", /list.*line 2/),
  config(89, "is a list", "- swap: allow\n", /map.*line 1/),
  config(90, "keeps no generation", "retention: {generations: 0}\n", /from 1 to.*line 1/),
  config(90, "has a negative time", "swap: allow\nsettle: -1s\n", /duration.*line 2/),
  config(90, "has a time with a space", "probe:\n  deadline: 10 MB\n", /duration.*line 2/),
  config(90, "has a relative path", "staticPodPath: manifests\n", /absolute.*line 1/),
  usage("a command is unknown", ["restroe"], /Did you mean restore/),
  usage("a flag is unknown", ["restore", "--forse"], /--forse.*Did you mean --force/),
  usage("there is no command", [], /blackstart --help/),
  usage("a value is missing", ["restore", "--generation"], /--generation needs a value/),
  usage("a value is out of its choices", ["status", "-o", "xml"], /one of text, json, yaml/),
  usage(
    "a generation is no number",
    ["show", "web", "--generation", "newest"],
    /positive whole number/,
  ),
  usage("a word is left over", ["verify", "all"], /no further word/),
  usage("a flag is given twice", ["restore", "--from", "a", "--from", "b"], /more than once/),
  usage("flags exclude each other", ["restore", "--from", "a", "--generation", "2"], /exclude/),
  usage("a pod is not named", ["show"], /another word|POD/),
  usage(
    "--from and --watch contradict each other",
    ["capture", "--watch", "--from", "x"],
    /--from/,
  ),
  usage(
    "--from and --allow-empty contradict each other",
    ["capture", "--allow-empty", "--from", "x"],
    /--from/,
  ),
  usage(
    "--watch and --allow-empty contradict each other",
    ["capture", "--allow-empty", "--watch"],
    /--watch/,
  ),
  {
    case: 100,
    name: "a unit that is given no credentials makes a cold boot, and there is no other key",
    given: (node) => {
      rmSync(node.keys, { recursive: true });
      return { before: ["sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$@"', "sh"] };
    },
    code: "E_UNIT",
    exit: 78,
    opens: undefined,
    says: /Start through blackstart-restore.service/,
  },
];
