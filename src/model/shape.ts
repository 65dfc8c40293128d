import type { FailureCode } from "../errors.ts";

/** Where a value differs from its shape. Never holds the value: it may be a secret. */
export interface Mismatch {
  /** Dotted, from the outermost value; "(document)" for that value itself. */
  readonly path: string;
  /** What would have been right. */
  readonly expected: string;
  /** The code that this kind of mismatch has; undefined where it is none of its own. */
  readonly code: FailureCode | undefined;
}

/**
 * Looks at a value, gives the first mismatch, undefined for none. Pure.
 *
 * Ours and not a library's: schema libraries copy what they check (and lose keys such as `__proto__`),
 * quote the value in their messages, and cost more at boot than all that restore does with it.
 */
export type Shape = (value: unknown) => Mismatch | undefined;

/** Pure. A shape of one type, named as a message names it. */
function is(expected: string, test: (value: unknown) => boolean, code?: FailureCode): Shape {
  const mismatch = { path: "(document)", expected, code };
  return (value) => (test(value) ? undefined : mismatch);
}

/** Any value, absent too. */
export const anything: Shape = () => undefined;
export const text: Shape = is("a string", (value) => typeof value === "string");
export const flag: Shape = is("true or false", (value) => typeof value === "boolean");
export const number: Shape = is("a number", (value) => typeof value === "number");
/** A resource quantity, whose grammar is checked where it is used. */
export const quantity: Shape = is(
  "a string or a number",
  (value) => typeof value === "string" || (typeof value === "number" && Number.isFinite(value)),
);
/** An RFC 3339 time. */
export const timestamp: Shape = is(
  "a time as in RFC 3339",
  (value) =>
    typeof value === "string" &&
    /^\d{4}-\d\d-\d\dT/.test(value) &&
    !Number.isNaN(Date.parse(value)),
);

/** A whole number from 0 to `most`. */
export function integer(most: number, code: FailureCode): Shape {
  const test = (value: unknown) =>
    typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
  return is(`a whole number from 0 to ${most}`, test, code);
}

/** One of these strings. */
export function literal(...values: readonly string[]): Shape {
  return is(values.map((value) => JSON.stringify(value)).join(" or "), (value) =>
    values.some((one) => one === value),
  );
}

/** Either of two. */
export function oneOf(first: Shape, second: Shape): Shape {
  return (value) => {
    const mismatch = first(value);
    const other = mismatch === undefined ? undefined : second(value);
    return mismatch === undefined || other === undefined
      ? undefined
      : { ...mismatch, expected: `${mismatch.expected} or ${other.expected}` };
  };
}

/** Absent, null (which Kubernetes takes for absent), or the shape. */
export function maybe(shape: Shape): Shape {
  return (value) => (value === undefined || value === null ? undefined : shape(value));
}

/** Every element has the shape. */
export function array(shape: Shape): Shape {
  return (value) => {
    if (!Array.isArray(value)) {
      return { path: "(document)", expected: "a list", code: undefined };
    }
    for (let at = 0; at < value.length; at++) {
      const mismatch = shape(value[at]);
      if (mismatch !== undefined) {
        return within(String(at), mismatch);
      }
    }
    return undefined;
  };
}

/** Every value of a map has the shape; keys are free. */
export function map(shape: Shape): Shape {
  return (value) => {
    if (!isRecord(value)) {
      return notAnObject;
    }
    for (const key of Object.keys(value)) {
      const mismatch = shape(value[key]);
      if (mismatch !== undefined) {
        return within(key, mismatch);
      }
    }
    return undefined;
  };
}

/** An object with these fields and any others. */
export function object(fields: Readonly<Record<string, Shape>>): Shape {
  const entries = Object.entries(fields);
  return (value) => {
    if (!isRecord(value)) {
      return notAnObject;
    }
    for (const [name, shape] of entries) {
      const mismatch = shape(value[name]);
      if (mismatch !== undefined) {
        return within(name, mismatch);
      }
    }
    return undefined;
  };
}

const notAnObject: Mismatch = { path: "(document)", expected: "an object", code: undefined };

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function within(name: string, { path, expected, code }: Mismatch): Mismatch {
  return { path: path === "(document)" ? name : `${name}.${path}`, expected, code };
}
