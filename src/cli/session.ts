import { resolve } from "node:path";
import { type Config, paths, under } from "../config.ts";
import { logWarning } from "../host/log.ts";
import type { GlobalOptions } from "./options.ts";
import { readConfig } from "./read-config.ts";

/** What every command starts from: the configuration, and where the node's paths lie on this machine. */
export interface Session {
  readonly config: Config;
  /** Absolute. */
  readonly root: string;
  readonly storeDir: string;
  readonly keysDir: string;
  readonly runDir: string;
  readonly verbose: boolean;
}

/**
 * Reads the configuration and says what is odd about it.
 *
 * @throws {Failure} E_CONFIG only when the file is malformed, or was named and cannot be read
 */
export async function openSession({
  root,
  config: file,
  verbose,
}: GlobalOptions): Promise<Session> {
  const absolute = resolve(root);
  const { config, warnings } = await readConfig({ root: absolute, config: file });
  for (const warning of warnings) {
    if (verbose || !warning.code.startsWith("I_")) {
      logWarning(warning);
    }
  }
  return {
    config,
    root: absolute,
    storeDir: under(absolute, paths.store),
    keysDir: under(absolute, paths.keys),
    runDir: under(absolute, paths.run),
    verbose,
  };
}
