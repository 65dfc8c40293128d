import { Failure } from "../errors.ts";
import { parseJson } from "../model/json.ts";
import { parseYaml } from "./yaml.ts";
import { maxDepth, parseFailure } from "./yaml-reader.ts";

/** One document of a file. */
export interface Document {
  readonly value: unknown;
  /** Line of the file on which the document starts, from 1. */
  readonly line: number;
}

/**
 * Reads the documents of one text, YAML or JSON, as kubectl does.
 *
 * Pure. A text or a part between `---` lines that starts with `{` or `[` is taken as JSON, or as
 * several JSON objects one after another; everything else, and what turns out not to be JSON, is
 * YAML. Empty documents are left out.
 * Source: apimachinery v0.37.2 `pkg/util/yaml/decoder.go`.
 *
 * @param source the file's name, for messages
 * @throws {Failure} E_PARSE only when a document is neither; names the line and never quotes the text
 */
export async function parseDocuments(text: string, source: string): Promise<readonly Document[]> {
  const body = text.replace(/^\ufeff/, "");
  const whole = /^\s*[{[]/.test(body) ? parseJsonStream(body) : undefined;
  if (whole !== undefined) {
    return whole.map(({ value, line }) => ({ value: boundDepth(value, source, line), line }));
  }
  const documents: Document[] = [];
  for (const part of splitDocuments(body, source)) {
    documents.push(...(await parsePart(part, source)));
  }
  return documents;
}

interface Part {
  readonly text: string;
  readonly line: number;
}

async function parsePart({ text, line }: Part, source: string): Promise<readonly Document[]> {
  const looksLikeJson = /^\s*[{[]/.test(text);
  const stream = looksLikeJson ? parseJsonStream(text) : undefined;
  const documents = stream?.map((document) => ({
    value: document.value,
    line: line + document.line - 1,
  })) ?? [
    {
      value: looksLikeJson
        ? await parseFlow(text, source, line)
        : await parseYaml(text, source, line),
      line: line + leadingLines(text),
    },
  ];
  return documents
    .filter(({ value }) => value !== undefined && value !== null)
    .map((document) => ({ ...document, value: boundDepth(document.value, source, document.line) }));
}

/** YAML in braces. When it is not that either, it was meant as JSON, and that error says more. */
async function parseFlow(text: string, source: string, line: number): Promise<unknown> {
  const jsonError = jsonErrorOf(text, source, line);
  if (text.length > 1_048_576) {
    throw jsonError;
  }
  try {
    return await parseYaml(text, source, line);
  } catch (error) {
    throw error instanceof Failure && error.code === "E_PARSE" ? jsonError : error;
  }
}

function jsonErrorOf(text: string, source: string, line: number): Failure {
  try {
    parseJson(text);
  } catch (error) {
    // The message may quote the text; only its position and this one cause are taken from it.
    const message = error instanceof Error ? error.message : "";
    if (/end of JSON input|Unterminated string/.test(message)) {
      return parseFailure(source, line + countLines(text), "the JSON text is cut off");
    }
    const position = /at position (\d+)/.exec(message)?.[1];
    const before = text.slice(0, position === undefined ? 0 : Number(position));
    const at = position === undefined ? line + leadingLines(text) : line + countLines(before);
    return parseFailure(source, at, "the JSON text has a syntax error");
  }
  return parseFailure(source, line, "the JSON text has a syntax error");
}

/** Splits at lines that start with `---`; only a comment may follow, as kubectl demands. */
function splitDocuments(text: string, source: string): readonly Part[] {
  const parts: Part[] = [];
  const separator = /^---(.*)$/gm;
  let from = 0;
  let line = 1;
  for (let match = separator.exec(text); match !== null; match = separator.exec(text)) {
    const before = text.slice(from, match.index);
    const rest = (match[1] ?? "").trim();
    const lineOfSeparator = line + countLines(before);
    if (rest !== "" && !rest.startsWith("#")) {
      throw new Failure("E_PARSE", {
        what: "a document separator is followed by something else",
        where: `${source}:${lineOfSeparator}`,
        found: "text after `---`",
        next: "Put the text on a line of its own",
      });
    }
    parts.push({ text: before, line });
    from = match.index + match[0].length;
    line = lineOfSeparator;
  }
  parts.push({ text: text.slice(from), line });
  return parts.filter((part) => !/^\s*(%YAML [^\n]*\s*)?$/.test(part.text));
}

/** JSON objects one after another; undefined when the text is anything else. */
function parseJsonStream(text: string): readonly Document[] | undefined {
  try {
    return [{ value: parseJson(text), line: 1 + leadingLines(text) }];
  } catch {
    // Not one JSON value: perhaps several.
  }
  const documents: Document[] = [];
  let line = 1;
  let from = 0;
  for (const end of objectEnds(text)) {
    const part = text.slice(from, end);
    try {
      documents.push({ value: parseJson(part), line: line + leadingLines(part) });
    } catch {
      return undefined;
    }
    line += countLines(part);
    from = end;
  }
  return text.slice(from).trim() === "" ? documents : undefined;
}

/** Where each top-level object ends, by counting braces outside of strings. */
function* objectEnds(text: string): Generator<number> {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (inString) {
      at += character === "\\" ? 1 : 0;
      inString = character !== '"';
    } else if (character === '"') {
      inString = true;
    } else if (character === "{") {
      depth += 1;
    } else if (character === "}") {
      depth -= 1;
      if (depth === 0) {
        yield at + 1;
      }
    }
  }
}

/** Everything after this may recurse over the value. */
function boundDepth(value: unknown, source: string, line: number): unknown {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > maxDepth) {
      throw new Failure("E_PARSE", {
        what: "a document nests too deeply",
        where: `${source}:${line}`,
        found: `more than ${maxDepth} levels`,
        next: "Correct the file",
      });
    }
    level = level.flatMap((item) =>
      typeof item === "object" && item !== null ? Object.values(item).filter(isContainer) : [],
    );
  }
  return value;
}

function isContainer(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) {
    lines += 1;
  }
  return lines;
}

/** Blank and comment lines before the first line of content. */
function leadingLines(text: string): number {
  return countLines(text.slice(0, Math.max(0, text.search(/^[^\S\n]*[^\s#]/m))));
}
