import { Failure } from "../errors.ts";
import type { Quantity } from "../model/kubernetes.ts";

const decimal: Readonly<Record<string, bigint>> = {
  n: 0n,
  u: 3n,
  m: 6n,
  "": 9n,
  k: 12n,
  M: 15n,
  G: 18n,
  T: 21n,
  P: 24n,
  E: 27n,
};
const binary: Readonly<Record<string, bigint>> = {
  Ki: 10n,
  Mi: 20n,
  Gi: 30n,
  Ti: 40n,
  Pi: 50n,
  Ei: 60n,
};
const pattern = /^([+-]?)(\d*)\.?(\d*)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?$/;

/**
 * A resource quantity in thousand-millionths, rounded up.
 *
 * Pure. Source: apimachinery v0.37.2 `pkg/api/resource/quantity.go` (grammar, rounding up to nano).
 *
 * @throws {Failure} E_OBJECT only when the text is no quantity
 */
export function nanoOf(quantity: Quantity): bigint {
  const text = String(quantity);
  const match = pattern.exec(text);
  const [, sign, whole = "", fraction = "", suffix = "", exponent] = match ?? [];
  if (match === null || text.length > 60 || whole.length + fraction.length === 0) {
    throw new Failure("E_OBJECT", {
      what: "a resource quantity is malformed",
      found: JSON.stringify(text).slice(0, 40),
      next: "Correct the object",
    });
  }
  const digits = BigInt(whole + fraction);
  const shift = binary[suffix];
  const power = exponent === undefined ? (decimal[suffix] ?? 9n) : BigInt(exponent) + 9n;
  const scaled = shift === undefined ? digits : digits << shift;
  const tens = (shift === undefined ? power : 9n) - BigInt(fraction.length);
  const nano = tens >= 0n ? scaled * 10n ** tens : ceilDivide(scaled, 10n ** -tens);
  return sign === "-" ? -nano : nano;
}

/**
 * What the downward API prints for a quantity: the quotient, rounded up to a whole number.
 *
 * Pure. CPU is divided in thousandths, everything else in whole units, in double precision as the
 * kubelet does. Source: v1.37.2 `pkg/api/v1/resource/helpers.go: convertResourceCPUToString()`.
 */
export function divideQuantity(
  resource: string,
  quantity: Quantity,
  divisor: Quantity | undefined,
): string {
  const unit = resource === "cpu" ? 1_000_000n : 1_000_000_000n;
  const nanoDivisor = divisor === undefined ? 0n : nanoOf(divisor);
  const by = ceilDivide(nanoDivisor === 0n ? 1_000_000_000n : nanoDivisor, unit);
  return BigInt(Math.ceil(Number(ceilDivide(nanoOf(quantity), unit)) / Number(by))).toString();
}

function ceilDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend % divisor > 0n ? quotient + 1n : quotient;
}
