/**
 * Reads the Prometheus text format: sample as it is written, `name{label="value",…}` → value.
 *
 * Pure. Comments and timestamps are left out.
 */
export function parseMetrics(text: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = line.match(/^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)/);
    if (match?.[1] !== undefined) {
      samples.set(match[1], parseValue(match[2] ?? ""));
    }
  }
  return samples;
}

/** Adds up the samples of that name whose labels contain all of these. Pure. */
export function sumMetrics(
  samples: ReadonlyMap<string, number>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let sum = 0;
  for (const [sample, value] of samples) {
    const [, sampleName, set = ""] = sample.match(/^([^{]*)(?:\{(.*)\})?$/) ?? [];
    if (sampleName === name && wanted.every((pair) => `,${set},`.includes(`,${pair},`))) {
      sum += value;
    }
  }
  return sum;
}

function parseValue(text: string): number {
  return text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text);
}
