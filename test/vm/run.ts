import { spawnSync } from "node:child_process";
import { cleanEnvironment } from "../../scripts/install.mjs";

/**
 * Runs a program to its end and gives what it printed.
 *
 * @throws {Error} with its last words where it fails
 */
export function demandRun(
  command: string,
  words: readonly string[],
  options: { readonly cwd?: string } = {},
): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    ...options,
    env: cleanEnvironment(),
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (status !== 0) {
    const said = `${stdout ?? ""}\n${stderr ?? ""}`.trim().split("\n").slice(-15).join("\n");
    throw new Error(`${command} ${words[0]} ended with ${status ?? error?.message}:\n${said}`);
  }
  return stdout;
}
