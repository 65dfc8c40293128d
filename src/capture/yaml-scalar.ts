import { exactNumber } from "../model/json.ts";

/**
 * What an untagged or `!!tag`ged YAML scalar means to kubectl and the kubelet.
 *
 * They read YAML 1.1 without its base 60 numbers and with timestamps left as text; `0o17` and
 * `0b11` are integers as in Go. Source: sigs.k8s.io/yaml v1.6.0 over go.yaml.in/yaml v2.4.4
 * `resolve.go: resolve()`; `test/fixtures/yaml/kubectl.json` holds what that library gives.
 */
export type Scalar =
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "null" }
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number };

const words = new Map<string, Scalar>([
  ...spellings({ kind: "boolean", value: true }, "y", "yes", "true", "on"),
  ...spellings({ kind: "boolean", value: false }, "n", "no", "false", "off"),
  ...spellings({ kind: "null" }, "null"),
  ["", { kind: "null" }],
  ["~", { kind: "null" }],
  ...spellings({ kind: "float", value: Number.POSITIVE_INFINITY }, ".inf", "+.inf"),
  ...spellings({ kind: "float", value: Number.NEGATIVE_INFINITY }, "-.inf"),
  ...[".nan", ".NaN", ".NAN"].map((word) => [word, { kind: "float", value: NaN }] as const),
]);

const integers: readonly [RegExp, (digits: string) => bigint][] = [
  [/^[-+]?0[xX]([0-9a-fA-F]+)$/, (digits) => BigInt(`0x${digits}`)],
  [/^[-+]?0[oO]?([0-7]+)$/, (digits) => BigInt(`0o${digits}`)],
  [/^[-+]?0[bB]([01]+)$/, (digits) => BigInt(`0b${digits}`)],
  [/^[-+]?(0|[1-9][0-9]*)$/, BigInt],
];
const float = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const dotFloat = /^\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?$/;

/** Pure. The meaning of a plain scalar. */
export function resolveScalar(text: string): Scalar {
  const word = words.get(text);
  if (word !== undefined) {
    return word;
  }
  const asText: Scalar = { kind: "text", value: text };
  const [first = ""] = text;
  if (first === ".") {
    return dotFloat.test(text) ? (floatOf(text.replaceAll("_", "")) ?? asText) : asText;
  }
  if (!"+-0123456789".includes(first)) {
    return asText;
  }
  const plain = text.replaceAll("_", "");
  return integerOf(plain) ?? (float.test(plain) ? floatOf(plain) : undefined) ?? asText;
}

/** Pure. The meaning of a scalar with an explicit tag; undefined where its text does not fit the tag. */
export function resolveTagged(tag: string, text: string): Scalar | undefined {
  const scalar = resolveScalar(text);
  switch (tag) {
    case "!!null":
      return scalar.kind === "null" ? scalar : undefined;
    case "!!bool":
      return scalar.kind === "boolean" ? scalar : undefined;
    case "!!int":
      return scalar.kind === "integer" ? scalar : undefined;
    case "!!float":
      return scalar.kind === "float" || scalar.kind === "integer" ? scalar : undefined;
    case "!!binary": {
      const base64 = text.replaceAll(/[\r\n]/g, "");
      const bytes = Buffer.from(base64, "base64");
      return bytes.toString("base64") === base64
        ? { kind: "text", value: bytes.toString("utf8") }
        : undefined;
    }
    default:
      return { kind: "text", value: text };
  }
}

/** Pure. The JSON value; undefined where JSON has none (infinities, not a number). */
export function scalarValue(scalar: Scalar): unknown {
  switch (scalar.kind) {
    case "null":
      return null;
    case "integer":
      return exactNumber(String(scalar.value));
    case "float":
      return Number.isFinite(scalar.value) ? scalar.value : undefined;
    case "text":
    case "boolean":
      return scalar.value;
  }
}

/** Pure. The name that a scalar gives as a key of a mapping; undefined where kubectl refuses it. */
export function scalarKey(scalar: Scalar): string | undefined {
  switch (scalar.kind) {
    case "null":
      return undefined;
    case "integer":
      return scalar.value < 2n ** 63n ? String(scalar.value) : undefined;
    case "float":
      return floatKey(scalar.value);
    case "text":
    case "boolean":
      return String(scalar.value);
  }
}

function spellings(scalar: Scalar, ...words: string[]): [string, Scalar][] {
  return words.flatMap((word): [string, Scalar][] => {
    const start = word.search(/[a-z]/);
    const title = word.slice(0, start) + word.charAt(start).toUpperCase() + word.slice(start + 1);
    return [
      [word, scalar],
      [title, scalar],
      [word.toUpperCase(), scalar],
    ];
  });
}

function integerOf(plain: string): Scalar | undefined {
  for (const [pattern, parse] of integers) {
    const digits = pattern.exec(plain)?.[1];
    if (digits !== undefined) {
      const value = plain.startsWith("-") ? -parse(digits) : parse(digits);
      // Only an unsigned spelling may use the 64th bit. Beyond that Go gives up on an integer.
      const limit = /^[-+]/.test(plain) ? 2n ** 63n : 2n ** 64n;
      return value < limit && value >= -(2n ** 63n) ? { kind: "integer", value } : undefined;
    }
  }
  return undefined;
}

function floatOf(plain: string): Scalar | undefined {
  const value = Number(plain);
  return Number.isFinite(value) ? { kind: "float", value } : undefined;
}

/** Go's shortest 32-bit decimal, `strconv.FormatFloat(value, 'g', -1, 32)`. */
function floatKey(value: number): string {
  const single = Math.fround(value);
  if (!Number.isFinite(single)) {
    return Number.isNaN(single) ? ".nan" : single > 0 ? ".inf" : "-.inf";
  }
  if (single === 0) {
    return Object.is(single, -0) ? "-0" : "0";
  }
  let digits = 1;
  while (Math.fround(Number(single.toExponential(digits - 1))) !== single) {
    digits += 1;
  }
  const [mantissa = "", power = "0"] = single.toExponential(digits - 1).split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) {
    return String(Number(single.toPrecision(digits)));
  }
  const sign = exponent < 0 ? "-" : "+";
  return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
}
