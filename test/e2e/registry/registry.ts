import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildBinary } from "../binaries.ts";

/** Who may pull and push; nobody else may do anything. */
export const account = { user: "crane", password: "crane-of-the-lab" };

/** Of `account`; bcrypt, cost 5: each request asks for it. */
const passwordFile = "crane:$2a$05$R04b9aNSgKaxT5TQAR4VT.Ly7QeMG8oFp5SMHWwRpVXhpdw3oZCmS\n";

/**
 * Writes what a registry needs to run on a port of 127.0.0.1, over plain HTTP; it is built first where it has not been.
 *
 * @param dir  absolute, made here; keeps what is pushed, so that the next run has it
 * @returns the words to start it with
 */
export function prepareRegistry(dir: string, port: number): readonly string[] {
  mkdirSync(dir, { recursive: true });
  const [passwords, config] = [join(dir, "htpasswd"), join(dir, "config.json")];
  writeFileSync(passwords, passwordFile);
  const settings = {
    version: "0.1",
    storage: { filesystem: { rootdirectory: join(dir, "storage") } },
    http: { addr: `127.0.0.1:${port}`, relativeurls: true },
    auth: { htpasswd: { realm: "lab", path: passwords } },
  };
  // JSON is YAML.
  writeFileSync(config, JSON.stringify(settings));
  // Otherwise it looks for a collector of traces and says every minute that it has found none.
  return ["env", "OTEL_TRACES_EXPORTER=none", buildBinary("registry"), "serve", config];
}

/** Pure. The data of a Secret of type kubernetes.io/dockerconfigjson for a registry. */
export function pullSecretData(registry: string): Readonly<Record<string, string>> {
  const { user: username, password } = account;
  const text = JSON.stringify({ auths: { [registry]: { username, password } } });
  return { ".dockerconfigjson": Buffer.from(text).toString("base64") };
}
