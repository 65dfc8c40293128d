import { distance } from "fastest-levenshtein";
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { Failure } from "./errors.ts";

/** One value of the configuration file, with the line that it stands on. */
export interface Located {
  /** `probe.deadline`, for messages; "" is the whole file. */
  readonly field: string;
  readonly line: number;
  readonly value:
    | { readonly kind: "scalar"; readonly scalar: unknown }
    | { readonly kind: "list"; readonly items: readonly Located[] }
    | { readonly kind: "map"; readonly entries: ReadonlyMap<string, Located> };
}

/** More values than any configuration has: aliases that multiply end here. */
const maxValues = 10_000;
const maxDepth = 20;

/**
 * Reads one YAML document into values that know their line.
 *
 * Pure. Aliases are followed, within limits; an empty document is an empty map.
 *
 * @throws {Failure} E_CONFIG only when the text is not one YAML document, or has a duplicate key
 */
export function parseTree(text: string, source: string): Located {
  const lines = new LineCounter();
  const document = compose(text, source, lines);
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    const what = error.code === "DUPLICATE_KEY" ? "a key stands there twice" : "it is not YAML";
    const code = error.code.toLowerCase().replaceAll("_", " ");
    throw failure(source, line, what, `${code}, column ${col}`);
  }
  let count = 0;
  const locate = (
    node: Node | null | undefined,
    field: string,
    at: number,
    depth: number,
  ): Located => {
    const line =
      node?.range === undefined || node.range === null ? at : lines.linePos(node.range[0]).line;
    count += 1;
    if (count > maxValues || depth > maxDepth) {
      throw failure(
        source,
        line,
        "there is more in it than a configuration can hold",
        "too deep or too many values",
      );
    }
    if (isAlias(node)) {
      const target = node.resolve(document);
      if (target === undefined) {
        throw failure(source, line, `${field} is an alias of nothing`, undefined);
      }
      return { ...locate(target, field, line, depth + 1), line };
    }
    if (isSeq<Node>(node)) {
      const items = node.items.map((item, index) =>
        locate(item, `${field}[${index}]`, line, depth + 1),
      );
      return { field, line, value: { kind: "list", items } };
    }
    if (isMap<Node, Node | null>(node)) {
      const entries = new Map<string, Located>();
      for (const { key, value } of node.items) {
        const name = isScalar(key) ? String(key.value) : "(not a name)";
        const keyLine = key.range ? lines.linePos(key.range[0]).line : line;
        const path = field === "" ? name : `${field}.${name}`;
        entries.set(name, { ...locate(value, path, keyLine, depth + 1), line: keyLine });
      }
      return { field, line, value: { kind: "map", entries } };
    }
    return { field, line, value: { kind: "scalar", scalar: isScalar(node) ? node.value : null } };
  };
  const tree = locate(document.contents, "", 1, 0);
  const { value } = tree;
  const isEmpty = value.kind === "scalar" && value.scalar === null;
  return isEmpty ? { ...tree, value: { kind: "map", entries: new Map() } } : tree;
}

function compose(text: string, source: string, lineCounter: LineCounter) {
  try {
    // Without pretty errors no line of the file gets into a message.
    return parseDocument<Node>(text, { lineCounter, prettyErrors: false, logLevel: "error" });
  } catch (cause) {
    throw failure(
      source,
      1,
      "it is not YAML",
      cause instanceof RangeError ? "too deep" : "unreadable",
    );
  }
}

/**
 * The fields of a map, each known; null counts as absent.
 *
 * Pure.
 *
 * @throws {Failure} E_CONFIG only when the value is no map or has a field that is not known
 */
export function fieldsOf(
  { field, line, value }: Located,
  source: string,
  known: readonly string[],
): ReadonlyMap<string, Located> {
  const name = field === "" ? "the file" : field;
  if (value.kind !== "map") {
    throw failure(source, line, `${name} must be a map of fields`, describeValue(value));
  }
  for (const [key, entry] of value.entries) {
    if (!known.includes(key)) {
      const [nearest = ""] = known.toSorted((a, b) => distance(a, key) - distance(b, key));
      const isClose = distance(nearest, key) <= Math.max(2, nearest.length / 2);
      const next = isClose ? `Did you mean ${nearest}?` : `Known here: ${known.join(", ")}`;
      throw failure(
        source,
        entry.line,
        `${printable(entry.field)} is not a known key`,
        undefined,
        next,
      );
    }
  }
  const isGiven = ([, entry]: [string, Located]) =>
    entry.value.kind !== "scalar" || entry.value.scalar !== null;
  return new Map([...value.entries].filter(isGiven));
}

/** Pure. What a value is, short and without line breaks. */
export function describeValue(value: Located["value"]): string {
  if (value.kind !== "scalar") {
    return value.kind === "list" ? "a list" : "a map";
  }
  const { scalar } = value;
  return typeof scalar === "string" ? printable(JSON.stringify(scalar)) : printable(String(scalar));
}

function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?").slice(0, 60);
}

/** Pure. The one shape of every complaint about the configuration. */
export function failure(
  source: string,
  line: number,
  problem: string,
  found: string | undefined,
  next = "Correct the file",
): Failure {
  return new Failure("E_CONFIG", {
    what: `the configuration is not usable: ${problem}`,
    where: `${source}, line ${line}`,
    ...(found === undefined ? {} : { found }),
    next,
  });
}
