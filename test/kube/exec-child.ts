// Run by exec-credential.test.ts without a terminal: tells what each interactive mode gives.
import { writeSync } from "node:fs";
import { Failure } from "../../src/errors.ts";
import { systemClock } from "../../src/kube/clock.ts";
import { execSource } from "../../src/kube/exec-credential.ts";

const root = process.argv[2] ?? "";
const told: Record<string, string | undefined> = {};
for (const interactiveMode of ["Always", "IfAvailable"] as const) {
  const plugin = {
    command: "/bin/login",
    args: [],
    env: [],
    apiVersion: "client.authentication.k8s.io/v1",
    interactiveMode,
    installHint: undefined,
    provideClusterInfo: false,
    cluster: { server: "https://a", tlsServerName: undefined, config: null },
  };
  try {
    const source = execSource(plugin, root, undefined, systemClock);
    told[interactiveMode] = (await source.get(new AbortController().signal)).token;
  } catch (error) {
    told[interactiveMode] = error instanceof Failure ? error.code : String(error);
  }
}
writeSync(1, JSON.stringify(told));
