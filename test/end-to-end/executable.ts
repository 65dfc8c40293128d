import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { buildIfStale } from "../../scripts/build.mjs";
import { cleanEnvironment } from "../../scripts/install.mjs";

/** The program that is tested: built from the sources as they are. */
export const blackstart = await buildIfStale();

export type Run = SpawnSyncReturns<string>;

export interface RunOptions {
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  readonly cwd?: string;
  /** Words before the program, such as `faketime DATE`. */
  readonly before?: readonly string[];
}

/** Runs the program to its end. */
export function run(words: readonly string[], options: RunOptions = {}): Run {
  const [file = "", ...rest] = [...(options.before ?? []), blackstart, ...words];
  return spawnSync(file, rest, {
    encoding: "utf8",
    cwd: options.cwd,
    env: { ...cleanEnvironment(), ...options.env },
    input: options.input ?? "",
    timeout: 60_000,
    maxBuffer: 256 * 1_048_576,
  });
}

/** Runs the program and asserts that it ends well. */
export function succeed(words: readonly string[], options: RunOptions = {}): Run {
  const result = run(words, options);
  assert.equal(result.status, 0, `blackstart ${words.join(" ")}: ${describe(result)}`);
  return result;
}

/** Everything that the program said and how it ended, for messages. */
export function describe({ status, signal, stdout, stderr, error }: Run): string {
  const end = error?.message ?? `ended with ${status ?? signal}`;
  return `${end}\nstdout: ${stdout.slice(0, 2000)}\nstderr: ${stderr.slice(0, 4000)}`;
}

/** The lines of a failure: exactly one when the program fails, none when it does not. */
export function failureLines({ stderr }: Run): readonly string[] {
  return stderr.split("\n").filter((line) => line.startsWith("blackstart: "));
}

/** Asserts what every run keeps to: at most one failure line with code and next step, no stack, no bug. */
export function assertWellSaid(result: Run): void {
  const said = describe(result);
  assert.equal(result.signal, null, said);
  assert.doesNotMatch(result.stderr, /^\s+at .*[:)]/m, `a stack: ${said}`);
  assert.doesNotMatch(result.stderr, /is a bug|\bundefined\b|\[object|\bNaN\b/, said);
  const lines = failureLines(result);
  assert.ok(lines.length <= 1, `several failure lines: ${said}`);
  for (const line of lines) {
    assert.match(line, /^blackstart: E_[A-Z0-9_]+: \S/, said);
    assert.match(line, /\. \S|E_BOOT_LOOP/, `no next step: ${said}`);
  }
}

/** Asserts that the run failed with one line of this code and this exit status. */
export function assertFails(result: Run, code: string, exit: number): void {
  assertWellSaid(result);
  const [line = ""] = failureLines(result);
  assert.ok(line.startsWith(`blackstart: ${code}: `), `expected ${code}: ${describe(result)}`);
  assert.equal(result.status, exit, describe(result));
}
