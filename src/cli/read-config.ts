import { type Config, defaultConfig, paths, under } from "../config.ts";
import { Failure } from "../errors.ts";
import { readSettings } from "../host/settings-file.ts";
import type { Warning } from "../model/plan.ts";

/**
 * Reads the configuration file under `root`, or gives the defaults when there is none.
 *
 * `yaml` is loaded only when there is a file. What `--config` names is a path where the person is;
 * only the default path moves with root.
 *
 * @param config  the file that `--config` names; undefined is the default path, which may be missing
 * @throws {Failure} E_CONFIG only when the file is malformed, cannot be read, or was named and is missing
 */
export async function readConfig({
  root,
  config,
}: {
  readonly root: string;
  readonly config?: string | undefined;
}): Promise<{ readonly config: Config; readonly warnings: readonly Warning[] }> {
  const file = config ?? under(root, paths.config);
  const found = readSettings(file);
  if (found.kind === "absent" && config === undefined) {
    const message = `no configuration file ${file}: every setting has its default`;
    return {
      config: Object.freeze({ ...defaultConfig, root }),
      warnings: [{ code: "I_DEFAULTS", message }],
    };
  }
  if (found.kind !== "text") {
    throw new Failure("E_CONFIG", {
      what: "the configuration file cannot be read",
      where: file,
      found: found.kind === "absent" ? "no such file" : found.problem,
      next: "Name a readable YAML file, or none for the defaults",
    });
  }
  const { parseConfig } = await import("../config-file.ts");
  return { config: Object.freeze({ ...parseConfig(found.text, file), root }), warnings: [] };
}
