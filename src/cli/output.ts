import { print } from "../host/log.ts";
import type { OutputFormat } from "./options.ts";

/** Prints a result on stdout: as data, or as the text that `describe` makes of it. */
export async function output(
  format: OutputFormat,
  value: unknown,
  describe: () => string,
): Promise<void> {
  switch (format) {
    case "json":
      print(`${JSON.stringify(value, undefined, 2)}\n`);
      return;
    case "yaml": {
      const { stringify } = await import("yaml");
      print(stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 }));
      return;
    }
    case "text":
      print(describe());
      return;
    default:
      format satisfies never;
  }
}
