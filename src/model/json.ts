/**
 * JSON whose numbers survive.
 *
 * `JSON.parse` alone turns 9007199254740993 into …992. Fields that we do not know may hold such a
 * number (Kubernetes integers have 64 bits), so a number whose value a JavaScript number cannot
 * hold is kept as its source text: an opaque value that `encodeJson` writes back unchanged. Every
 * other number is a plain number; its value stays, its spelling may not (`1.0` becomes `1`).
 *
 * The opaque values are told by `isExactNumber`; `structuredClone` destroys them.
 * Source: https://tc39.es/proposal-json-parse-with-source/ (Node 22 and later).
 */
interface JsonWithSource {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
}

const json = JSON as unknown as JsonWithSource;

/** A number token that may not fit: many digits, or a large exponent. Never misses, may be wrong. */
const suspicious = /[[:,\s]-?(?:[\d.]{16}|\d[\d.]*[eE])/;

/**
 * Parses JSON, keeping the exact value of every number.
 *
 * Pure. The last of two equal keys wins, `__proto__` is an ordinary key.
 *
 * @throws {SyntaxError} only when the text is not JSON; its message may quote the text: never show it
 */
export function parseJson(text: string): unknown {
  // The reviver makes parsing several times slower, and hardly any document needs it.
  if (!suspicious.test(text) && !/^-?[\d.]/.test(text)) {
    return JSON.parse(text);
  }
  return json.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined ? exactNumber(source) : value,
  );
}

/** Pure. JSON on one line, with exact numbers as they were read. */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value);
}

/** Pure. The number that a JSON token stands for: a plain one where that loses nothing. */
export function exactNumber(source: string): unknown {
  const value = Number(source);
  return Number.isFinite(value) && sameDecimal(source, String(value))
    ? value
    : json.rawJSON(source);
}

/** Pure. True for a number that is kept as text because a JavaScript number cannot hold it. */
export function isExactNumber(value: unknown): boolean {
  return json.isRawJSON(value);
}

function sameDecimal(a: string, b: string): boolean {
  return a === b || decimalOf(a) === decimalOf(b);
}

/** Significant digits and exponent: equal for spellings of one value. */
function decimalOf(source: string): string {
  const [mantissa = "", exponent = "0"] = source.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") {
    return "0";
  }
  const power = Number(exponent) - fraction.length + (digits.length - significant.length);
  return `${source.startsWith("-") ? "-" : ""}${significant}e${power}`;
}
