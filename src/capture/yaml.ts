import type { Lexer, Node } from "yaml";
import { Failure } from "../errors.ts";
import { maxDepth, parseFailure, YamlReader } from "./yaml-reader.ts";

/** About 4 MiB of usual YAML; a token takes up to 500 bytes of memory. */
const maxTokens = 2_000_000;

/**
 * Parses one YAML document to the JSON value that kubectl makes of it.
 *
 * Pure. undefined for an empty document. Mappings become plain objects, `__proto__` included.
 *
 * @param source    the file's name, for messages
 * @param firstLine line of the file on which `text` starts, from 1
 * @throws {Failure} E_PARSE only when the text is not YAML, nests too deeply, repeats a key or expands
 *   aliases out of proportion; names the line and never quotes the text. E_TOO_BIG only when the
 *   document has more than 2,000,000 tokens
 */
export async function parseYaml(text: string, source: string, firstLine: number): Promise<unknown> {
  // Boot never reads YAML: the parser is loaded only by who does.
  const yaml = await import("yaml");
  const lines = new yaml.LineCounter();
  const lineOf = (offset: number) => firstLine - 1 + Math.max(1, lines.linePos(offset).line);

  const control = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(text);
  if (control !== null) {
    const line = firstLine + text.slice(0, control.index).split("\n").length - 1;
    throw parseFailure(source, line, "a control character");
  }
  checkTokens(new yaml.Lexer(), text, `${source}:${firstLine}`);
  const documents = withinStack(source, firstLine, () =>
    yaml.parseAllDocuments(text, {
      schema: "failsafe",
      version: "1.1",
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: "silent",
      lineCounter: lines,
    }),
  );
  if (!Array.isArray(documents)) {
    return undefined;
  }
  const [document, second] = documents;
  const error = document?.errors[0] ?? second?.errors[0];
  if (error !== undefined) {
    const reason = error.code.toLowerCase().replaceAll("_", " ");
    throw parseFailure(source, lineOf(error.pos[0]), reason);
  }
  if (second !== undefined) {
    throw parseFailure(source, lineOf(second.range[0]), "a second document without `---`");
  }
  if (document?.contents == null || isEmptyDocument(document.contents)) {
    return undefined;
  }
  const { contents } = document;
  return withinStack(source, firstLine, () => new YamlReader(yaml, source, lineOf).read(contents));

  function isEmptyDocument(node: Node): boolean {
    return yaml.isScalar(node) && node.tag === undefined && node.source === "";
  }
}

/** Runs a recursion over untrusted nesting; running out of stack is the input's fault, not a bug. */
function withinStack<Result>(source: string, line: number, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (error instanceof RangeError) {
      throw parseFailure(source, line, `nesting deeper than ${maxDepth} levels`);
    }
    throw error;
  }
}

function checkTokens(lexer: Lexer, text: string, where: string): void {
  if (text.length < maxTokens / 2) {
    return;
  }
  let tokens = 0;
  for (const _ of lexer.lex(text)) {
    tokens += 1;
    if (tokens > maxTokens) {
      throw new Failure("E_TOO_BIG", {
        what: "one YAML document is too large to be parsed",
        where,
        found: `more than ${maxTokens} tokens`,
        next: "Pass it as JSON (`kubectl get -o json`) or in several documents",
      });
    }
  }
}
