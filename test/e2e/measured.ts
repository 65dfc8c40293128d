/** Says a measured number; the runner shows lines that begin so. */
export function note(line: string): void {
  // uvu has its dots on the line already.
  console.log(`\n# ${line}`);
}

/** `median 0.41 s, worst 0.63 s of 12`. Pure. */
export function describeTimes(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  const worst = sorted.at(-1) ?? Number.NaN;
  return `median ${seconds(median)}, worst ${seconds(worst)} of ${sorted.length}`;
}

/** Pure. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
