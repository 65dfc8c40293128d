import { type Config, defaultConfig, type Selection } from "./config.ts";
import { describeValue, failure, fieldsOf, type Located, parseTree } from "./config-tree.ts";
import { parseDuration } from "./model/duration.ts";
import { isDnsLabel, isDnsSubdomain } from "./model/names.ts";
import { parseServer } from "./model/server-url.ts";

/** The largest configuration file, bytes. */
export const configLimitBytes = 1_048_576;

const minute = 60_000;

/**
 * Takes the text of the configuration file.
 *
 * Pure. Every key is optional; an empty file gives the defaults. Deep-frozen; `root` is "/".
 *
 * @param source  how messages name the file
 * @throws {Failure} E_CONFIG only when the text is not the YAML of a configuration: with its line
 */
export function parseConfig(text: string, source: string): Config {
  if (Buffer.byteLength(text) > configLimitBytes) {
    throw failure(source, 1, `it is larger than ${configLimitBytes} bytes`, undefined);
  }
  const take = taker(source);
  const file = take.map(parseTree(text, source), [
    "select",
    "kubeconfig",
    "staticPodPath",
    "recipients",
    "probe",
    "capture",
    "retention",
    "settle",
    "secretEnv",
    "swap",
    "images",
  ]);
  const probe = take.map(file.get("probe"), ["deadline", "network", "endpoints"]);
  const capture = take.map(file.get("capture"), ["interval"]);
  const retention = take.map(file.get("retention"), ["generations"]);
  const images = take.map(file.get("images"), ["pin", "pullRecords", "archive"]);
  const standard = defaultConfig;
  return deepFreeze({
    root: standard.root,
    select: take.selection(file.get("select")) ?? standard.select,
    kubeconfig: take.pathOr("auto", file.get("kubeconfig")) ?? standard.kubeconfig,
    staticPodPath: take.pathOr("auto", file.get("staticPodPath")) ?? standard.staticPodPath,
    recipients: take.list(file.get("recipients"), take.path) ?? standard.recipients,
    probe: {
      deadlineMs:
        take.duration(probe.get("deadline"), 100, 10 * minute) ?? standard.probe.deadlineMs,
      networkMs: take.duration(probe.get("network"), 0, 60 * minute) ?? standard.probe.networkMs,
      endpoints: take.list(probe.get("endpoints"), take.server) ?? standard.probe.endpoints,
    },
    capture: {
      intervalMs:
        take.duration(capture.get("interval"), 1_000, 24 * 60 * minute) ??
        standard.capture.intervalMs,
    },
    retention: {
      generations:
        take.count(retention.get("generations"), 1, 1_000) ?? standard.retention.generations,
    },
    settleMs: take.duration(file.get("settle"), 0, 7 * 24 * 60 * minute) ?? standard.settleMs,
    secretEnv: take.word(file.get("secretEnv"), ["inline", "refuse"]) ?? standard.secretEnv,
    swap: take.word(file.get("swap"), ["refuse", "allow"]) ?? standard.swap,
    images: {
      pin: take.flag(images.get("pin")) ?? standard.images.pin,
      pullRecords:
        take.word(images.get("pullRecords"), ["set-aside", "keep"]) ?? standard.images.pullRecords,
      archive: take.pathOr("off", images.get("archive")) ?? standard.images.archive,
    },
  });
}

/** Readers of one value each: undefined gives undefined, a wrong value is E_CONFIG with its line. */
function taker(source: string) {
  const wrong = ({ field, line, value }: Located, expected: string) =>
    failure(source, line, `${field} must be ${expected}`, describeValue(value));
  const scalarOf = ({ value }: Located) => (value.kind === "scalar" ? value.scalar : undefined);

  const text = (located: Located, expected: string, isRight: (text: string) => boolean): string => {
    const scalar = scalarOf(located);
    if (typeof scalar !== "string" || !isRight(scalar)) {
      throw wrong(located, expected);
    }
    return scalar;
  };
  const path = (located: Located): string => text(located, "an absolute path", isAbsolutePath);
  const list = <Item>(located: Located | undefined, take: (item: Located) => Item) => {
    if (located === undefined) {
      return undefined;
    }
    if (located.value.kind !== "list") {
      throw wrong(located, "a list");
    }
    return located.value.items.map(take);
  };
  const map = (located: Located | undefined, known: readonly string[]) =>
    located === undefined ? new Map<string, Located>() : fieldsOf(located, source, known);

  return {
    map,
    list,
    path,
    pathOr: (word: string, located: Located | undefined) =>
      located === undefined
        ? undefined
        : text(
            located,
            `"${word}" or an absolute path`,
            (given) => given === word || isAbsolutePath(given),
          ),
    server: (located: Located): string =>
      text(located, "https://host:port", (given) => !("problem" in parseServer(given))),
    flag(located: Located | undefined): boolean | undefined {
      const scalar = located === undefined ? undefined : scalarOf(located);
      if (located !== undefined && typeof scalar !== "boolean") {
        throw wrong(located, "true or false");
      }
      return typeof scalar === "boolean" ? scalar : undefined;
    },
    word<Word extends string>(located: Located | undefined, words: readonly Word[]) {
      if (located === undefined) {
        return undefined;
      }
      const scalar = scalarOf(located);
      const word = words.find((candidate) => candidate === scalar);
      if (word === undefined) {
        throw wrong(located, words.join(" or "));
      }
      return word;
    },
    count(located: Located | undefined, least: number, most: number): number | undefined {
      if (located === undefined) {
        return undefined;
      }
      const scalar = scalarOf(located);
      if (
        typeof scalar !== "number" ||
        !Number.isInteger(scalar) ||
        scalar < least ||
        scalar > most
      ) {
        throw wrong(located, `a whole number from ${least} to ${most}`);
      }
      return scalar;
    },
    duration(located: Located | undefined, leastMs: number, mostMs: number): number | undefined {
      if (located === undefined) {
        return undefined;
      }
      const scalar = scalarOf(located);
      const ms = scalar === 0 ? 0 : parseDuration(typeof scalar === "string" ? scalar : "");
      if (ms === undefined || ms < leastMs || ms > mostMs) {
        const range = `from ${leastMs / 1000}s to ${mostMs / 1000}s`;
        throw wrong(located, `a duration such as 5s or 1h30m, ${range}`);
      }
      return Math.round(ms);
    },
    selection(located: Located | undefined): Selection | undefined {
      if (located === undefined) {
        return undefined;
      }
      const scalar = scalarOf(located);
      if (scalar === "annotated" || scalar === "all") {
        return { kind: scalar };
      }
      if (located.value.kind !== "map") {
        throw wrong(located, "annotated, all, or a map of selectors");
      }
      const fields = map(located, ["namespaces", "labelSelector", "priorityClassNames"]);
      const label = fields.get("labelSelector");
      const namespaces = list(fields.get("namespaces"), (item) =>
        text(item, "a namespace's name", isDnsLabel),
      );
      const priorityClassNames = list(fields.get("priorityClassNames"), (item) =>
        text(item, "a priority class's name", isDnsSubdomain),
      );
      const labelSelector =
        label === undefined ? undefined : text(label, "a label selector", isLabelSelectorText);
      if (!namespaces?.length && !priorityClassNames?.length && labelSelector === undefined) {
        throw wrong(located, "a map that names namespaces, labelSelector or priorityClassNames");
      }
      return {
        kind: "selector",
        namespaces: namespaces ?? [],
        labelSelector,
        priorityClassNames: priorityClassNames ?? [],
      };
    },
  };
}

function isAbsolutePath(text: string): boolean {
  return text.startsWith("/") && text.length < 4_096 && !/[^ -~\u00a0-\uffff]/.test(text);
}

/** Its grammar is the selection's matter. */
function isLabelSelectorText(text: string): boolean {
  return text.trim() !== "" && text.length <= 4_096;
}

function deepFreeze(config: Config): Config {
  const freeze = (value: unknown): void => {
    if (typeof value === "object" && value !== null) {
      Object.freeze(value);
      Object.values(value).forEach(freeze);
    }
  };
  freeze(config);
  return config;
}
