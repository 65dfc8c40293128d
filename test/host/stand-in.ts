import { existsSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Puts a shell script in the place of a tool for the time of a block. It counts runs by lines in `$0.log`. */
export function standIn(tool: string, script: string) {
  const dir = mkdtempDisposableSync(join(tmpdir(), "blackstart-"));
  const file = join(dir.path, tool);
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const path = process.env["PATH"];
  process.env["PATH"] = `${dir.path}:${path}`;
  return {
    runs: () =>
      existsSync(`${file}.log`) ? readFileSync(`${file}.log`, "utf8").split("\n").length - 1 : 0,
    [Symbol.dispose]: () => {
      process.env["PATH"] = path;
      dir.remove();
    },
  };
}
